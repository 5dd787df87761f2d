/** One history of migrations, from its seed to the rest that it comes to, and all that was wrong on its way. */

import { migrationKind } from '../../controller/objects.ts'
import { findDoubles, findLeftovers, findUnheld } from './invariants.ts'
import { createMigratingCaller, type MigratingCaller } from './migrating-caller.ts'
import { findMarks, findRunning, findUnreachable, watchMarkedShards, watchMembers } from './migration-invariants.ts'
import { createSimulation, type Simulation } from './simulation.ts'

const stepsPerHistory = 120
/** A holder takes some rounds for each of its steps, and those of a shard may have to move one after the other. */
const roundsToEndMaximum = 300
/** What nobody wants is swept after half a minute. */
const roundsToRest = 12
const restMilliseconds = 5_000

export interface MigrationHistory {
  readonly simulation: Simulation
  /** Nothing, as it should be. */
  readonly wrong: readonly string[]
}

export async function runMigrationHistory(seed: number): Promise<MigrationHistory> {
  const simulation = await createSimulation({ seed, hosts: 3 })
  const { chance, store, hosts } = simulation
  const watch = watchMarkedShards(store)
  const caller = createMigratingCaller(simulation)
  /** What must hold at every moment. */
  const findWrong = () => [...findDoubles(store, hosts), ...findUnheld(store, hosts), ...watch.violations]

  await pass(simulation, 4, 1_000)
  await caller.prepare()
  await pass(simulation, 6, 1_000)
  const members = watchMembers(simulation)
  simulation.stallRate = chance.pick([0, 0.002, 0.01]) ?? 0
  for (const host of hosts) host.failureRate = chance.happens(0.3) ? 0.01 : 0
  for (let step = 1; step <= stepsPerHistory; step++) {
    disturb(simulation)
    const calls = Array.from({ length: chance.below(2) }, () => caller.call())
    await Promise.race([Promise.all([...calls, simulation.turn()]), simulation.flush()])
    await simulation.beat()
    if (step % 10 === 0) await sweep(simulation)
    simulation.advance(chance.below(1_500))
    const wrong = findWrong()
    if (wrong.length > 0) return { simulation, wrong: [`at step ${step}`, ...wrong] }
  }

  simulation.stallRate = 0
  for (const host of hosts) Object.assign(host, { isCut: false, failureRate: 0 })
  await comeToRest(simulation)
  await actOnBlocked(simulation, caller, 'resume')
  await actOnBlocked(simulation, caller, 'cancel')
  const wrong = [
    ...findRunning(simulation),
    ...findBlocked(simulation).map(({ id, value }) => `${id} is still blocked: ${value.reason}`),
    ...findWrong(),
    ...findLeftovers(store, hosts),
    ...findUnreachable(simulation),
    ...findMarks(simulation),
    ...members.findAstray(),
    ...caller.ledger.findLost(),
    ...(caller.ledger.size === 0 ? ['nothing was acknowledged'] : []),
  ]
  return { simulation, wrong }
}

const findBlocked = ({ store }: Simulation) =>
  store.snapshot(migrationKind).filter(({ value }) => value.status === 'blocked')

function disturb(simulation: Simulation): void {
  const { chance } = simulation
  const controller = chance.pick(simulation.controllers())
  if (chance.happens(0.12)) controller?.crashing.dieAt(chance.below(8), chance.happens(0.5))
  if (chance.happens(0.04)) controller?.crashing.die()
  if (chance.happens(0.15) && simulation.controllers().length < 3) simulation.startController()
  const host = chance.pick(simulation.hosts)
  if (host !== undefined && chance.happens(host.isCut ? 0.3 : 0.04)) host.isCut = !host.isCut
}

async function pass(simulation: Simulation, rounds: number, milliseconds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await simulation.turn()
    await simulation.beat()
    await sweep(simulation)
    simulation.advance(milliseconds)
    await simulation.beat()
  }
}

/**
 * Until every migration has ended or is blocked, and what nobody wants has been swept. What is blocked may go on by itself
 * meanwhile.
 */
async function comeToRest(simulation: Simulation): Promise<void> {
  let roundsAtRest = 0
  for (let round = 0; round < roundsToEndMaximum && roundsAtRest < roundsToRest; round++) {
    await pass(simulation, 1, restMilliseconds)
    roundsAtRest = findRunning(simulation).length > 0 ? 0 : roundsAtRest + 1
  }
}

async function sweep(simulation: Simulation): Promise<void> {
  const sweeps = simulation.controllers().map((controller) => controller.sweep())
  await Promise.race([Promise.all(sweeps), simulation.flush()])
}

/** The store fails now and then, and so does a request: what is still blocked is asked for again. */
async function actOnBlocked(
  simulation: Simulation,
  caller: MigratingCaller,
  action: 'resume' | 'cancel',
): Promise<void> {
  const attempts = action === 'resume' ? 1 : 4
  for (let attempt = 0; attempt < attempts && findBlocked(simulation).length > 0; attempt++) {
    for (const { id } of findBlocked(simulation)) await caller.act(id, action)
    await comeToRest(simulation)
  }
}
