/**
 * Histories of a whole rack from seeds: callers create, change and delete at random while controllers die in the middle
 * of writes, the store fails and hosts are cut off. At every step no address is anybody's twice; at the end everything
 * is whole or absent. `SIMULATION_SEED=7 bun test test/simulation` replays one, `SIMULATION_RUNS=500` tries more.
 */

import { expect, setDefaultTimeout, test } from 'bun:test'
import { planReconcile } from '../../controller/reconcile/plan-reconcile.ts'
import { renderAllHosts } from '../../controller/reconcile/render-host-instructions.ts'
import { readSnapshot } from '../../controller/reconcile/snapshot.ts'
import { createCaller } from './callers.ts'
import { findDoubles, findLeftovers } from './invariants.ts'
import { createSimulation, type Simulation } from './simulation.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

const stepsPerHistory = 80
const roundsToRest = 40
const runs = Number(process.env.SIMULATION_RUNS ?? 25)
const onlySeed = process.env.SIMULATION_SEED
const seeds = onlySeed === undefined ? Array.from({ length: runs }, (_, i) => i + 1) : [Number(onlySeed)]
/** Reservations and addresses without an owner are left alone for half a minute. */
const restMilliseconds = 5_000

for (const seed of seeds) {
  test(`history ${seed} ends with everything whole or absent`, async () => {
    const simulation = await createSimulation({ seed, hosts: 3 })
    const caller = createCaller(simulation)
    await settle(simulation, 4)
    for (let step = 0; step < stepsPerHistory; step++) {
      disturb(simulation)
      const calls = Array.from({ length: simulation.chance.below(5) }, () => caller.call())
      await Promise.race([Promise.all([...calls, simulation.turn()]), simulation.flush()])
      await simulation.beat()
      simulation.advance(simulation.chance.below(1_500))
      expect(findDoubles(simulation.store, simulation.hosts)).toEqual([])
    }
    for (const host of simulation.hosts) host.isCut = false
    await settle(simulation, roundsToRest)
    expect(findDoubles(simulation.store, simulation.hosts)).toEqual([])
    expect(findLeftovers(simulation.store, simulation.hosts)).toEqual([])
    expect(await planAnew(simulation)).toEqual([])
    expect(findRepeatedEvents(simulation)).toEqual([])
  })
}

function disturb(simulation: Simulation): void {
  const { chance } = simulation
  const controller = chance.pick(simulation.controllers())
  if (chance.happens(0.15)) controller?.crashing.dieAt(chance.below(6), chance.happens(0.5))
  if (chance.happens(0.05)) controller?.crashing.die()
  if (chance.happens(0.05) && simulation.controllers().length < 3) simulation.startController()
  const host = chance.pick(simulation.hosts)
  if (host !== undefined && chance.happens(host.isCut ? 0.3 : 0.04)) host.isCut = !host.isCut
}

/** Time goes on in peace. */
async function settle(simulation: Simulation, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await simulation.turn()
    await simulation.beat()
    await Promise.race([
      Promise.all(simulation.controllers().map((controller) => controller.sweep())),
      simulation.flush(),
    ])
    await simulation.flush()
    simulation.advance(rounds > 10 ? restMilliseconds : 1_000)
    await simulation.beat()
  }
}

/** What a controller that has just begun would do. */
async function planAnew(simulation: Simulation) {
  const snapshot = readSnapshot(simulation.store)
  const published = new Map<string, NonNullable<Awaited<ReturnType<typeof simulation.bus.read>>>['statement']>()
  for (const { name } of simulation.hosts) {
    const known = await simulation.bus.read(name)
    if (known !== null) published.set(name, known.statement)
  }
  const [controller] = simulation.controllers()
  if (controller === undefined) throw new Error('there is no controller')
  const contents = renderAllHosts(snapshot, simulation.settings)
  const { settings } = simulation
  const input = { snapshot, contents, published, observed: controller.inbox, settings, now: simulation.now() }
  return planReconcile({ ...input, loads: new Map() })
}

/** What happens to an object once is told once. */
function findRepeatedEvents(simulation: Simulation): readonly string[] {
  const once = ['created', 'deleted', 'placed'].flatMap((verb) =>
    simulation.events.filter(({ type }) => type.endsWith(`.${verb}`)).map(({ type, subject }) => `${type} ${subject}`),
  )
  return once.filter((event, i) => once.indexOf(event) < i)
}
