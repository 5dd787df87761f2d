/**
 * The room of load balancer instances: joins the observations of haproxy and keepalived with their plan, and reacts at once,
 * outside the loop's turns, when one of them ends or hangs. What it does goes through the executor.
 */

import { renderHaproxyConfig } from '../../templates/haproxy-config.ts'
import type { InstanceInstructions } from '../contract/host-instructions.ts'
import { createEventFollower } from '../haproxy/follow-events.ts'
import { haproxyFiles } from '../haproxy/haproxy-files.ts'
import { createHaproxyObserver } from '../haproxy/observe-haproxy.ts'
import { createLoadSampler, type LoadSampler, type LoadSubject } from '../haproxy/sample-load.ts'
import { holdersByAddress } from '../haproxy/wanted-servers.ts'
import { keepalivedFiles } from '../keepalived/keepalived-files.ts'
import { createKeepalivedObserver } from '../keepalived/observe-keepalived.ts'
import { planFence, renderKeepalivedTexts, withdrawVips } from '../keepalived/plan-keepalived.ts'
import type { Execute } from '../operations/execute.ts'
import type { AskHaproxy } from '../operations/haproxy-socket.ts'
import type { DaemonName, Operation, OperationGroup } from '../operations/operation.ts'
import type { InstanceCondition, ReportInstances, ReportLoads, Room, Turn } from '../room.ts'
import { createDrainWatch } from './drain-watch.ts'
import { type DesiredInstance, fault, type ObservedInstance, planInstances } from './plan-instance.ts'
import { readCpuSeconds, readUptimeSeconds, readWaitedSeconds } from './process-facts.ts'
import { createPulseWatch, type Trouble } from './pulse-watch.ts'
import { describeInstance } from './report-instances.ts'

export interface InstanceRoomOptions {
  readonly runFolder: string
  readonly ask: AskHaproxy
  readonly execute: Execute
  /** Asks for a turn of the loop. */
  readonly wake: () => void
  readonly log: (fields: Record<string, unknown>, message: string) => void
  /** False: the device under all uplink legs has no signal, and a keepalived without a link has nothing to say. */
  readonly hasUplink: () => boolean
  /** haproxy's in each instance. */
  readonly threads: number
  /** Told when a worker of this instance's haproxy has begun, or is about to. */
  readonly onWorker?: (instanceId: string) => void
}

export interface InstanceRoom extends Room {
  readonly reportInstances: ReportInstances
  readonly reportLoads: ReportLoads
  /** What each haproxy has counted, since this was asked before. */
  readonly takeWholeAnswers: LoadSampler['takeWhole']
  /** Told what was done, so that it is looked at again. */
  onApplied(groups: readonly OperationGroup[]): void
  /** Some daemon has ended: if it is an instance's, the reaction comes before the next turn. */
  onExit(): void
  close(): void
}

interface Known {
  readonly instance: InstanceInstructions
  readonly desired: DesiredInstance
  readonly observed?: ObservedInstance | undefined
}

/** Soon, but after what is under way. */
const waitingMilliseconds = 50
/** Between two counts of the clients of an instance that drains. */
const drainingMilliseconds = 200
/** News come in swarms, e.g. of all members of a balancer. */
const gatherMilliseconds = 20

export function createInstanceRoom(options: InstanceRoomOptions): InstanceRoom {
  const { runFolder, ask, execute, log } = options
  const known = new Map<string, Known>()
  let wakeTimer: ReturnType<typeof setTimeout> | undefined
  const wakeIn = (milliseconds: number) => {
    wakeTimer ??= setTimeout(() => {
      wakeTimer = undefined
      options.wake()
    }, milliseconds)
  }
  const follower = createEventFollower((instanceId) => {
    haproxies.mark(instanceId)
    wakeIn(gatherMilliseconds)
  })
  const follow = (instanceId: string) => {
    follower.follow(instanceId, haproxyFiles(runFolder, instanceId).statsSocket)
    options.onWorker?.(instanceId)
  }
  const haproxies = createHaproxyObserver({
    ask,
    now: () => performance.now(),
    readWaitedSeconds,
    // One that is found running, e.g. by an agent that was itself started again, is followed like one that it has started.
    onWorker(instanceId, worker) {
      if (worker === 'another' || !follower.isFollowing(instanceId)) follow(instanceId)
    },
  })
  const keepaliveds = createKeepalivedObserver()
  const drains = createDrainWatch({ now: () => performance.now() })
  const sampler = createLoadSampler({
    ask,
    now: () => performance.now(),
    unixSeconds: () => Date.now() / 1000,
    readCpuSeconds,
    readUptimeSeconds,
  })
  const hanging = new Set<string>()
  const mark = (instanceId: string) => {
    haproxies.mark(instanceId)
    keepaliveds.mark(instanceId)
  }
  const reactions = new Reactions()
  const pulses = createPulseWatch((instanceId, trouble) => {
    reactions.add(instanceId, react(instanceId, trouble))
  })

  const forget = (instanceId: string) => {
    known.delete(instanceId)
    hanging.delete(instanceId)
    drains.forget(instanceId)
    haproxies.forget(instanceId)
    keepaliveds.forget(instanceId)
    follower.forget(instanceId)
    pulses.release(instanceId)
  }

  /** At once: a turn that is under way may take longer than a VIP may be without anybody behind it. */
  const react = async (instanceId: string, trouble: Trouble) => {
    const memory = known.get(instanceId)
    if (memory === undefined) return
    log({ objectId: instanceId, trouble }, 'an instance is in trouble')
    mark(instanceId)
    if (trouble === 'keepalivedHangs') hanging.add(instanceId)
    const failures = await execute([{ objectId: instanceId, operations: planReaction(memory, trouble) }])
    for (const { message } of failures) log({ objectId: instanceId, failure: message }, 'the reaction failed')
    options.wake()
  }

  const observe = async ({ desired, daemons }: Turn): Promise<readonly Observation[]> => {
    const running = new Map(daemons.map((each) => [`${each.objectId} ${each.daemon}`, each]))
    const find = (objectId: string, name: DaemonName) => running.get(`${objectId} ${name}`)
    const wanted = new Set(desired.instances.map(({ id }) => id))
    for (const id of [...known.keys()]) if (!wanted.has(id)) forget(id)
    const subjects = desired.instances.map((instance) => ({
      memory: remember(known, instance, options),
      haproxy: find(instance.id, 'haproxy'),
      keepalived: find(instance.id, 'keepalived'),
    }))
    const seenHaproxies = await haproxies.observe(
      subjects.map(({ memory: { instance, desired: wantedInstance }, haproxy }) => ({
        instance,
        files: wantedInstance.haproxy.files,
        faultFile: wantedInstance.keepalived.files.fault,
        daemon: haproxy,
      })),
    )
    const seenKeepaliveds = keepaliveds.observe(
      subjects.map(({ memory: { instance, desired: wantedInstance }, haproxy, keepalived }) => ({
        instanceId: instance.id,
        vips: instance.vips,
        files: wantedInstance.keepalived.files,
        daemon: keepalived,
        witnessPid: keepalived?.pid ?? haproxy?.pid,
        isHanging: hanging.has(instance.id),
      })),
    )
    sampler.take(
      listAnswering(
        subjects.map(({ memory }) => memory),
        seenHaproxies,
      ),
    )
    const networks = new Map(desired.networks.map((network) => [network.id, network]))
    return subjects.flatMap(({ memory, haproxy, keepalived }) => {
      const { instance } = memory
      const seenHaproxy = seenHaproxies.get(instance.id)
      const seenKeepalived = seenKeepaliveds.get(instance.id)
      if (seenHaproxy === undefined || seenKeepalived === undefined) return []
      const { observed: keepalivedNow, childPid } = seenKeepalived
      if (keepalivedNow.status !== 'hanging') hanging.delete(instance.id)
      const hasDrained = drains.hasDrained({
        instance,
        pid: haproxy?.pid,
        isClosing: seenHaproxy.answer?.description === memory.desired.haproxy.rendered.description,
      })
      // Nobody tells when the last client has gone.
      if (instance.draining === true && !hasDrained) wakeIn(drainingMilliseconds)
      const observed: ObservedInstance = {
        haproxy: seenHaproxy,
        keepalived: keepalivedNow,
        hasDrained,
        connectionsCut: drains.connectionsCut(instance.id),
      }
      known.set(instance.id, { ...memory, observed })
      const keepalivedPids = [keepalived?.pid, childPid].filter((pid) => pid !== undefined)
      pulses.watch(instance.id, {
        haproxyPid: haproxy?.pid,
        keepalivedPids: keepalivedNow.status === 'running' ? keepalivedPids : [],
        keepalivedChildPid: childPid,
        advertIntervalSeconds: instance.advertIntervalSeconds,
        isExpectedToSpeak: seenHaproxy.fault !== fault && instance.vips.length > 0 && options.hasUplink(),
      })
      const network = networks.get(instance.networkId)
      const place = network === undefined ? {} : { holders: holdersByAddress(network) }
      return [{ desired: { ...memory.desired, haproxy: { ...memory.desired.haproxy, ...place } }, observed }]
    })
  }

  return {
    name: 'instances',
    async look(turn) {
      await reactions.settle()
      const observations = await observe(turn)
      // What has been reacted to meanwhile is no longer as it was seen; the reaction has asked for another turn.
      const touched = await reactions.settle()
      const sound = observations.filter(({ desired }) => !touched.has(desired.haproxy.instance.id))
      const { groups, waiting } = planInstances(sound)
      if (waiting > 0) wakeIn(waitingMilliseconds)
      // What is about to be stopped on purpose ends without trouble.
      for (const group of groups) if (group.operations.some(endsADaemon)) pulses.release(group.objectId)
      return groups
    },
    reportInstances: ({ instances }) => describeAll(instances, known),
    reportLoads: sampler.list,
    takeWholeAnswers: sampler.takeWhole,
    onApplied(groups) {
      for (const { objectId, operations } of groups) {
        if (!known.has(objectId)) continue
        mark(objectId)
        if (operations.some((operation) => operation.kind === 'startDaemon' && operation.daemon === 'haproxy')) {
          follow(objectId)
        }
        // What was started is watched, and what was asked for is seen, without waiting for the next tick.
        wakeIn(gatherMilliseconds)
      }
    },
    onExit: pulses.lookForEnds,
    close() {
      clearTimeout(wakeTimer)
      follower.close()
      pulses.close()
    },
  }
}

/** Reactions under way, so that a turn neither plans from what they are changing nor acts at the same time. */
class Reactions {
  private pending = new Map<Promise<void>, string>()

  add(instanceId: string, reaction: Promise<void>): void {
    const ended = reaction.finally(() => {
      this.pending.delete(ended)
    })
    this.pending.set(ended, instanceId)
  }

  /** Waits for all of them; gives the instances that they were for. */
  async settle(): Promise<ReadonlySet<string>> {
    const touched = new Set<string>()
    while (this.pending.size > 0) {
      for (const instanceId of this.pending.values()) touched.add(instanceId)
      await Promise.allSettled(this.pending.keys())
    }
    return touched
  }
}

interface Observation {
  readonly desired: DesiredInstance
  readonly observed: ObservedInstance
}

/** What can't wait for the next turn; the turn does the rest. */
function planReaction({ instance, desired }: Known, trouble: Trouble): Operation[] {
  switch (trouble) {
    case 'haproxyEnded':
      return [{ kind: 'writeFile', path: desired.keepalived.files.fault, content: fault }]
    case 'keepalivedEnded':
    case 'keepalivedHangs':
      return planFence(instance)
    case 'stoodStill':
      return withdrawVips(instance)
    default:
      return trouble satisfies never
  }
}

/** Texts are rendered once for each statement of an instance. */
function remember(
  known: Map<string, Known>,
  instance: InstanceInstructions,
  { runFolder, threads }: Pick<InstanceRoomOptions, 'runFolder' | 'threads'>,
): Known {
  const before = known.get(instance.id)
  // A statement comes whole each time, so that what is the same is parsed anew with the rest.
  if (before !== undefined && Bun.deepEquals(before.instance, instance)) return before
  const files = haproxyFiles(runFolder, instance.id)
  const rendered = renderHaproxyConfig(instance, { statsSocket: files.statsSocket, threads })
  const own = keepalivedFiles(runFolder, instance.id)
  const memory: Known = {
    ...before,
    instance,
    desired: {
      haproxy: { instance, rendered, files },
      keepalived: { instance, texts: renderKeepalivedTexts(instance, own), files: own },
    },
  }
  known.set(instance.id, memory)
  return memory
}

const listAnswering = (
  memories: readonly Known[],
  seen: ReadonlyMap<string, ObservedInstance['haproxy']>,
): readonly LoadSubject[] =>
  memories.flatMap(({ instance: { id }, desired }) =>
    seen.get(id)?.status === 'answering' ? [{ instanceId: id, statsSocket: desired.haproxy.files.statsSocket }] : [],
  )

const endsADaemon = (operation: Operation) => operation.kind === 'stopDaemon' || operation.kind === 'startDaemon'

function describeAll(
  instances: readonly InstanceInstructions[],
  known: ReadonlyMap<string, Known>,
): Map<string, InstanceCondition> {
  const conditions = new Map<string, InstanceCondition>()
  for (const instance of instances) {
    const observed = known.get(instance.id)?.observed
    if (observed) conditions.set(instance.id, describeInstance(instance, observed))
  }
  return conditions
}
