import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { loadBalancerKind, moveKind, shardOccupancyKind } from '../../objects.ts'
import { applyMigration } from './apply-migration.ts'
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

test('a write for a step that its move has left is not done', async () => {
  await ground.createMachine('web')
  await ground.createShard()
  await ground.start()
  await ground.rack.reconciler.turn()
  const planned = ground.rack.planAnew().flatMap((one) => (one.kind === 'migrate' ? [one.operation] : []))
  const late = planned.find(({ kind }) => kind === 'shapeHolder')
  if (late === undefined) throw new Error('nothing is shaped')
  const [move] = ground.rack.store.snapshot(moveKind)
  const returning = { ...move?.value, step: 'returning', returnsAs: 'failed' }
  const moved = { kind: moveKind, id: move?.id ?? '', expect: move?.version ?? 0, value: returning }
  await ground.rack.store.transact({ writes: [moved] })
  const { store, context } = ground.rack
  const means = { store, now: context.now, random: context.random }
  expect(await applyMigration(means, late)).toEqual({ kind: 'overtaken' })
})

function missing(): never {
  throw new Error('there is no such record')
}
