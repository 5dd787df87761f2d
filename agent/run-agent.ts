/**
 * Puts the agent together for one host and runs it: its rooms, the loop, what wakes it, and where reports go. It decides
 * nothing itself.
 */

import { createHash } from 'node:crypto'
import { existsSync, readFileSync, watch } from 'node:fs'
import { availableParallelism } from 'node:os'
import packageJson from '../package.json'
import { createAddressRoom } from './addresses/address-room.ts'
import { createApplianceRoom } from './appliance/appliance-room.ts'
import { ofNamespaces } from './appliance/virtual-machines.ts'
import type { AgentCollectdSettings } from './contract/collectd/settings.ts'
import type { AgentSettings } from './contract/enrolment.ts'
import type { HostInstructions } from './contract/host-instructions.ts'
import type { HostReport } from './contract/host-report.ts'
import type { PointMessage } from './contract/point-sender.ts'
import { reportIntervalSeconds } from './contract/subjects.ts'
import { createDnsmasqRoom } from './dnsmasq/dnsmasq-room.ts'
import { createInstanceRoom } from './health/instance-room.ts'
import { createInstructionsSaver, saveInstructionsOperation } from './instructions-store.ts'
import { type KernelEvent, monitorArgv, parseKernelEvent } from './kernel/kernel-event.ts'
import { createKernelRoom, sortDaemons } from './kernel/kernel-room.ts'
import { createKernelObserver, type KernelObserver, namespaceFolder } from './kernel/observe-kernel.ts'
import { touchedParts } from './kernel/touched-parts.ts'
import type { PublishLogs } from './logs/log-buffer.ts'
import { startLogs } from './logs/start-logs.ts'
import { createMachineRoom } from './machine/machine-room.ts'
import { startMetrics } from './metrics/start-metrics.ts'
import { createBatcher } from './operations/batch.ts'
import { createDaemons } from './operations/daemons.ts'
import { createExecute } from './operations/execute.ts'
import { ensureFolder, writeDurably } from './operations/files.ts'
import { followCommand } from './operations/follow-command.ts'
import { askHaproxy } from './operations/haproxy-socket.ts'
import { readStat } from './operations/marked-processes.ts'
import { runCommand } from './operations/run-command.ts'
import { createHostLoop, type HostLoop } from './reconcile-host.ts'
import type { AgentIdentity } from './report.ts'
import { createWitnessRoom } from './witness/witness-room.ts'

export interface AgentOptions {
  readonly settings: AgentSettings
  /** Of a collectd that may send to this agent; undefined: none may. */
  readonly collectd?: AgentCollectdSettings | undefined
  /** How this program is started again for a workload, up to its subcommand. */
  readonly agentArgv: readonly string[]
  /** Applied from the first turn on. */
  readonly initial: HostInstructions | undefined
  readonly sendReport: (report: HostReport) => void
  /** Left out: nobody is told what instances say. */
  readonly publishLogs?: PublishLogs | undefined
  /** Rejects unless they are stored; absent where nobody keeps points. */
  readonly sendPoints?: ((message: PointMessage) => Promise<void>) | undefined
  readonly log: (fields: Record<string, unknown>, message: string) => void
}

export interface Agent {
  readonly loop: HostLoop
  /** Ends the agent; the daemons of the host go on. */
  stop(): Promise<void>
}

/** Kernel events come in swarms; this long is waited for the rest of one. */
const gatherMilliseconds = 10
/** However many events there are, they wake the loop no oftener than this. */
const wakeIntervalMilliseconds = 50
/** After a turn that they have woken they wait for so many times the processor time that it took: a failover of many makes swarms. */
const restFactor = 3
const restMillisecondsMaximum = 400
/** One part of the kernel is read again, told or untold, after as many ticks. */
const rereadTicks = 3

/** Of one haproxy: many share a host, and few need more. */
const haproxyThreadsMaximum = 4

export function startAgent(options: AgentOptions): Agent {
  const { settings, log } = options
  const observer = createKernelObserver(runCommand)
  const wake = () => {
    loop.wake()
  }
  const daemons = createDaemons({
    run: runCommand,
    onExit: () => {
      instances.onExit()
      wake()
    },
  })
  const execute = createExecute({ run: runCommand, runLines: createBatcher(runCommand), daemons, askHaproxy })
  const instances = createInstanceRoom({
    runFolder: settings.runFolder,
    ask: askHaproxy,
    execute,
    wake,
    log,
    hasUplink: () => observer.hasSignal(settings.uplinkDevice),
    threads: Math.min(haproxyThreadsMaximum, availableParallelism()),
    onWorker: (instanceId) => logs?.room.onWorker(instanceId),
  })
  const appliances = createApplianceRoom({
    devices: settings,
    onNews: () => {
      loop.tick()
    },
  })
  const logs = options.publishLogs && startLogs({ ...options, publish: options.publishLogs })
  const addresses = createAddressRoom({
    run: runCommand,
    onNews: () => {
      loop.tick()
    },
    now: () => performance.now(),
  })
  const witness = createWitnessRoom({
    run: runCommand,
    uplinkDevice: settings.uplinkDevice,
    onNews: () => {
      loop.tick()
    },
    now: () => performance.now(),
  })
  const metrics = startMetrics({
    settings,
    collectd: options.collectd,
    takeWholeAnswers: instances.takeWholeAnswers,
    sendPoints: options.sendPoints,
    log,
  })
  const loop = createHostLoop({
    identity: describeAgent(settings.host),
    rooms: [
      ofNamespaces(createKernelRoom({ observer, devices: settings, runFolder: settings.runFolder })),
      createDnsmasqRoom(settings.runFolder),
      ofNamespaces(
        createMachineRoom({ runFolder: settings.runFolder, host: settings.host, agentArgv: options.agentArgv }),
      ),
      ofNamespaces(instances),
      appliances,
      addresses,
      ofNamespaces(witness),
      ...(logs === undefined ? [] : [ofNamespaces(logs.room)]),
      ofNamespaces(metrics.room),
    ],
    observeDaemons: (desired) => sortDaemons(daemons.observe(), desired, observer.namespaceInodes()),
    reportInstances: (desired) => new Map([...instances.reportInstances(desired), ...appliances.conditions()]),
    reportAddresses: addresses.reportAddresses,
    reportTestimony: witness.reportTestimony,
    reportLoads: instances.reportLoads,
    reportPoints: metrics.report,
    execute,
    onApplied: (groups) => {
      for (const part of touchedParts(groups)) observer.mark(part)
      instances.onApplied(groups)
    },
    saveInstructions: createInstructionsSaver(async (instructions) => {
      const failure = await writeDurably(saveInstructionsOperation(settings.stateFolder, instructions))
      if (failure !== undefined) log({ failure }, 'the instructions could not be saved')
    }),
    sendReport: options.sendReport,
    log,
    now: () => new Date(),
    onTurn: metrics.onTurn,
    initial: options.initial,
  })

  const stopFollowing = followKernel(observer, loop, log)
  let ticks = 0
  const ticking = setInterval(() => {
    ticks += 1
    if (ticks % rereadTicks === 0) observer.markNext()
    loop.tick()
  }, reportIntervalSeconds * 1000)
  wake()

  return {
    loop,
    async stop() {
      clearInterval(ticking)
      logs?.stop()
      appliances.close()
      stopFollowing()
      daemons.close()
      await Promise.all([loop.stop(), metrics.stop()])
    },
  }
}

/** Marks what events name and wakes the loop once for a swarm of them. */
function followKernel(observer: KernelObserver, loop: HostLoop, log: AgentOptions['log']): () => void {
  let gathering: ReturnType<typeof setTimeout> | undefined
  let isTurning = false
  let isWantedAgain = false
  let nextAt = Number.NEGATIVE_INFINITY
  const wakeSoon = () => {
    isWantedAgain = isTurning
    if (isTurning) return
    gathering ??= setTimeout(() => void wakeAndRest(), Math.max(gatherMilliseconds, nextAt - performance.now()))
  }
  const wakeAndRest = async () => {
    gathering = undefined
    isTurning = true
    nextAt = performance.now() + wakeIntervalMilliseconds
    const before = process.cpuUsage()
    loop.wake()
    await loop.settled()
    isTurning = false
    const { user, system } = process.cpuUsage(before)
    const restMilliseconds = Math.min((restFactor * (user + system)) / 1000, restMillisecondsMaximum)
    nextAt = Math.max(nextAt, performance.now() + restMilliseconds)
    if (isWantedAgain) wakeSoon()
  }
  const stopFollowing = followCommand({
    argv: monitorArgv,
    onLine: (line) => {
      const event = parseKernelEvent(line)
      if (event !== undefined && markEvent(observer, event)) wakeSoon()
    },
    onMissed: () => {
      observer.markAll()
      wakeSoon()
    },
  })
  const stopWatching = watchNamespaceNames(log, () => {
    observer.mark('names')
    wakeSoon()
  })
  return () => {
    stopFollowing()
    stopWatching()
    clearTimeout(gathering)
  }
}

/**
 * A namespace that loses its name makes no event in the kernel. Without this watch, where the machine has no more to give
 * (`fs.inotify.max_user_instances`), the steady look finds it some seconds later.
 */
function watchNamespaceNames(log: AgentOptions['log'], onChange: () => void): () => void {
  const tell = (error: unknown) => {
    log({ reason: String(error) }, 'the names of namespaces are not watched, only looked at every few seconds')
  }
  ensureFolder(namespaceFolder)
  try {
    const watcher = watch(namespaceFolder, onChange)
    watcher.on('error', tell)
    return () => watcher.close()
  } catch (error) {
    tell(error)
    return () => undefined
  }
}

/** False where the event is of no concern. */
function markEvent(observer: KernelObserver, { nsid, part, onlyIfNeighbour }: KernelEvent): boolean {
  const namespace = nsid === 'own' ? undefined : observer.namespaceOfNsid(nsid)
  if (onlyIfNeighbour !== undefined) {
    if (namespace === undefined || !observer.hasNeighbour(namespace, onlyIfNeighbour)) return false
  }
  if (namespace !== undefined) observer.mark({ namespace })
  // A number that is not known yet is in the list that is read along with the links.
  else observer.mark(nsid === 'own' ? part : 'links')
  return true
}

function describeAgent(host: string): AgentIdentity {
  return { host, agentVersion: packageJson.version, bootId: readBootId(), startedAt: new Date().toISOString() }
}

/** The kernel's own, joined with the start of process 1, since a lab host is booted without its kernel. */
function readBootId(): string {
  const path = '/proc/sys/kernel/random/boot_id'
  const kernel = existsSync(path) ? readFileSync(path, 'utf8').trim() : ''
  return createHash('sha256')
    .update(`${kernel} ${readStat(1)?.startTimeTicks}`)
    .digest('hex')
    .slice(0, 32)
}
