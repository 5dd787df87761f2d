/** One history of instances' lives, from its seed to the rest that it comes to, and all that was wrong on its way. */

import * as v from 'valibot'
import { loadBalancerCreateSchema } from '../../controller/contract/load-balancer.ts'
import { write } from '../../controller/control-plane/store.ts'
import { createBreakerService } from '../../controller/load-balancing/life/breaker-service.ts'
import type { LifeSettings } from '../../controller/load-balancing/life/life-settings.ts'
import { hostKind } from '../../controller/objects.ts'
import { findDoubles, findLeftovers } from './invariants.ts'
import { findUnplaced, watchLives } from './life-invariants.ts'
import { createSimulation, type Simulation } from './simulation.ts'

const stepsPerHistory = 150
const hostCount = 5
const instanceCounts = [1, 2, 3]
const life: LifeSettings = { suspectAfterSeconds: 6, graceSeconds: 40, breakerShare: 0.25, breakerWindowSeconds: 20 }
/** Long enough for every grace period to end, and for what nobody wants to be swept. */
const roundsToRest = 60
const restMilliseconds = 2_000

export interface LifeHistory {
  readonly simulation: Simulation
  /** Nothing, as it should be. */
  readonly wrong: readonly string[]
  readonly replacements: number
  readonly reinstatements: number
}

export async function runLifeHistory(seed: number): Promise<LifeHistory> {
  const simulation = await createSimulation({ seed, hosts: hostCount, life })
  const { chance, store, hosts } = simulation
  await declare(simulation)
  const lives = watchLives(simulation)
  simulation.stallRate = chance.pick([0, 0.002]) ?? 0
  simulation.lateRate = chance.pick([0, 0.1, 0.3]) ?? 0
  const conclude = (wrong: readonly string[]): LifeHistory => {
    const count = (type: string) =>
      simulation.events.filter((event) => event.type === `load-balancer.instance.${type}`).length
    return { simulation, wrong, replacements: count('replaced'), reinstatements: count('reinstated') }
  }
  for (let step = 1; step <= stepsPerHistory; step++) {
    await disturb(simulation)
    lives.look()
    await Promise.race([simulation.turn(), simulation.flush()])
    await simulation.beat()
    simulation.advance(chance.below(1_500))
    lives.look()
    const wrong = [...findDoubles(store, hosts), ...lives.violations]
    if (wrong.length > 0) return conclude([`at step ${step}`, ...wrong])
  }
  await recover(simulation)
  for (let round = 0; round < roundsToRest; round++) await pass(simulation, restMilliseconds)
  return conclude([
    ...lives.violations,
    ...findDoubles(store, hosts),
    ...findLeftovers(store, hosts),
    ...findUnplaced(store),
  ])
}

async function declare(simulation: Simulation): Promise<void> {
  const [projectId = ''] = simulation.projectIds
  await pass(simulation, 1_000)
  const pool = await ask(simulation, ({ pools }, request) =>
    pools.create({ name: 'pool', projectId, cidr: '10.0.0.0/16' }, request),
  )
  const network = await ask(simulation, ({ networks }, request) =>
    networks.create({ name: 'net', projectId, mtu: 1400 }, request),
  )
  await ask(simulation, ({ shards }, request) =>
    shards.create({ poolId: pool.id, sizeAddresses: 256, networkId: network.id }, request),
  )
  for (const instanceCount of instanceCounts) {
    const given = { name: `balancer-${instanceCount}`, projectId, networkId: network.id, trafficType: 'http' }
    const rest = { listeners: [{ port: 80 }], members: [{ address: '10.9.9.9' }], instanceCount }
    const input = v.parse(loadBalancerCreateSchema, { ...given, ...rest })
    await ask(simulation, ({ loadBalancers }, request) => loadBalancers.create(input, request))
  }
  for (let round = 0; round < 10; round++) await pass(simulation, 1_000)
}

type Services = ReturnType<Simulation['controllers']>[number]['services']
type Answer<Value> = Promise<{ readonly ok: true; readonly value: Value } | { readonly ok: false }>

/** Until it is answered: the store fails now and then. The request stays the same, so that nothing is made twice. */
async function ask<Value>(
  simulation: Simulation,
  call: (services: Services, request: ReturnType<Simulation['newRequest']>) => Answer<Value>,
): Promise<Value> {
  const request = simulation.newRequest()
  for (let attempt = 0; attempt < 10; attempt++) {
    const [controller] = simulation.controllers()
    const outcome = controller === undefined ? undefined : await call(controller.services, request)
    if (outcome?.ok === true) return outcome.value
    await pass(simulation, 1_000)
  }
  throw new Error('the ground could not be laid')
}

async function disturb(simulation: Simulation): Promise<void> {
  const { chance, hosts } = simulation
  const controller = chance.pick(simulation.controllers())
  if (chance.happens(0.08)) controller?.crashing.dieAt(chance.below(6), chance.happens(0.5))
  if (chance.happens(0.03)) controller?.crashing.die()
  if (chance.happens(0.08) && simulation.controllers().length < 3) simulation.startController()
  const host = chance.pick(hosts)
  if (host === undefined) return
  if (chance.happens(host.isCut ? 0.2 : 0.01)) host.isCut = !host.isCut
  if (chance.happens(host.isDead ? 0.15 : 0.02)) host.isDead = !host.isDead
  if (chance.happens(host.isUnplugged ? 0.2 : 0.015)) host.isUnplugged = !host.isUnplugged
  const instance = chance.pick(host.applied?.instances ?? [])
  if (instance !== undefined && chance.happens(0.02)) host.broken.add(instance.id)
  if (chance.happens(0.1)) host.broken.clear()
  const other = chance.pick(hosts)
  if (other !== undefined && chance.happens(0.05)) host.cannotReach.add(other.name)
  if (chance.happens(0.1)) host.cannotReach.clear()
  if (chance.happens(0.01)) await setMaintenance(simulation, host.name, chance.happens(0.5))
  if (chance.happens(0.02)) await resetBreaker(simulation)
}

async function setMaintenance({ store }: Simulation, name: string, maintenance: boolean): Promise<void> {
  const host = store.snapshot(hostKind).find(({ value }) => value.name === name)
  if (host === undefined) return
  const value = { ...host.value, maintenance }
  await store
    .transact({ writes: [write({ kind: hostKind, id: host.id, expect: host.version, value })] })
    .catch(() => undefined)
}

async function resetBreaker(simulation: Simulation): Promise<void> {
  const { store, now } = simulation
  await createBreakerService({ store, now, wake: () => undefined })
    .reset(simulation.newRequest())
    .catch(() => undefined)
}

async function recover(simulation: Simulation): Promise<void> {
  simulation.stallRate = 0
  simulation.lateRate = 0
  for (const host of simulation.hosts) {
    Object.assign(host, { isCut: false, isDead: false, isUnplugged: false })
    host.broken.clear()
    host.cannotReach.clear()
    // The store may fail just then.
    for (let attempt = 0; attempt < 5; attempt++) await setMaintenance(simulation, host.name, false)
  }
}

async function pass(simulation: Simulation, milliseconds: number): Promise<void> {
  await simulation.turn()
  await simulation.beat()
  const sweeps = simulation.controllers().map((controller) => controller.sweep())
  await Promise.race([Promise.all(sweeps), simulation.flush()])
  simulation.advance(milliseconds)
  await simulation.beat()
}
