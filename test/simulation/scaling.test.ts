/**
 * Histories of balancers that are scaled, from seeds: a load that comes and goes at random while controllers die in the
 * middle of writes, hosts are cut off and callers change their minds. `SIMULATION_SEED=7 bun test test/simulation/scaling`
 * replays one, `SIMULATION_RUNS=500` tries more.
 */

import { expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { loadBalancerCreateSchema } from '../../controller/contract/load-balancer.ts'
import { autoScalingSchema } from '../../controller/contract/scaling.ts'
import { isStaying } from '../../controller/load-balancing/scaling/advance-slots.ts'
import {
  loadBalancerKind,
  loadBalancerScalingKind,
  loadBalancerSlotsKind,
  type SlotValue,
} from '../../controller/objects.ts'
import type { RequestInfo, Services } from '../../controller/services.ts'
import { findDoubles, findLeftovers } from './invariants.ts'
import { createSimulation, type Simulation } from './simulation.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

const stepsPerHistory = 90
const runs = Number(process.env.SIMULATION_RUNS ?? 15)
const onlySeed = process.env.SIMULATION_SEED
const seeds = onlySeed === undefined ? Array.from({ length: runs }, (_, i) => i + 1) : [Number(onlySeed)]

const target = 100
const autoScaling = v.parse(autoScalingSchema, {
  minimum: 1,
  maximum: 4,
  targets: { requestsPerSecond: target },
  cooldown: { outSeconds: 3, inSeconds: 8 },
})

for (const seed of seeds) {
  test(`history ${seed} keeps bounds, cooldowns and order, and ends with what its load asks for`, async () => {
    const simulation = await createSimulation({ seed, hosts: 3 })
    const { chance, store } = simulation
    await pass(simulation, 3, 0)
    const id = await createScaled(simulation)
    let rate = 0
    let before = slotsOf(simulation, id)
    for (let step = 0; step < stepsPerHistory; step++) {
      if (chance.happens(0.1)) rate = chance.below(600)
      disturb(simulation)
      if (chance.happens(0.03)) void callUpdate(simulation, id)
      await pass(simulation, 1, rate)
      expect(findDoubles(store, simulation.hosts)).toEqual([])
      const after = slotsOf(simulation, id)
      expect(findHasty(simulation, before, after)).toEqual([])
      before = after
      expect(findWrongDecisions(simulation, id)).toEqual([])
    }
    for (const host of simulation.hosts) host.isCut = false
    simulation.stallRate = 0
    await pass(simulation, 5, rate)
    await update(simulation, id, { autoScaling })
    for (let round = 0; round < 9; round++) {
      await pass(simulation, 10, rate)
      await Promise.race([Promise.all(simulation.controllers().map((one) => one.sweep())), simulation.flush()])
      await simulation.flush()
    }
    const count = Math.min(4, Math.max(1, Math.ceil(rate / target)))
    const margin = Math.min(4, Math.max(1, Math.ceil(rate / (target * 0.9))))
    const slots = slotsOf(simulation, id)
    // By as much as it wavers at most.
    expect(slots.length).toBeGreaterThanOrEqual(count)
    expect(slots.length).toBeLessThanOrEqual(Math.min(4, margin + 1))
    expect(slots.every(isStaying)).toBe(true)
    expect(findLeftovers(store, simulation.hosts)).toEqual([])
  })
}

const slotsOf = ({ store }: Simulation, id: string): readonly SlotValue[] =>
  store.snapshot(loadBalancerSlotsKind).find((slots) => slots.id === id)?.value.slots ?? []

/** Seconds go by: instances have their share of the load, hosts report, controllers turn. */
async function pass(simulation: Simulation, seconds: number, rate: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    const instances = simulation.store
      .snapshot(loadBalancerSlotsKind)
      .flatMap(({ value }) => value.slots.flatMap(({ instanceId }) => instanceId ?? []))
    for (const id of instances) {
      simulation.requests.set(id, (simulation.requests.get(id) ?? 0) + rate / instances.length)
    }
    await simulation.beat()
    await simulation.turn()
    await simulation.flush()
    simulation.advance(1000)
  }
}

function disturb(simulation: Simulation): void {
  const { chance } = simulation
  const controller = chance.pick(simulation.controllers())
  if (chance.happens(0.1)) controller?.crashing.dieAt(chance.below(3), chance.happens(0.5))
  if (chance.happens(0.04)) controller?.crashing.die()
  if (chance.happens(0.05) && simulation.controllers().length < 3) simulation.startController()
  const host = chance.pick(simulation.hosts)
  if (host !== undefined && chance.happens(host.isCut ? 0.3 : 0.02)) host.isCut = !host.isCut
}

/** Asks until it is answered: a controller may die over it. */
async function ask(
  simulation: Simulation,
  call: (
    services: Pick<Services, 'loadBalancers' | 'pools' | 'networks' | 'shards'>,
    request: RequestInfo,
  ) => Promise<{ readonly ok: boolean; readonly value?: unknown }>,
): Promise<{ readonly id: string }> {
  const request = simulation.newRequest()
  for (let tries = 0; tries < 50; tries++) {
    const [controller] = simulation.controllers()
    if (controller === undefined) throw new Error('there is no controller')
    const outcome = await Promise.race([call(controller.services, request), simulation.flush().then(() => null)])
    if (outcome?.ok === true) return outcome.value as { readonly id: string }
    await pass(simulation, 1, 0)
  }
  throw new Error('nobody answers')
}

async function createScaled(simulation: Simulation): Promise<string> {
  const [projectId = ''] = simulation.projectIds
  const pool = await ask(simulation, ({ pools }, request) =>
    pools.create({ name: 'all', projectId, cidr: '10.0.0.0/16' }, request),
  )
  const network = await ask(simulation, ({ networks }, request) =>
    networks.create({ name: 'web', projectId, mtu: 1400 }, request),
  )
  await ask(simulation, ({ shards }, request) =>
    shards.create({ poolId: pool.id, networkId: network.id, sizeAddresses: 64 }, request),
  )
  const input = v.parse(loadBalancerCreateSchema, {
    name: 'shop',
    projectId,
    networkId: network.id,
    trafficType: 'http',
    listeners: [{ port: 80 }],
    members: [{ address: '10.9.9.9' }],
    timeouts: { drainSeconds: 3 },
    autoScaling,
  })
  return (await ask(simulation, ({ loadBalancers }, request) => loadBalancers.create(input, request))).id
}

async function update(simulation: Simulation, id: string, change: object): Promise<void> {
  await ask(simulation, ({ loadBalancers }, request) => loadBalancers.update(id, change, request))
}

/** Somebody who does not wait for the answer. */
async function callUpdate(simulation: Simulation, id: string): Promise<void> {
  const { chance } = simulation
  const controller = chance.pick(simulation.controllers())
  const change = chance.pick([
    { autoScaling: false as const },
    { autoScaling: true as const },
    { instanceCount: 1 + chance.below(4) },
  ])
  if (change === undefined) return
  await controller?.services.loadBalancers.update(id, change, simulation.newRequest())
}

/** Slots that went without having been on their way out; and a balancer that is left with none. */
function findHasty(
  { store }: Simulation,
  before: readonly SlotValue[],
  after: readonly SlotValue[],
): readonly string[] {
  if (store.snapshot(loadBalancerKind).length === 0) return ['the balancer is gone']
  const hasty = before.filter(
    ({ slot, drainingSince }) => drainingSince === undefined && !after.some((other) => other.slot === slot),
  )
  return [
    ...hasty.map((slot) => `${JSON.stringify(slot)} went at once`),
    ...(before.length > 0 && !after.some(isStaying) ? ['nobody stays'] : []),
  ]
}

/** Each goes on from the one before, within bounds, and no sooner than the cooldown lets it. */
function findWrongDecisions({ store }: Simulation, id: string): readonly string[] {
  const { decisions = [], desiredCount } =
    store.snapshot(loadBalancerScalingKind).find((scaling) => scaling.id === id)?.value ?? {}
  const inOrder = decisions.toReversed()
  return inOrder.flatMap(({ decidedAt, from, to }, i) => {
    const last = inOrder[i - 1]
    const wrong: string[] = []
    if (to === from || to < 1 || to > 8) wrong.push(`${from} → ${to} at ${decidedAt}`)
    if (i === inOrder.length - 1 && to !== desiredCount) wrong.push(`${to} was decided, and ${desiredCount} is wanted`)
    if (last === undefined) return wrong
    if (last.to !== from) wrong.push(`${from} → ${to} after ${last.from} → ${last.to}`)
    const seconds = (Date.parse(decidedAt) - Date.parse(last.decidedAt)) / 1000
    const least = to < from ? 8 : last.to > last.from ? 3 : 0
    if (seconds < least) wrong.push(`${from} → ${to} came ${seconds} s after ${last.from} → ${last.to}`)
    return wrong
  })
}
