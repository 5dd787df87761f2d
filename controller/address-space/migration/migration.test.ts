import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { migrationCreateSchema } from '../../contract/migration.ts'
import { createNamedId } from '../../control-plane/shard-key.ts'
import type { Kind, Store } from '../../control-plane/store.ts'
import {
  addressKind,
  loadBalancerKind,
  machineKind,
  migrationKind,
  moveKind,
  shardOccupancyKind,
} from '../../objects.ts'
import { createAddressAllocator } from '../allocator.ts'
import { applyMigration } from './apply-migration.ts'
import type { MigrationOperation } from './migration-operation.ts'
import { asTheyAre, createMigrationRack, get, hostNames, type MigrationRack, withAddresses } from './migration-rack.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let ground: MigrationRack
beforeEach(async () => {
  ground = await createMigrationRack()
})

describe('a migration', () => {
  test('has no more holders under way than it may', async () => {
    for (const name of ['one', 'two', 'three', 'four', 'five']) await ground.createMachine(name)
    await ground.createShard()
    const migration = await ground.start({ parallelism: 2 })
    ground.distortAll(withAddresses({ answers: false }))
    await ground.pass(4)
    const steps = (await ground.show(migration.id)).moves.map(({ step }) => step)
    expect(steps).toEqual(['adding', 'adding', 'waiting', 'waiting', 'waiting'])
    ground.distortAll(asTheyAre)
    await ground.pass(12)
    expect(await ground.show(migration.id)).toMatchObject({ status: 'done', movesDone: 5 })
  })

  test('gives the shard to the network that was asked for', async () => {
    const { services, context, projectId } = ground.rack
    const { id } = get(await services.networks.create({ name: 'other', projectId, mtu: 1400 }, context.request()))
    await ground.createMachine('web')
    await ground.createShard()
    await ground.start({ toNetworkId: id })
    await ground.pass(4)
    expect(ground.shardOf(ground.shardId)?.networkId).toBe(id)
  })

  test('of an empty shard is done at once', async () => {
    const migration = await ground.start()
    await ground.rack.settle()
    expect(await ground.show(migration.id)).toMatchObject({ status: 'done', movesTotal: 0 })
  })

  test('goes on without a machine that is deleted meanwhile', async () => {
    const id = await ground.createMachine('web')
    const target = await ground.createShard()
    const migration = await ground.start()
    ground.distortAll(withAddresses({ answers: false }))
    await ground.pass(2)
    get(await ground.rack.services.machines.remove(id, ground.rack.context.request()))
    await ground.pass(3)
    expect(await ground.show(migration.id)).toMatchObject({ status: 'done', movesDone: 1 })
    expect([ground.moveOf('web').step, ground.heldIn(ground.shardId), ground.heldIn(target)]).toEqual(['gone', [], []])
  })

  test('names who finds no address, has moved the others, and goes on when there is one', async () => {
    for (const name of ['one', 'two']) await ground.createMachine(name)
    const target = await ground.createShard(16)
    const migration = await ground.start({ parallelism: 1 })
    const { id, version, value } =
      ground.rack.store.snapshot(shardOccupancyKind).find((one) => one.id === target) ?? missing()
    const full = { ...value, takenBitmap: Buffer.from([0xfb, 0xff]).toString('base64') }
    await ground.rack.store.transact({ writes: [{ kind: shardOccupancyKind, id, expect: version, value: full }] })
    await ground.pass(10)
    const shown = await ground.show(migration.id)
    expect(shown).toMatchObject({ status: 'blocked', movesDone: 1, movesFailed: 1 })
    expect(shown.reason).toContain('two (10.0.0.3): There was no address to go to:')
    await ground.createShard()
    get(await ground.rack.services.migrations.act(migration.id, 'resume', ground.rack.context.request()))
    await ground.pass(4)
    expect(await ground.show(migration.id)).toMatchObject({ status: 'done', movesDone: 2 })
  })

  test('that is cancelled moves nobody any more, and its shard gives addresses again', async () => {
    for (const name of ['one', 'two', 'three']) await ground.createMachine(name)
    await ground.createShard()
    const migration = await ground.start({ parallelism: 1 })
    ground.distortAll(withAddresses({ connections: 1 }))
    await ground.pass(3)
    get(await ground.rack.services.migrations.act(migration.id, 'cancel', ground.rack.context.request()))
    ground.distortAll(asTheyAre)
    await ground.pass(4)
    const shown = await ground.show(migration.id)
    expect(shown.status).toBe('cancelled')
    expect(shown.moves.map(({ step }) => step)).toEqual(['done', 'waiting', 'waiting'])
    expect(ground.shardOf(ground.shardId)?.migrationId).toBeUndefined()
    expect(ground.shardOf(ground.shardId)?.networkId).toBe(ground.networkId)
    expect(ground.eventsOf('migration.cancelled')).toHaveLength(1)
  })

  test('that is rolled back has everybody at the old address', async () => {
    const ids = [
      await ground.createMachine('one'),
      await ground.createMachine('two'),
      await ground.createMachine('three'),
    ]
    await ground.createBalancer([{ address: '10.0.0.2' }], { instanceCount: 1 })
    const before = [...ids.map((id) => ground.addressesOf(id)[0]), ground.instances()[0]?.networkAddress]
    const target = await ground.createShard()
    const migration = await ground.start({ parallelism: 1, drainSeconds: 3 })
    await ground.pass(4)
    expect((await ground.show(migration.id)).movesDone).toBeGreaterThan(0)
    get(await ground.rack.services.migrations.act(migration.id, 'rollback', ground.rack.context.request()))
    await ground.pass(40)
    expect((await ground.show(migration.id)).status).toBe('rolled-back')
    expect([...ids.map((id) => ground.addressesOf(id)[0]), ground.instances()[0]?.networkAddress]).toEqual(before)
    expect([ground.heldIn(target), ground.heldIn(ground.shardId).length]).toEqual([[], 4])
    const [balancer] = ground.rack.store.snapshot(loadBalancerKind)
    expect(balancer?.value.members[0]?.address).toBe('10.0.0.2')
    const occupancy = ground.rack.store.snapshot(shardOccupancyKind).find(({ id }) => id === ground.shardId)
    expect(occupancy?.value.resourceCount).toBe(4)
    expect(ground.rack.planAnew()).toEqual([])
  })

  test('in restart mode is rolled back as well', async () => {
    const ids = [await ground.createMachine('one'), await ground.createMachine('two')]
    await ground.createShard()
    const migration = await ground.start({ mode: 'restart', parallelism: 1, drainSeconds: 0 })
    for (let turn = 0; turn < 20 && (await ground.show(migration.id)).movesDone === 0; turn++) {
      ground.rack.beat()
      await ground.rack.reconciler.turn()
    }
    get(await ground.rack.services.migrations.act(migration.id, 'rollback', ground.rack.context.request()))
    await ground.pass(10)
    expect((await ground.show(migration.id)).status).toBe('rolled-back')
    expect(ids.map((id) => ground.addressesOf(id))).toEqual([['10.0.0.2'], ['10.0.0.3']])
    for (const id of ids) expect(ground.machine(id).drained).toBeUndefined()
  })

  test('is blocked by a holder on a silent host, and goes on when that is heard again', async () => {
    const id = await ground.createMachine('web')
    await ground.createShard()
    const migration = await ground.start({ drainSeconds: 0 })
    const host = hostNames.find((name) => ground.rack.hostIds.get(name) === ground.machine(id).hostId) ?? 'a'
    ground.rack.cut(host)
    await ground.pass(140)
    const shown = await ground.show(migration.id)
    expect(shown.status).toBe('blocked')
    expect(shown.reason).toContain('is not heard of')
    ground.rack.heal(host)
    await ground.pass(5)
    expect(ground.moveOf('web').step).toBe('failed')
    expect(ground.addressesOf(id)).toEqual(['10.0.0.2'])
  })
})

describe('whoever is late', () => {
  /** The first write of its kind that a turn plans, which is not done. */
  async function holdBack(kind: Kind<unknown>): Promise<Extract<MigrationOperation, { kind: 'shapeHolder' }>> {
    for (let turn = 0; turn < 20; turn++) {
      for (const planned of ground.rack.planAnew()) {
        const operation = planned.kind === 'migrate' ? planned.operation : null
        if (operation?.kind === 'shapeHolder' && operation.writes[0]?.kind.name === kind.name) return operation
      }
      await ground.rack.reconciler.turn()
      ground.rack.beat()
    }
    throw new Error(`nothing is written of a ${kind.name}`)
  }

  test('finds that its move is at another step', async () => {
    await ground.createMachine('web')
    await ground.createShard()
    const migration = await ground.start()
    const late = await holdBack(machineKind)
    get(await ground.rack.services.migrations.act(migration.id, 'rollback', ground.rack.context.request()))
    await ground.rack.reconciler.turn()
    const { store, context } = ground.rack
    const means = { store, now: context.now, random: context.random }
    expect(await applyMigration(means, late)).toEqual({ kind: 'overtaken' })
  })

  test('does not give a machine the address that its move gave back, though it had asked for the step before', async () => {
    const id = await ground.createMachine('web')
    await ground.createShard()
    const migration = await ground.start()
    const late = await holdBack(machineKind)
    get(await ground.rack.services.migrations.act(migration.id, 'rollback', ground.rack.context.request()))
    await ground.pass(4)
    expect([ground.moveOf('web').step, ground.addressesOf(id)]).toEqual(['undone', ['10.0.0.2']])
    expect((await ground.rack.store.transact({ writes: late.writes })).outcome).toBe('conflict')
  })

  test('does not name that address in a balancer either', async () => {
    await ground.createMachine('web')
    await ground.createBalancer([{ address: '10.0.0.2' }, { address: '10.9.9.9' }], { instanceCount: 1 })
    await ground.createShard()
    const migration = await ground.start()
    const late = await holdBack(loadBalancerKind)
    get(await ground.rack.services.migrations.act(migration.id, 'rollback', ground.rack.context.request()))
    await ground.pass(40)
    expect(ground.moveOf('web').step).toBe('undone')
    expect((await ground.rack.store.transact({ writes: late.writes })).outcome).toBe('conflict')
  })

  test('begins no move of a migration that was cancelled', async () => {
    await ground.createMachine('web')
    await ground.createShard()
    const migration = await ground.start()
    const late = ground.rack.planAnew().flatMap((one) => (one.kind === 'migrate' ? [one.operation] : []))
    expect(late.map(({ kind }) => kind)).toEqual(['beginMoves'])
    get(await ground.rack.services.migrations.act(migration.id, 'cancel', ground.rack.context.request()))
    await ground.pass(1)
    expect((await ground.show(migration.id)).status).toBe('cancelled')
    const { store, context } = ground.rack
    const means = { store, now: context.now, random: context.random }
    for (const operation of late) expect(await applyMigration(means, operation)).toEqual({ kind: 'overtaken' })
    expect(ground.moveOf('web').step).toBe('waiting')
  })

  test('does not say of a holder that it is gone', async () => {
    await ground.createMachine('web')
    await ground.createShard()
    const migration = await ground.start()
    const { store, context } = ground.rack
    const [move] = store.snapshot(moveKind)
    const [stored] = store.snapshot(migrationKind)
    if (move === undefined || stored === undefined) throw new Error(`${migration.id} has no moves`)
    const steps = [{ move, value: { ...move.value, step: 'gone' } as const }]
    const means = { store, now: context.now, random: context.random }
    const operation = { kind: 'stepMoves', migration: stored, steps } as const
    expect(await applyMigration(means, operation)).toEqual({ kind: 'overtaken' })
  })
})

test('an address that is taken while its shard is being marked is of another shard', async () => {
  await ground.createMachine('web')
  const target = await ground.createShard()
  const { store, context } = ground.rack
  let isMarked = false
  const slow: Store = {
    ...store,
    async transact(transaction) {
      if (!isMarked) await ground.start()
      isMarked = true
      return store.transact(transaction)
    },
  }
  const allocator = createAddressAllocator({ store: slow, now: context.now, random: context.random })
  const ownerId = createNamedId(machineKind.prefix, ground.networkId, 'late')
  const taken = get(await allocator.allocateAddress({ networkId: ground.networkId, ownerId }))
  allocator.close()
  expect([isMarked, taken.shardId]).toEqual([true, target])
  expect(ground.heldIn(ground.shardId)).toEqual(['10.0.0.2'])
})

test('two migrations do not move the same holder at once', async () => {
  const { services, context, store } = ground.rack
  const id = await ground.createMachine('one')
  await ground.createMachine('two')
  const target = await ground.createShard()
  const first = await ground.start({ parallelism: 1 })
  for (let second = 0; second < 10 && ground.moveOf('one').step !== 'done'; second++) await ground.pass(1)
  get(await services.migrations.act(first.id, 'cancel', context.request()))
  await ground.pass(8)
  const operationsOf = (migrationId: string) =>
    ground.rack
      .planAnew()
      .flatMap((one) => (one.kind === 'migrate' && one.operation.migration.id === migrationId ? [one.operation] : []))
  await ground.createShard()
  const input = v.parse(migrationCreateSchema, { parallelism: 1 })
  const away = get(await services.migrations.start(target, input, context.request()))
  const begins = operationsOf(away.id)
  get(await services.migrations.act(first.id, 'rollback', context.request()))
  const returns = operationsOf(first.id)
  expect([...begins, ...returns].map(({ kind }) => kind)).toEqual(['beginMoves', 'returnMoves'])
  const means = { store, now: context.now, random: context.random }
  const outcomes = await Promise.all([...begins, ...returns].map((operation) => applyMigration(means, operation)))
  expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['done', 'overtaken'])
  await ground.pass(40)
  const held = store.snapshot(addressKind).filter(({ value }) => value.ownerId === id)
  expect(held.map(({ value }) => value.address)).toEqual([...ground.addressesOf(id)])
})

function missing(): never {
  throw new Error('there is no such record')
}
