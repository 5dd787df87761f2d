/**
 * A rack in one process: the store in memory, controllers that die in the middle of what they do, hosts that are cut
 * off, and callers who create, change and delete. Everything follows from the seed.
 */

import pino from 'pino'
import type { HostInstructions, InstanceInstructions } from '../../agent/contract/host-instructions.ts'
import type { HostReport, InstanceLoadReport } from '../../agent/contract/host-report.ts'
import { createSeed } from '../../controller/access/object-id.ts'
import { type AssembledController, assembleController } from '../../controller/assemble.ts'
import { createMemoryStore } from '../../controller/control-plane/memory-store.ts'
import { createClientId, createId } from '../../controller/control-plane/shard-key.ts'
import { type Kind, type Store, write } from '../../controller/control-plane/store.ts'
import { createActionQueue } from '../../controller/control-plane/writes/action-queue.ts'
import { type LifeSettings, lifeDefaults } from '../../controller/load-balancing/life/life-settings.ts'
import { hostKind, type ProjectValue, projectKind, systemClient } from '../../controller/objects.ts'
import { createObservedHosts, type ReportInbox } from '../../controller/observed/observed-hosts.ts'
import type { InstructionsBus, PublishedInstructions } from '../../controller/reconcile/instructions-bus.ts'
import type { Caller, ControllerContext, RequestInfo } from '../../controller/services.ts'
import type { Answer } from '../../controller/test-rack.ts'
import { type CrashingStore, createCrashingStore } from './crashing-store.ts'
import { type Chance, createChance } from './random.ts'
import { createSimulatedHost, isOnUplink, type SimulatedHost } from './simulated-host.ts'

export interface Controller extends AssembledController {
  readonly crashing: CrashingStore
  readonly inbox: ReportInbox
}

export interface Simulation {
  readonly chance: Chance
  readonly store: Store
  readonly hosts: readonly SimulatedHost[]
  readonly projectIds: readonly string[]
  readonly bus: InstructionsBus
  readonly events: readonly { readonly type: string; readonly subject: string }[]
  readonly settings: ControllerContext['settings']
  /** How likely it is that a controller stops in the middle of something and goes on seconds later; 0 to 1. */
  stallRate: number
  /** How likely it is that a host's report comes only with a later one; 0 to 1. */
  lateRate: number
  /** How many requests an instance has had so far, by its id: hosts tell of those that are here. */
  readonly requests: Map<string, number>
  now(): number
  advance(milliseconds: number): void
  /** At least one: a dead one is followed by another. */
  controllers(): readonly Controller[]
  /** Adds a controller beside those that are there. */
  startController(): void
  newRequest(): RequestInfo
  /** Waits until everybody has done what can be done without time going on. */
  flush(): Promise<void>
  /** Hosts take in what is published, work at it, and report to every controller. */
  beat(): Promise<void>
  /** One turn of each controller, all at once; a dead controller is followed by a new one. */
  turn(): Promise<void>
}

/** Long enough for others to carry on meanwhile, and too short for what it has taken to be swept. */
const stallMilliseconds = 8_000

function describeLoads(report: HostReport, requests: ReadonlyMap<string, number>, now: number): InstanceLoadReport[] {
  const idle = { worker: 1, threads: 1, cpuSeconds: 0, connections: 0, latencyMilliseconds: 0 }
  return report.instances.flatMap(({ id }) => {
    const count = requests.get(id)
    return count === undefined ? [] : [{ ...idle, id, atSeconds: now / 1000, requests: count }]
  })
}

/** A chain of asynchronous steps longer than this many rounds is taken for one that never ends. */
const flushRounds = 60

export async function createSimulation(options: {
  readonly seed: number
  readonly hosts: number
  readonly life?: LifeSettings
}): Promise<Simulation> {
  const chance = createChance(options.seed)
  let now = Date.parse('2030-01-01T00:00:00Z')
  const events: { type: string; subject: string }[] = []
  const store = createMemoryStore({
    now: () => now,
    random: chance.bytes,
    fault: () =>
      chance.happens(0.01) ? (chance.pick(['unavailable', 'lostAckStored', 'lostAckDropped']) ?? 'none') : 'none',
    onEvent: ({ type, subject }) => events.push({ type, subject }),
  })
  const bus = createMemoryBus()
  const hosts = Array.from({ length: options.hosts }, (_, i) => createSimulatedHost(`host-${i + 1}`))
  const settings = {
    uplinkCidr: '198.18.32.0/24',
    uplinkGateway: '198.18.32.1',
    advertIntervalSeconds: 0.05,
    preemptDelaySeconds: 1,
    names: { zone: 'sluice.test', ttlSeconds: 2, sweepSeconds: 30, owner: 'sluice' },
    life: options.life ?? lifeDefaults,
  }
  let controllers: Controller[] = []
  const late = new Map<string, readonly string[]>()
  let requests = 0
  let stalled: { readonly until: number; readonly goOn: () => void }[] = []

  const pause = async () => {
    for (let i = chance.below(4); i > 0; i--) await Promise.resolve()
    if (self.stallRate === 0 || !chance.happens(self.stallRate)) return
    await new Promise<void>((goOn) => stalled.push({ until: now + chance.below(stallMilliseconds), goOn }))
  }

  function startController(): void {
    const crashing = createCrashingStore(store, pause)
    const inbox = createObservedHosts({ now: () => now })
    const context: ControllerContext = {
      store: crashing.store,
      actions: createActionQueue({ store: crashing.store, now: () => now, random: chance.bytes }),
      now: () => now,
      random: chance.bytes,
      logger: pino({ level: 'silent' }),
      observed: inbox,
      settings,
      wake: () => undefined,
    }
    const mortalBus = mortal(bus, crashing.isDead)
    controllers.push({ ...assembleController(context, mortalBus), crashing, inbox })
  }

  const projectIds = await writeGround(store, { chance, now, hosts })

  const self: Simulation = {
    chance,
    store,
    hosts,
    projectIds,
    bus,
    events,
    settings,
    stallRate: 0,
    lateRate: 0,
    requests: new Map(),
    now: () => now,
    advance(milliseconds) {
      now += milliseconds
      const due = stalled.filter(({ until }) => until <= now)
      stalled = stalled.filter(({ until }) => until > now)
      for (const { goOn } of due) goOn()
    },
    controllers: () => controllers,
    startController,
    newRequest() {
      const caller: Caller = { tokenId: 'tok_simulation', scope: 'admin', projectId: null }
      const traceparent = `00-${String(++requests).padStart(32, '0')}-${'1'.repeat(16)}-01`
      return { caller, traceparent, actionId: `request ${requests}`, seed: createSeed(now, chance.bytes) }
    },
    async flush() {
      for (let i = 0; i < flushRounds; i++) await new Promise((resolve) => setImmediate(resolve))
    },
    async beat() {
      for (const host of hosts) {
        host.hear((await bus.read(host.name))?.statement ?? null)
        host.work(chance)
      }
      for (const host of hosts) {
        const report = host.report(
          (instance) => listHeldVips(hosts, instance),
          now,
          (id) => askAbout(host, hosts, id),
        )
        if (report === null) continue
        const told = { ...report, loads: describeLoads(report, self.requests, now) }
        const waiting = [...(late.get(host.name) ?? []), JSON.stringify(told)]
        const isLate = self.lateRate > 0 && chance.happens(self.lateRate)
        late.set(host.name, isLate ? waiting : [])
        if (isLate) continue
        for (const { inbox } of controllers) {
          for (const text of waiting) {
            const fault = inbox.accept(host.name, text)
            if (fault !== null) throw new Error(`a report was refused: ${fault}`)
          }
        }
      }
    },
    async turn() {
      const turns = controllers.map(({ reconciler }) => reconciler.turn())
      await Promise.race([Promise.all(turns), self.flush()])
      const alive = controllers.filter(({ crashing }) => !crashing.isDead())
      for (const controller of controllers) if (controller.crashing.isDead()) controller.close()
      controllers = alive
      if (controllers.length === 0) startController()
    },
  }
  startController()
  return self
}

/** Of those that run the instance's balancer and are on the uplink, whoever is keenest on a VIP has it. */
function listHeldVips(hosts: readonly SimulatedHost[], instance: InstanceInstructions): readonly string[] {
  // Who drains has nobody left at once, and gives its VIPs away.
  const rivals = hosts.flatMap(listOnUplink).filter(({ draining }) => draining !== true)
  if (!rivals.some(({ id }) => id === instance.id)) return []
  return instance.vips.flatMap(({ address, priority }) => {
    const keener = rivals.some(({ id, vips }) =>
      vips.some((vip) => id !== instance.id && vip.address === address && vip.priority > priority),
    )
    return keener ? [] : [address]
  })
}

/** Those that clients reach. */
export const listOnUplink = (host: SimulatedHost): readonly InstanceInstructions[] =>
  isOnUplink(host) ? (host.applied?.instances ?? []).filter(({ id }) => !host.broken.has(id)) : []

/** Its kernel answers, whatever became of its programs; who has an instance on the uplink can ask for its haproxy as well. */
export function askAbout(from: SimulatedHost, hosts: readonly SimulatedHost[], instanceId: string): Answer {
  const holders = hosts.filter(
    (host) =>
      isOnUplink(host) &&
      !from.cannotReach.has(host.name) &&
      host.applied?.instances.some(({ id }) => id === instanceId) === true,
  )
  if (!isOnUplink(from) || holders.length === 0) return { answers: false }
  const isAble = (from.applied?.instances.length ?? 0) > 0
  return { answers: true, ...(isAble && { serves: holders.some(({ broken }) => !broken.has(instanceId)) }) }
}

function createMemoryBus(): InstructionsBus {
  const published = new Map<string, PublishedInstructions>()
  let revisions = 0
  return {
    listHosts: async () => [...published.keys()],
    read: async (host) => published.get(host) ?? null,
    async write(statement: HostInstructions, revision) {
      const { host } = statement
      if ((published.get(host)?.revision ?? null) !== revision) return null
      published.set(host, { statement: JSON.parse(JSON.stringify(statement)), revision: ++revisions })
      return revisions
    },
  }
}

/** The bus as a controller has it: nothing comes back once it is dead. */
function mortal(bus: InstructionsBus, isDead: () => boolean): InstructionsBus {
  const alive = async <Value>(work: () => Promise<Value>): Promise<Value> =>
    isDead() ? new Promise<Value>(() => {}) : work()
  return {
    listHosts: () => alive(() => bus.listHosts()),
    read: (host) => alive(() => bus.read(host)),
    write: (statement, revision) => alive(() => bus.write(statement, revision)),
  }
}

async function writeGround(
  store: Store,
  ground: { readonly chance: Chance; readonly now: number; readonly hosts: readonly SimulatedHost[] },
): Promise<readonly string[]> {
  const { chance, now, hosts } = ground
  const joinedAt = new Date(now).toISOString()
  for (const [i, { name }] of hosts.entries()) {
    const id = createId(hostKind.prefix, systemClient, now, chance.bytes)
    const underlayAddress = `198.18.0.${i + 1}`
    await put(store, hostKind, id, { name, maintenance: false, labels: {}, underlayAddress, publicKey: 'U', joinedAt })
  }
  const projectIds: string[] = []
  for (const name of ['one', 'two']) {
    const id = createClientId(projectKind.prefix, now, chance.bytes)
    const quota = { pools: 20, shards: 200, networks: 50, machines: 500, loadBalancers: 100 }
    const value: ProjectValue = { name, user: 'john', slug: name, quota }
    await put(store, projectKind, id, value)
    projectIds.push(id)
  }
  return projectIds
}

async function put<Value>(store: Store, kind: Kind<Value>, id: string, value: Value): Promise<void> {
  for (;;) {
    try {
      const outcome = await store.transact({ writes: [write({ kind, id, expect: 'absent', value })] })
      if (outcome.outcome !== 'unavailable') return
    } catch {
      // The fault that was injected left the outcome open: writing it again finds out.
    }
  }
}
