/**
 * Histories of migrations from seeds: shards are emptied while their holders run, and cancelled, rolled back and resumed,
 * while controllers die in the middle of writes, the store fails, and hosts are cut off or fail. At every step no address
 * is anybody's twice and none is given out of a shard that is being emptied; at the end every migration has ended, and
 * everybody has one address. `SIMULATION_SEED=7 bun test test/simulation/migrations` replays one.
 */

import { expect, setDefaultTimeout, test } from 'bun:test'
import type { StoredObject } from '../../controller/control-plane/store.ts'
import {
  type AddressValue,
  addressKind,
  instanceKind,
  machineKind,
  migrationKind,
  moveKind,
  type ShardValue,
  shardKind,
} from '../../controller/objects.ts'
import { findDoubles, findLeftovers } from './invariants.ts'
import { createMigratingCaller } from './migrating-caller.ts'
import { createSimulation, type Simulation } from './simulation.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

const stepsPerHistory = 120
const roundsToRest = 60
const runs = Number(process.env.SIMULATION_RUNS ?? 25)
const onlySeed = process.env.SIMULATION_SEED
const seeds = onlySeed === undefined ? Array.from({ length: runs }, (_, i) => i + 1) : [Number(onlySeed)]
const restMilliseconds = 5_000

for (const seed of seeds) {
  test(`history ${seed} of migrations ends with everybody at one address`, async () => {
    const simulation = await createSimulation({ seed, hosts: 3 })
    const watch = watchMigratingShards(simulation)
    const caller = createMigratingCaller(simulation)
    await settle(simulation, 4)
    await caller.prepare()
    await settle(simulation, 6)
    for (const host of simulation.hosts) host.failureRate = simulation.chance.happens(0.3) ? 0.01 : 0
    for (let step = 0; step < stepsPerHistory; step++) {
      disturb(simulation)
      const calls = Array.from({ length: simulation.chance.below(2) }, () => caller.call())
      await Promise.race([Promise.all([...calls, simulation.turn()]), simulation.flush()])
      await simulation.beat()
      if (step % 10 === 0) await sweep(simulation)
      simulation.advance(simulation.chance.below(1_500))
      expect(findDoubles(simulation.store, simulation.hosts)).toEqual([])
      expect(watch.violations).toEqual([])
    }
    for (const host of simulation.hosts) Object.assign(host, { isCut: false, failureRate: 0 })
    await settle(simulation, roundsToRest)
    expect(findRunning(simulation)).toEqual([])
    expect(findDoubles(simulation.store, simulation.hosts)).toEqual([])
    await steerBlocked(simulation, 'resume')
    await steerBlocked(simulation, 'cancel')
    expect(simulation.store.snapshot(migrationKind).filter(({ value }) => value.status === 'blocked')).toEqual([])
    expect(findDoubles(simulation.store, simulation.hosts)).toEqual([])
    expect(watch.violations).toEqual([])
    expect(findLeftovers(simulation.store, simulation.hosts)).toEqual([])
    expect(findUnreachable(simulation)).toEqual([])
    expect(findMarks(simulation)).toEqual([])
  })
}

function disturb(simulation: Simulation): void {
  const { chance } = simulation
  const controller = chance.pick(simulation.controllers())
  if (chance.happens(0.12)) controller?.crashing.dieAt(chance.below(8), chance.happens(0.5))
  if (chance.happens(0.04)) controller?.crashing.die()
  if (chance.happens(0.05) && simulation.controllers().length < 3) simulation.startController()
  const host = chance.pick(simulation.hosts)
  if (host !== undefined && chance.happens(host.isCut ? 0.3 : 0.04)) host.isCut = !host.isCut
}

async function settle(simulation: Simulation, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await simulation.turn()
    await simulation.beat()
    await sweep(simulation)
    simulation.advance(rounds > 10 ? restMilliseconds : 1_000)
    await simulation.beat()
  }
}

async function sweep(simulation: Simulation): Promise<void> {
  const sweeps = simulation.controllers().map((controller) => controller.sweep())
  await Promise.race([Promise.all(sweeps), simulation.flush()])
  await simulation.flush()
}

/** The store fails now and then, and so does a request: what is still blocked is asked for again. */
async function steerBlocked(simulation: Simulation, action: 'resume' | 'cancel'): Promise<void> {
  for (let attempt = 0; attempt < 4; attempt++) {
    for (const { id, value } of simulation.store.snapshot(migrationKind)) {
      const [controller] = simulation.controllers()
      if (value.status === 'blocked') await controller?.services.migrations.act(id, action, simulation.newRequest())
    }
    await settle(simulation, roundsToRest)
    if (action === 'resume') return
  }
}

const findRunning = ({ store }: Simulation) =>
  store
    .snapshot(migrationKind)
    .filter(({ value }) => value.status === 'running')
    .map(({ id, value }) => ({
      id,
      value,
      moves: store.snapshot(moveKind, id).filter((move) => move.value.migrationId === id),
    }))

/** Whoever has an address holds just that, and it is what its host has of it. */
function findUnreachable({ store, hosts }: Simulation): readonly string[] {
  const machines = new Map(hosts.flatMap(({ applied }) => (applied?.machines ?? []).map((one) => [one.id, one] as const)))
  const instances = new Map(
    hosts.flatMap(({ applied }) => (applied?.instances ?? []).map((one) => [one.id, one] as const)),
  )
  return [
    ...store.snapshot(machineKind).flatMap(({ id, value }) => {
      const found = machines.get(id)?.addresses.map(({ address }) => address) ?? []
      const isSo = value.addresses.length === 1 && found.length === 1 && found[0] === value.addresses[0]?.address
      const isPlain = value.drained !== true && value.restartsForAddress !== true
      return isSo && isPlain ? [] : [`${id} wants ${JSON.stringify(value.addresses)} and has ${found}`]
    }),
    ...store.snapshot(instanceKind).flatMap(({ id, value }) => {
      const found = instances.get(id)?.network
      const isSo = found?.address === value.networkAddress && found.formerAddress === undefined
      return isSo && value.formerNetworkAddress === undefined ? [] : [`${id} wants ${value.networkAddress}`]
    }),
  ]
}

/** A shard is marked while its migration is open, and not after. */
const findMarks = ({ store }: Simulation) => store.snapshot(shardKind).filter(({ value }) => value.migrationId !== undefined)

/** Remembers who held what of a shard when it was marked: nobody holds more of it while it is. */
function watchMigratingShards({ store }: Simulation): { readonly violations: readonly string[] } {
  const violations: string[] = []
  const heldAtMark = new Map<string, ReadonlySet<string>>()
  const addresses = new Map<string, AddressValue>()
  const marked = new Map<string, string>()
  const nameOf = ({ shardId, address, ownerId }: AddressValue) => `${shardId} ${address} ${ownerId}`
  store.subscribe((changes) => {
    for (const { object } of changes) {
      if (object.kind !== addressKind.name) continue
      const { id, value } = object as StoredObject<AddressValue | null>
      if (value === null) addresses.delete(id)
      else {
        addresses.set(id, value)
        const held = heldAtMark.get(value.shardId)
        if (held !== undefined && !held.has(nameOf(value))) violations.push(`${nameOf(value)} was given`)
      }
    }
    for (const { object } of changes) {
      if (object.kind !== shardKind.name) continue
      const { id, value } = object as StoredObject<ShardValue | null>
      const migrationId = value?.migrationId
      if (migrationId === undefined) {
        marked.delete(id)
        heldAtMark.delete(id)
      } else if (marked.get(id) !== migrationId) {
        marked.set(id, migrationId)
        const held = [...addresses.values()].filter(({ shardId }) => shardId === id).map(nameOf)
        heldAtMark.set(id, new Set(held))
      }
    }
  })
  return { violations }
}
