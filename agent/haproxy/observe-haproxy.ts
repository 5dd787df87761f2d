/**
 * Asks each instance's haproxy how it is, and remembers the answer: a turn asks those of which there is news and only some
 * of the others, so that what a turn costs does not grow with the number of instances. Changes nothing.
 */

import type { InstanceInstructions } from '../contract/host-instructions.ts'
import { ageSeconds, hostFacts, type InstanceFacts } from '../health/process-facts.ts'
import type { AskHaproxy } from '../operations/haproxy-socket.ts'
import type { ObservedDaemon } from '../operations/operation.ts'
import type { HaproxyFiles } from './haproxy-files.ts'
import { type HaproxyAnswer, haproxyQuestion, parseHaproxyAnswer } from './observed-haproxy.ts'
import type { ObservedHaproxy } from './plan-haproxy.ts'

export interface HaproxySubject {
  readonly instance: InstanceInstructions
  readonly files: HaproxyFiles
  readonly faultFile: string
  readonly daemon: ObservedDaemon | undefined
}

export interface HaproxyObserver {
  observe(subjects: readonly HaproxySubject[]): Promise<ReadonlyMap<string, ObservedHaproxy>>
  /** There is news of this instance: the next turn asks again. */
  mark(instanceId: string): void
  forget(instanceId: string): void
}

export interface HaproxyObserverOptions {
  readonly ask: AskHaproxy
  readonly now: () => number
  /** Of where it runs; left out: of this host. */
  readonly facts?: InstanceFacts
  /** How long a look waits for one that is late. */
  readonly answerMilliseconds?: number
  /** For how long a process was ready to run and was not let. */
  readonly readWaitedSeconds: (pid: number) => number | undefined
  /** Told when a worker answers that this observer has not heard before: it may have run for long. */
  readonly onWorker: (instanceId: string, worker: 'first' | 'another') => void
}

/** Without news, so that what nobody told of is seen in the end. */
const askAgainMilliseconds = 2000
/** Of the instances without news, in one turn. */
const asksWithoutNewsMaximum = 4
/** A turn waits no longer for one that is late. */
const answerMillisecondsUsual = 500
const startMilliseconds = 5000
/** One that answers nothing for so long serves nobody either. */
const silentMilliseconds = 5000
/** If it was not let run: a successor, beside it or elsewhere, would only make such a machine worse. */
const starvedMilliseconds = 30_000
/** Of its silence, spent ready to run, by one that was not let. */
const starvedShare = 0.25

interface Known {
  daemonKey: string
  answer: HaproxyAnswer | undefined
  /** The first question since the last answer that got none. */
  unansweredSince: number | undefined
  /** How long it had waited for a processor by then. */
  waitedSeconds: number
  askedAt: number
  isMarked: boolean
  instance: InstanceInstructions
  config: string | undefined
  fault: string | undefined
  readonly drainingSince: Map<string, number>
}

export function createHaproxyObserver(options: HaproxyObserverOptions): HaproxyObserver {
  const { ask, now, onWorker, facts = hostFacts, answerMilliseconds = answerMillisecondsUsual } = options
  const known = new Map<string, Known>()
  const readWaited = ({ daemon }: HaproxySubject, { answer }: Known) =>
    daemon === undefined ? 0 : (options.readWaitedSeconds(answer?.workerPid ?? daemon.pid) ?? 0)

  const recall = (subject: HaproxySubject): Known => {
    const { instance, daemon } = subject
    const daemonKey = daemon === undefined ? '' : `${daemon.pid}/${daemon.startTimeTicks}`
    const before = known.get(instance.id)
    if (before !== undefined && before.daemonKey === daemonKey) {
      // Instructions that are new may want another look at what is there.
      if (before.instance !== instance) before.isMarked = true
      before.instance = instance
      return before
    }
    const fresh: Known = {
      daemonKey,
      answer: undefined,
      unansweredSince: undefined,
      waitedSeconds: 0,
      askedAt: Number.NEGATIVE_INFINITY,
      isMarked: true,
      instance,
      config: undefined,
      fault: undefined,
      drainingSince: new Map(),
    }
    known.set(instance.id, fresh)
    return fresh
  }

  const look = async (subject: HaproxySubject, memory: Known) => {
    const { instance, files, faultFile, daemon } = subject
    memory.isMarked = false
    memory.askedAt = now()
    memory.config = facts.readText(files.config)
    memory.fault = facts.readText(faultFile)
    if (daemon === undefined) return
    const answer = await askInTime(ask, files.statsSocket, haproxyQuestion(instance.trafficType), answerMilliseconds)
    if (answer === undefined) {
      if (memory.unansweredSince === undefined) memory.waitedSeconds = readWaited(subject, memory)
      memory.unansweredSince ??= memory.askedAt
      return
    }
    if (memory.answer === undefined) onWorker(memory.instance.id, 'first')
    else if (memory.answer.workerPid !== answer.workerPid) onWorker(memory.instance.id, 'another')
    memory.answer = answer
    memory.unansweredSince = undefined
    rememberDraining(memory, answer)
  }

  const rememberDraining = ({ drainingSince, askedAt }: Known, { servers }: HaproxyAnswer) => {
    const draining = new Set(
      servers
        .filter((server) => server.isDraining || server.isInMaintenance)
        .map(({ backend, name }) => `${backend}/${name}`),
    )
    for (const path of [...drainingSince.keys()]) if (!draining.has(path)) drainingSince.delete(path)
    for (const path of draining) if (!drainingSince.has(path)) drainingSince.set(path, askedAt)
  }

  const isSilent = (subject: HaproxySubject, memory: Known): boolean => {
    if (memory.unansweredSince === undefined) return false
    const silence = now() - memory.unansweredSince
    if (silence < silentMilliseconds) return false
    const waited = 1000 * (readWaited(subject, memory) - memory.waitedSeconds)
    return silence >= (waited >= starvedShare * silence ? starvedMilliseconds : silentMilliseconds)
  }

  const tell = (subject: HaproxySubject, memory: Known): ObservedHaproxy => ({
    status: judgeStatus(subject.daemon, memory, isSilent(subject, memory), facts.uptimeSeconds),
    config: memory.config,
    fault: memory.fault,
    answer: memory.answer,
    drainingSeconds: new Map([...memory.drainingSince].map(([path, since]) => [path, (now() - since) / 1000])),
  })

  return {
    async observe(subjects) {
      const memories = subjects.map((subject) => ({ subject, memory: recall(subject) }))
      const at = now()
      const withNews = memories.filter(({ memory }) => hasNews(memory))
      const others = memories
        .filter(({ memory }) => !hasNews(memory) && at - memory.askedAt >= askAgainMilliseconds)
        .sort((a, b) => a.memory.askedAt - b.memory.askedAt)
        .slice(0, asksWithoutNewsMaximum)
      await Promise.all([...withNews, ...others].map(({ subject, memory }) => look(subject, memory)))
      return new Map(memories.map(({ subject, memory }) => [subject.instance.id, tell(subject, memory)]))
    },
    mark(instanceId) {
      const memory = known.get(instanceId)
      if (memory) memory.isMarked = true
    },
    forget(instanceId) {
      known.delete(instanceId)
    },
  }
}

/** One that has not answered yet, did not answer last time, or has members on their way out, is asked in each turn. */
const hasNews = ({ isMarked, answer, unansweredSince, drainingSince, daemonKey }: Known) =>
  isMarked || drainingSince.size > 0 || unansweredSince !== undefined || (daemonKey !== '' && answer === undefined)

function judgeStatus(
  daemon: ObservedDaemon | undefined,
  { answer }: Known,
  isSilent: boolean,
  uptimeSeconds: () => number,
): ObservedHaproxy['status'] {
  if (daemon === undefined) return 'stopped'
  if (answer !== undefined) return isSilent ? 'silent' : 'answering'
  // One that an agent has only just found may be late once as well.
  return isSilent && ageSeconds(daemon.startTimeTicks, uptimeSeconds()) * 1000 >= startMilliseconds
    ? 'silent'
    : 'starting'
}

async function askInTime(
  ask: AskHaproxy,
  socket: string,
  question: string,
  answerMilliseconds: number,
): Promise<HaproxyAnswer | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      resolve(undefined)
    }, answerMilliseconds)
  })
  try {
    const text = await Promise.race([ask(socket, question), late])
    return text === undefined ? undefined : parseHaproxyAnswer(text)
  } catch {
    // There is nobody at the socket, which the processes explain better.
    return undefined
  } finally {
    clearTimeout(timer)
  }
}
