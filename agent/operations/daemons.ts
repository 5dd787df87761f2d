/**
 * Starts, finds, signals and stops daemons that outlive the agent. Only processes that bear the daemon's mark are ever
 * signalled, and only after their start time has been compared.
 */

import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { createDeathWatch } from './death-watch.ts'
import {
  createProcessFinder,
  daemonKey,
  firstProcesses,
  isRunning,
  type MarkedProcess,
  markEnvironment,
  observeMarkedDaemon,
  readStat,
} from './marked-processes.ts'
import type { DaemonOperation, DaemonReference, ObservedDaemon } from './operation.ts'
import type { RunCommand } from './run-command.ts'

type Start = Extract<DaemonOperation, { kind: 'startDaemon' }>
type Stop = Extract<DaemonOperation, { kind: 'stopDaemon' }>
type Signal = Extract<DaemonOperation, { kind: 'signalDaemon' }>

export interface Daemons {
  observe(): ObservedDaemon[]
  /** Each of these gives the failure's words, or undefined. A start also complains of one before it that ended at once. */
  start(operation: Start): Promise<string | undefined>
  stop(operation: Stop): Promise<string | undefined>
  signal(operation: Signal): string | undefined
  /** Stops looking after them; they go on. */
  close(): void
}

export interface DaemonsOptions {
  readonly run: RunCommand
  /** Called when a daemon that this process started ends by itself, having lived long enough to be worth a new start at once. */
  readonly onExit?: (reference: DaemonReference) => void
  readonly hasSystemd?: boolean
}

/** A daemon that ends sooner than this waits for the steady tick, so that one that can't start doesn't spin the loop. */
const shortLifeMilliseconds = 250
/** After SIGKILL a process is gone in no time, unless the kernel itself hangs. */
const killMilliseconds = 1000
/** How soon the end of a daemon that is nobody's child is seen. */
const lookMilliseconds = 100
const pollMilliseconds = 3
/** All of /proc is looked through this often; in between only whether those that are known are there. */
const scanMilliseconds = 10_000
const lastWordsCharactersMaximum = 400

export function createDaemons({ run, onExit, hasSystemd = detectSystemd() }: DaemonsOptions): Daemons {
  const finder = createProcessFinder()
  const endedEarly = new Map<string, string>()
  let observed: ObservedDaemon[] = []
  let scannedAt = Number.NEGATIVE_INFINITY
  // Known from their start on, while a look into /proc could still find their parent's environment.
  const children = new Map<number, MarkedProcess>()
  // The kernel tells of the end of children alone; those that an earlier agent started are looked after, if there are any.
  const deaths = createDeathWatch()
  let adopted: readonly ObservedDaemon[] = []
  let lookingAfter: ReturnType<typeof setInterval> | undefined
  const lookAfterAdopted = () => {
    for (const { pid } of adopted) deaths.release(pid)
    adopted = observed.filter(({ pid }) => !children.has(pid))
    for (const daemon of adopted) if (!deaths.watch(daemon.pid, () => onExit?.(daemon))) onExit?.(daemon)
    clearInterval(lookingAfter)
    if (adopted.length === 0) return
    lookingAfter = setInterval(deaths.poll, lookMilliseconds)
    lookingAfter.unref()
  }

  const findAll = () => {
    const found = finder.find().filter(({ pid }) => !children.has(pid))
    return [...children.values(), ...found]
  }
  const findMarked = (reference: DaemonReference) =>
    findAll().filter((process) => daemonKey(process) === daemonKey(reference))

  const startDetached = (operation: Start): string | undefined => {
    const log = openSync(operation.logFile, 'w', 0o640)
    try {
      const startedAt = performance.now()
      const child = Bun.spawn(detachedArgv(operation), {
        detached: true,
        stdio: ['ignore', log, log],
        env: { ...process.env, ...markEnvironment(operation, operation.fingerprint) },
        onExit: (ended) => {
          children.delete(ended.pid)
          if (performance.now() - startedAt >= shortLifeMilliseconds) onExit?.(operation)
          else endedEarly.set(daemonKey(operation), readLastWords(operation.logFile))
        },
      })
      child.unref()
      const { objectId, daemon, fingerprint } = operation
      const startTimeTicks = readStat(child.pid)?.startTimeTicks ?? 0
      children.set(child.pid, { objectId, daemon, fingerprint, pid: child.pid, parentPid: process.pid, startTimeTicks })
      return undefined
    } catch (error) {
      return `${operation.argv[0]} can't be started: ${String(error)}`
    } finally {
      closeSync(log)
    }
  }

  const startUnit = async (operation: Start): Promise<string | undefined> => {
    const result = await run(transientUnitArgv(operation))
    return result.exitCode === 0 ? undefined : result.stderr.trim()
  }

  /** Resolves with whether all that bears the mark has ended, children that have come meanwhile included. */
  const untilEnded = async (reference: DaemonReference, milliseconds: number) => {
    const deadline = performance.now() + milliseconds
    let left = findMarked(reference)
    while (left.length > 0 && performance.now() < deadline) {
      await Bun.sleep(pollMilliseconds)
      left = left.filter(isRunning)
      if (left.length === 0) left = findMarked(reference).filter(isRunning)
    }
    return left.length === 0
  }

  return {
    observe() {
      const isScanDue = performance.now() - scannedAt > scanMilliseconds
      if (isScanDue || !observed.every((daemon) => daemon.namespaceInode !== 0 && isThere(daemon.pid))) {
        observed = firstProcesses(findAll()).map(observeMarkedDaemon)
        scannedAt = performance.now()
        lookAfterAdopted()
      }
      return observed
    },
    async start(operation) {
      scannedAt = Number.NEGATIVE_INFINITY
      mkdirSync(dirname(operation.logFile), { recursive: true })
      // It is started again all the same, but whoever wants it should know.
      const complaint = endedEarly.get(daemonKey(operation))
      endedEarly.delete(daemonKey(operation))
      const failure = hasSystemd ? await startUnit(operation) : startDetached(operation)
      return failure ?? complaint
    },
    async stop(operation) {
      for (const first of firstProcesses(findMarked(operation))) sendSignal(first, operation.signal)
      if (!(await untilEnded(operation, operation.graceMilliseconds))) {
        for (const left of findMarked(operation)) sendSignal(left, 'SIGKILL')
      }
      const hasEnded = await untilEnded(operation, killMilliseconds)
      endedEarly.delete(daemonKey(operation))
      if (hasEnded) return undefined
      return `${operation.daemon} does not end, not even by SIGKILL`
    },
    signal(operation) {
      const first = firstProcesses(findMarked(operation))
      for (const process of first) sendSignal(process, operation.signal)
      return first.length > 0 ? undefined : `${operation.daemon} does not run, so it can't be sent ${operation.signal}`
    },
    close: () => {
      clearInterval(lookingAfter)
      deaths.close()
    },
  }
}

function readLastWords(logFile: string): string {
  const words = existsSync(logFile) ? readFileSync(logFile, 'utf8').trim().slice(-lastWordsCharactersMaximum) : ''
  return `it ended right after its start${words === '' ? ' without a word' : `: ${words}`}`
}

/** nsenter becomes the program without a fork, so that the child's pid is the daemon's. */
export function detachedArgv({ namespace, argv }: Start): string[] {
  return ['nsenter', `--net=/run/netns/${namespace}`, '--', ...argv]
}

/**
 * A unit of its own, so that it outlives the agent's; it gets a slice that can be watched and limited as one. The
 * default KillMode ends all of it when it is stopped.
 */
export function transientUnitArgv(operation: Start): string[] {
  const { objectId, daemon, namespace, argv, fingerprint, capabilities, logFile } = operation
  const environment = Object.entries(markEnvironment(operation, fingerprint)).map(([name, value]) => `${name}=${value}`)
  return [
    'systemd-run',
    '--quiet',
    '--collect',
    `--unit=sluice-${daemon}-${objectId}`,
    '--slice=sluice.slice',
    '--property=Type=exec',
    `--property=NetworkNamespacePath=/run/netns/${namespace}`,
    `--property=CapabilityBoundingSet=${capabilities.join(' ')}`,
    '--property=NoNewPrivileges=yes',
    `--property=StandardOutput=truncate:${logFile}`,
    '--property=StandardError=inherit',
    ...environment.map((entry) => `--setenv=${entry}`),
    '--',
    ...argv,
  ]
}

/** Without a look at when it began, which is for the scans: a pid is not used again within seconds. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function sendSignal(process: MarkedProcess, signal: NodeJS.Signals): void {
  if (!isRunning(process)) return
  try {
    globalThis.process.kill(process.pid, signal)
  } catch {
    // It ended between the look and the signal, which is as good.
  }
}

/** systemd counts only where it is process 1: a lab host may see the machine's /run. */
export function detectSystemd(): boolean {
  return readFileSync('/proc/1/comm', 'utf8').trim() === 'systemd' && existsSync('/run/systemd/system')
}
