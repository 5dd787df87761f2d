/**
 * A rack for tests: a controller assembled on the store in memory, hosts that do at once what they are told, and a
 * project. Time stands still until it is moved.
 */

import type { HostInstructions, InstanceInstructions } from '../agent/contract/host-instructions.ts'
import type { AddressReport, HostReport, Testimony } from '../agent/contract/host-report.ts'
import { createTestContext, type TestContext } from './access/test-context.ts'
import { type AssembledController, assembleController } from './assemble.ts'
import { createMemoryStore } from './control-plane/memory-store.ts'
import { createClientId, createId } from './control-plane/shard-key.ts'
import { type Store, write } from './control-plane/store.ts'
import { createActionQueue } from './control-plane/writes/action-queue.ts'
import { hostKind, projectKind, systemClient } from './objects.ts'
import { createObservedHosts } from './observed/observed-hosts.ts'
import type { PublishedInstructions } from './reconcile/instructions-bus.ts'
import { planReconcile } from './reconcile/plan-reconcile.ts'
import { renderAllHosts } from './reconcile/render-host-instructions.ts'
import { readSnapshot } from './reconcile/snapshot.ts'
import type { ControllerSettings } from './services.ts'

export interface TestRack extends AssembledController {
  readonly context: TestContext
  readonly store: Store
  readonly projectId: string
  readonly published: ReadonlyMap<string, PublishedInstructions>
  readonly events: readonly { readonly type: string; readonly subject: string; readonly data: unknown }[]
  readonly hostIds: ReadonlyMap<string, string>
  /** Not heard of any more, and hears nothing. */
  cut(host: string): void
  heal(host: string): void
  /** Reaches nobody on the uplink, and is reached by nobody. */
  unplug(host: string): void
  plug(host: string): void
  /** Its programs are dead, the agent too, and its kernel answers. */
  hollow(host: string): void
  fill(host: string): void
  /** That much time goes by, in which everybody does what there is to do. */
  pass(seconds: number): Promise<void>
  /** What a host says from now on, made from what it would say. */
  distort(host: string, change: (report: HostReport) => HostReport): void
  /** Every host does what is published, and says so. */
  beat(): void
  /** Turns and beats until there is nothing left to do. */
  settle(): Promise<void>
  /** What a controller that has just begun would do. */
  planAnew(): ReturnType<typeof planReconcile>
}

const settleRoundsMaximum = 20

export async function createTestRack(
  names: readonly string[] = ['a', 'b', 'c'],
  settings: Partial<ControllerSettings> = {},
): Promise<TestRack> {
  const events: { type: string; subject: string; data: unknown }[] = []
  const base = createTestContext()
  const store = createMemoryStore({ now: base.now, random: base.random, onEvent: (event) => events.push(event) })
  const inbox = createObservedHosts({ now: base.now })
  const actions = createActionQueue({ store, now: base.now, random: base.random })
  const context: TestContext = { ...base, store, actions, observed: inbox, settings: { ...base.settings, ...settings } }
  const published = new Map<string, PublishedInstructions>()
  const cut = new Set<string>()
  const unplugged = new Set<string>()
  const hollow = new Set<string>()
  const applied = new Map<string, HostInstructions>()
  const distortions = new Map<string, (report: HostReport) => HostReport>()
  const { projectId, hostIds } = await writeGround(context, names)
  const assembled = assembleController(context, {
    listHosts: async () => [...published.keys()],
    read: async (host) => published.get(host) ?? null,
    async write(statement, revision) {
      if ((published.get(statement.host)?.revision ?? null) !== revision) return null
      const next = (revision ?? 0) + 1
      published.set(statement.host, { statement, revision: next })
      return next
    },
  })

  /** Of whoever runs it, or did so last. */
  const ask = (witness: string, id: string): Answer => {
    const has = (name: string) => applied.get(name)?.instances.some((one) => one.id === id) === true
    const holders = unplugged.has(witness) ? [] : names.filter((name) => !unplugged.has(name) && has(name))
    if (holders.length === 0) return { answers: false }
    const isAble = (applied.get(witness)?.instances.length ?? 0) > 0
    return { answers: true, ...(isAble && { serves: holders.some((name) => !hollow.has(name)) }) }
  }

  const rack: TestRack = {
    ...assembled,
    context,
    store,
    projectId,
    published,
    events,
    hostIds,
    cut: (host) => cut.add(host),
    heal: (host) => cut.delete(host),
    unplug: (host) => unplugged.add(host),
    plug: (host) => unplugged.delete(host),
    hollow: (host) => hollow.add(host),
    fill: (host) => hollow.delete(host),
    async pass(seconds) {
      for (let second = 0; second < seconds; second++) {
        context.advance(1000)
        await rack.settle()
      }
    },
    distort: (host, change) => distortions.set(host, change),
    beat() {
      for (const host of names) {
        if (cut.has(host) || hollow.has(host)) continue
        const statement = published.get(host)?.statement
        if (statement !== undefined) applied.set(host, statement)
        const isDark = unplugged.has(host)
        const known = makeTestReport(host, applied.get(host), (instance) => (isDark ? [] : listHomeVips(instance)))
        const report = { ...known, ...testify(applied.get(host), (suspect) => ask(host, suspect), !isDark) }
        const said = distortions.get(host)?.(report) ?? report
        const fault = inbox.accept(host, JSON.stringify(said))
        if (fault !== null) throw new Error(fault)
      }
    },
    async settle() {
      for (let round = 0; round < settleRoundsMaximum; round++) {
        rack.beat()
        const { operations, failures } = await assembled.reconciler.turn()
        if (failures.length > 0) throw new Error(JSON.stringify(failures))
        await new Promise((resolve) => setImmediate(resolve))
        if (operations === 0) return
      }
      throw new Error('the rack does not come to rest')
    },
    planAnew() {
      const snapshot = readSnapshot(store)
      const contents = renderAllHosts(snapshot, context.settings)
      const known = new Map([...published].map(([host, { statement }]) => [host, statement]))
      const { settings } = context
      const input = { snapshot, contents, published: known, observed: inbox, settings, now: context.now() }
      return planReconcile({ ...input, loads: new Map() })
    },
  }
  await rack.settle()
  return rack
}

/** What a witness finds of an instance. */
export type Answer = Pick<Testimony['suspects'][number], 'answers' | 'serves'>

/** What a host says that was asked about others. */
export function testify(
  statement: HostInstructions | undefined,
  ask: (instanceId: string) => Answer,
  sees: boolean,
): Pick<HostReport, 'testimony'> {
  if (statement?.witness === undefined) return {}
  const suspects = statement.witness.suspects.map(({ id, since }) => ({ id, since, ...ask(id) }))
  return { testimony: { sees, suspects } }
}

const listHomeVips = ({ vips }: InstanceInstructions) => vips.flatMap(({ home, address }) => (home ? [address] : []))

/** What a host says that has done all that it was told. */
export function makeTestReport(
  host: string,
  statement: HostInstructions | undefined,
  vipsHeldBy: (instance: InstanceInstructions) => readonly string[],
): HostReport {
  const describe = ({ id, generation }: { readonly id: string; readonly generation: number }) =>
    ({ id, generation, status: 'converged' }) as const
  return {
    format: 1,
    host,
    generation: statement?.generation ?? 0,
    agentVersion: 'test',
    bootId: 'boot',
    sequence: 1,
    startedAt: new Date(0).toISOString(),
    reportedAt: new Date(0).toISOString(),
    networks: (statement?.networks ?? []).map(describe),
    machines: (statement?.machines ?? []).map((machine) => ({
      ...describe(machine),
      ...describeAddresses(machine.addresses.map(({ address }) => address)),
    })),
    instances: (statement?.instances ?? []).map((instance) => ({
      ...describe(instance),
      ...describeAddresses([instance.network.address, instance.network.formerAddress ?? []].flat()),
      haproxy: 'running',
      keepalived: 'running',
      serving: true,
      ...(instance.draining === true && { drained: true }),
      heldVips: [...vipsHeldBy(instance)],
      members: Object.fromEntries(
        instance.listeners.flatMap(({ members }) =>
          members.map(({ id, port }) => [`${id}:${port}`, 'healthy'] as const),
        ),
      ),
    })),
  }
}

/** Of holders of several alone, as an agent does. */
const describeAddresses = (addresses: readonly string[]): { addresses?: AddressReport[] } =>
  addresses.length < 2 ? {} : { addresses: addresses.map((address) => ({ address, answers: true, connections: 0 })) }

async function writeGround({ store, now, random }: TestContext, names: readonly string[]) {
  const joinedAt = new Date(now()).toISOString()
  const hostIds = new Map<string, string>()
  for (const [i, name] of names.entries()) {
    const id = createId(hostKind.prefix, systemClient, now(), random)
    const underlayAddress = `198.18.0.${i + 1}`
    const value = { name, maintenance: false, labels: {}, underlayAddress, publicKey: 'U', joinedAt }
    await store.transact({ writes: [write({ kind: hostKind, id, expect: 'absent', value })] })
    hostIds.set(name, id)
  }
  const projectId = createClientId(projectKind.prefix, now(), random)
  const quota = { pools: 20, shards: 200, networks: 50, machines: 500, loadBalancers: 100 }
  const value = { name: 'shop', user: 'john', slug: 'shop', quota }
  await store.transact({ writes: [write({ kind: projectKind, id: projectId, expect: 'absent', value })] })
  return { projectId, hostIds }
}
