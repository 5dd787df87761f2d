/**
 * One appliance: a virtual machine that an instance's haproxy and keepalived run in. To its agent it is a small host with one
 * namespace, the guest itself, so that the same plans hold as for an instance in a namespace; only the way there differs. It
 * has a loop of its own, observe → plan → apply, as a guest that is slow or frozen must hold nobody else up.
 */

import { renderHaproxyConfig } from '../../templates/haproxy-config.ts'
import type { ApplianceInstructions, InstanceInstructions, NetworkInstructions } from '../contract/host-instructions.ts'
import { haproxyFiles } from '../haproxy/haproxy-files.ts'
import { createHaproxyObserver } from '../haproxy/observe-haproxy.ts'
import { holdersByAddress } from '../haproxy/wanted-servers.ts'
import { countOpen, createDrainWatch } from '../health/drain-watch.ts'
import { type DesiredInstance, type ObservedInstance, planInstance } from '../health/plan-instance.ts'
import type { InstanceFacts } from '../health/process-facts.ts'
import { describeInstance } from '../health/report-instances.ts'
import { keepalivedFiles } from '../keepalived/keepalived-files.ts'
import { createKeepalivedObserver } from '../keepalived/observe-keepalived.ts'
import { renderKeepalivedTexts } from '../keepalived/plan-keepalived.ts'
import { type DesiredObject, type HostDevices, makeInstance } from '../kernel/desired-kernel.ts'
import { readNamespace } from '../kernel/observe-kernel.ts'
import type { ObservedKernel, ObservedNamespace } from '../kernel/observed-kernel.ts'
import { planKernel } from '../kernel/plan-kernel.ts'
import { applianceProgram, createApplianceExecutor } from '../operations/appliance-executor.ts'
import { createExecute } from '../operations/execute.ts'
import type { ObservedDaemon, Operation } from '../operations/operation.ts'
import type { SshSession } from '../operations/ssh-session.ts'
import { type InstanceCondition, objectFolder } from '../room.ts'
import { parseApplianceFacts } from './appliance-facts.ts'

/** An instance that is to be in an appliance, as its agent was told last. */
export interface WantedAppliance {
  readonly instance: InstanceInstructions
  readonly appliance: ApplianceInstructions
  readonly network: NetworkInstructions | undefined
}

export interface ApplianceOptions {
  /** Rejects where nobody answers, or it is somebody else. */
  readonly open: (wanted: WantedAppliance, onEnd: () => void) => Promise<SshSession>
  readonly devices: HostDevices
  /** Milliseconds, of a clock that never goes back. */
  readonly now: () => number
  /** What its console said last, for the report of one that does not come. */
  readonly readConsole: (path: string) => string
  /** There is something new to report. */
  readonly onNews: () => void
}

export interface Appliance {
  /** Takes what is wanted now; the same again is no news. */
  want(wanted: WantedAppliance): void
  condition(): InstanceCondition
  close(): void
}

/** In the guest, whose /run is memory: a guest that boots anew begins from nothing. */
const runFolder = '/run/sluice'
const lookMilliseconds = 1000
const callAgainMilliseconds = 300
/** Nobody has told of a change in the guest's kernel, but for us nobody makes any. */
const kernelLooks = 10
/** What a guest takes to boot where its processor is emulated and busy. */
const bootMilliseconds = 60_000
/** Of a guest whose processor is emulated. */
const answerMilliseconds = 3000

interface Desired extends DesiredInstance {
  readonly wanted: WantedAppliance
  readonly kernel: DesiredObject
}

export function createAppliance(first: WantedAppliance, options: ApplianceOptions): Appliance {
  const { now, onNews } = options
  let desired = makeDesired(first, options.devices)
  let session: SshSession | undefined
  let guest: Guest | undefined
  let observed: ObservedInstance | undefined
  let settled: Desired | undefined
  let problem: string | undefined
  let unreachableSince = now()
  let isClosed = false
  let wake = () => {}

  const rest = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const forget = () => {
    if (session === undefined) return
    session = undefined
    observed = undefined
    settled = undefined
    unreachableSince = now()
    wake()
  }

  const reach = async () => {
    const opened = await options.open(desired.wanted, () => {
      if (session === opened) forget()
    })
    session = opened
    guest = createGuest(opened, options)
  }

  /** One pass of the loop; gives how long to rest after it. */
  const pass = async (): Promise<number> => {
    if (session === undefined || guest === undefined) {
      try {
        await reach()
      } catch (error) {
        const isLate = now() - unreachableSince > bootMilliseconds
        const said = isLate ? options.readConsole(desired.wanted.appliance.consoleLogPath ?? '') : ''
        problem = `its appliance does not let the agent in: ${error instanceof Error ? error.message : String(error)}${said}`
      }
      return session === undefined ? callAgainMilliseconds : 0
    }
    const aim = desired
    const seen = await guest.look(aim)
    observed = seen.instance
    const operations = [...planGuestKernel(aim, seen.kernel), ...planInstance(aim, seen.instance)]
    problem = await guest.apply(aim.wanted.instance.id, operations)
    const isSettled = operations.length === 0
    const isNews = isSettled && settled !== aim
    settled = isSettled ? aim : undefined
    if (isNews || problem !== undefined) onNews()
    if (aim !== desired || (operations.length > 0 && problem === undefined)) return 0
    return lookMilliseconds
  }

  const work = async () => {
    while (!isClosed) {
      const milliseconds = await pass().catch((error: unknown) => {
        // It has not said what it should; it is asked again from the start.
        problem = String(error)
        session?.close()
        forget()
        return lookMilliseconds
      })
      if (milliseconds > 0 && !isClosed) await rest(milliseconds)
    }
    session?.close()
  }
  void work()

  return {
    want(wanted) {
      if (Bun.deepEquals(wanted, desired.wanted)) return
      desired = makeDesired(wanted, options.devices)
      wake()
    },
    condition() {
      const { instance } = desired.wanted
      const isPatient = session === undefined && now() - unreachableSince <= bootMilliseconds
      const status = settled === desired ? 'converged' : problem === undefined || isPatient ? 'applying' : 'failed'
      return {
        ...(observed === undefined ? absent : describeInstance(instance, observed)),
        status,
        ...(status !== 'converged' && problem !== undefined && { reason: problem }),
      }
    },
    close() {
      isClosed = true
      wake()
    },
  }
}

const absent: InstanceCondition = {
  haproxy: 'stopped',
  keepalived: 'stopped',
  serving: false,
  heldVips: [],
  members: {},
}

function makeDesired(wanted: WantedAppliance, devices: HostDevices): Desired {
  const { instance, appliance, network } = wanted
  const haproxy = haproxyFiles(runFolder, instance.id)
  const keepalived = keepalivedFiles(runFolder, instance.id)
  const rendered = renderHaproxyConfig(instance, { statsSocket: haproxy.statsSocket, threads: appliance.vcpus })
  return {
    wanted,
    haproxy: {
      instance,
      rendered,
      files: haproxy,
      ...(network !== undefined && { holders: holdersByAddress(network) }),
    },
    keepalived: { instance, texts: renderKeepalivedTexts(instance, keepalived), files: keepalived },
    // Its devices are the domain's.
    kernel: { ...makeInstance(instance, network, devices), links: [] },
  }
}

function planGuestKernel({ kernel }: Desired, namespace: ObservedNamespace | undefined): readonly Operation[] {
  if (namespace === undefined) return []
  const observed: ObservedKernel = {
    links: new Map(),
    forwarding: [],
    ruleSet: undefined,
    namespaces: new Map([[namespace.name, namespace]]),
    brokenNamespaces: [],
  }
  return planKernel([kernel], observed).flatMap(({ operations }) => operations)
}

interface Seen {
  readonly instance: ObservedInstance
  readonly kernel: ObservedNamespace | undefined
}

interface Guest {
  look(desired: Desired): Promise<Seen>
  /** Gives the first failure's words, or undefined. */
  apply(objectId: string, operations: readonly Operation[]): Promise<string | undefined>
}

/** What is remembered of a guest for as long as a session with it lasts. */
function createGuest({ run, ask }: SshSession, { now }: ApplianceOptions): Guest {
  let facts: InstanceFacts | undefined
  let daemons: readonly ObservedDaemon[] = []
  let kernel: ObservedNamespace | undefined
  let looks = 0
  let clients: number | undefined
  const latest: InstanceFacts = {
    readText: (path) => facts?.readText(path),
    isAlive: (pid) => facts?.isAlive(pid) ?? false,
    uptimeSeconds: () => facts?.uptimeSeconds() ?? 0,
    heldAddresses: (pid, addresses) => facts?.heldAddresses(pid, addresses) ?? [],
  }
  const haproxies = createHaproxyObserver({
    ask,
    now,
    facts: latest,
    answerMilliseconds,
    onWorker: () => {},
    readWaitedSeconds: () => now() / 1000,
  })
  const keepaliveds = createKeepalivedObserver(latest)
  const drains = createDrainWatch({ now, countClients: () => clients })
  const execute = createExecute(createApplianceExecutor({ run, ask }, () => daemons))

  const lookAtKernel = async ({ kernel: object }: Desired) => {
    looks += 1
    if (kernel !== undefined && looks % kernelLooks !== 0) return
    const name = object.objectId
    const sysctls = [object.namespace, ...object.devices].flatMap((each) => Object.keys(each?.sysctls ?? {}))
    kernel = await readNamespace(run, name, 0, sysctls)
    if (kernel === undefined) throw new Error("what the appliance's kernel holds can't be read")
  }

  return {
    async look(desired) {
      const { wanted, haproxy, keepalived } = desired
      const { instance } = wanted
      const [answer] = await Promise.all([
        run([applianceProgram('look'), objectFolder(runFolder, instance.id)]),
        lookAtKernel(desired),
      ])
      const parsed = parseApplianceFacts(answer.stdout)
      if (answer.exitCode !== 0 || parsed === undefined)
        throw new Error(`the appliance can't be looked at: ${answer.stderr}`)
      facts = parsed.facts
      daemons = parsed.daemons.filter(({ objectId }) => objectId === instance.id)
      const find = (name: ObservedDaemon['daemon']) => daemons.find(({ daemon }) => daemon === name)
      haproxies.mark(instance.id)
      keepaliveds.mark(instance.id)
      const seenHaproxy = await haproxies.observe([
        { instance, files: haproxy.files, faultFile: keepalived.files.fault, daemon: find('haproxy') },
      ])
      const seenKeepalived = keepaliveds.observe([
        {
          instanceId: instance.id,
          vips: instance.vips,
          files: keepalived.files,
          daemon: find('keepalived'),
          witnessPid: 1,
          isHanging: false,
        },
      ])
      const observedHaproxy = seenHaproxy.get(instance.id)
      const observedKeepalived = seenKeepalived.get(instance.id)?.observed
      if (observedHaproxy === undefined || observedKeepalived === undefined)
        throw new Error('BUG: nothing was observed')
      clients = instance.draining === true ? await countClients(run, instance) : undefined
      const hasDrained = drains.hasDrained({
        instance,
        pid: find('haproxy')?.pid,
        isClosing: observedHaproxy.answer?.description === haproxy.rendered.description,
      })
      return {
        instance: {
          haproxy: observedHaproxy,
          keepalived: observedKeepalived,
          hasDrained,
          connectionsCut: drains.connectionsCut(instance.id),
        },
        kernel,
      }
    },
    async apply(objectId, operations) {
      if (operations.length === 0) return undefined
      kernel = undefined
      const failures = await execute([{ objectId, operations }])
      return failures[0]?.message
    },
  }
}

async function countClients(run: SshSession['run'], { vips }: InstanceInstructions): Promise<number | undefined> {
  const { exitCode, stdout } = await run(['cat', '/proc/net/tcp'])
  return exitCode === 0
    ? countOpen(
        stdout,
        vips.map(({ address }) => address),
      )
    : undefined
}
