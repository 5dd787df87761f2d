import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { HostReport } from '../../../agent/contract/host-report.ts'
import { addressKind, loadBalancerKind, moveKind, shardKind, shardOccupancyKind } from '../../objects.ts'
import { applyMigration } from './apply-migration.ts'
import { createMigrationRack, get, type MigrationRack } from './migration-rack.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let ground: MigrationRack
beforeEach(async () => {
  ground = await createMigrationRack()
})

const addressesOf = (id: string) => ground.machine(id).addresses.map(({ address }) => address)
const moveOf = (name: string) => {
  const move = ground.rack.store.snapshot(moveKind).find(({ value }) => value.name === name)
  if (move === undefined) throw new Error(`${name} has no move`)
  return move.value
}
const heldIn = (shardId: string) =>
  ground.rack.store.snapshot(addressKind).flatMap(({ value }) => (value.shardId === shardId ? [value.address] : []))
const shardOf = (id: string) => ground.rack.store.snapshot(shardKind).find((shard) => shard.id === id)?.value
const operationsOf = () => ground.rack.planAnew().flatMap((one) => (one.kind === 'migrate' ? [one.operation] : []))
const hosts = ['a', 'b', 'c'] as const
const distortAll = (change: (report: HostReport) => HostReport) => {
  for (const host of hosts) ground.rack.distort(host, change)
}
const asTheyAre = (report: HostReport) => report

/** Of every holder of two addresses. */
const withAddresses =
  (parts: { readonly answers?: boolean; readonly connections?: number }) =>
  (report: HostReport): HostReport => ({
    ...report,
    machines: report.machines.map((machine) => ({
      ...machine,
      ...(machine.addresses && { addresses: machine.addresses.map((one) => ({ ...one, ...parts })) }),
    })),
    instances: report.instances.map((instance) => ({
      ...instance,
      ...(instance.addresses && { addresses: instance.addresses.map((one) => ({ ...one, ...parts })) }),
    })),
  })

const withMembers =
  (status: 'healthy' | 'unhealthy') =>
  (report: HostReport): HostReport => ({
    ...report,
    instances: report.instances.map((instance) => ({
      ...instance,
      members: Object.fromEntries(Object.keys(instance.members).map((key) => [key, status])),
    })),
  })

describe('a machine in overlap mode', () => {
  test('has both addresses until nobody needs the old one, and its shard is available then', async () => {
    const id = await ground.createMachine('web')
    const target = await ground.createShard()
    const migration = await ground.start()
    await ground.rack.reconciler.turn()
    expect([moveOf('web').step, moveOf('web').to?.address]).toEqual(['adding', '10.0.0.34'])
    expect(addressesOf(id)).toEqual(['10.0.0.2'])
    await ground.rack.reconciler.turn()
    expect(addressesOf(id)).toEqual(['10.0.0.2', '10.0.0.34'])
    await ground.pass(4)
    expect(ground.stepsOf('web')).toEqual(['adding', 'switching', 'draining', 'removing', 'done'])
    expect(addressesOf(id)).toEqual(['10.0.0.34'])
    expect([heldIn(ground.shardId), heldIn(target)]).toEqual([[], ['10.0.0.34']])
    expect(await ground.show(migration.id)).toMatchObject({ status: 'done', movesDone: 1, movesTotal: 1, reason: null })
    expect(shardOf(ground.shardId)).toMatchObject({ networkId: null })
    expect(shardOf(ground.shardId)?.migrationId).toBeUndefined()
    const told = ['migration.completed', 'shard.deallocated'].map((type) => ground.eventsOf(type).length)
    expect(told).toEqual([1, 1])
    expect(ground.rack.planAnew()).toEqual([])
  })

  test('stays active all the while', async () => {
    await ground.createMachine('web')
    await ground.createShard()
    await ground.start()
    await ground.pass(4)
    expect(ground.eventsOf('machine.activated')).toHaveLength(1)
  })

  test('is a neighbour by both addresses, and by name with the first alone', async () => {
    const id = await ground.createMachine('web')
    await ground.createShard()
    await ground.start()
    distortAll(withAddresses({ answers: false }))
    await ground.pass(2)
    const statements = [...ground.rack.published.values()].map(({ statement }) => statement)
    const neighbours = statements.flatMap(({ networks }) => networks.flatMap((network) => network.neighbours))
    const own = neighbours.filter((neighbour) => neighbour.id === id).map(({ address, name }) => [address, name])
    expect(own).toEqual([
      ['10.0.0.2', 'web'],
      ['10.0.0.34', undefined],
    ])
  })

  test('is not switched before its new address answers, and goes back when it does not in time', async () => {
    const id = await ground.createMachine('web')
    const target = await ground.createShard()
    const migration = await ground.start({ drainSeconds: 5 })
    distortAll(withAddresses({ answers: false }))
    await ground.pass(60)
    expect([moveOf('web').step, addressesOf(id)]).toEqual(['adding', ['10.0.0.2', '10.0.0.34']])
    await ground.pass(10)
    expect(ground.stepsOf('web')).toEqual(['adding', 'returning', 'failed'])
    expect([addressesOf(id), heldIn(target)]).toEqual([['10.0.0.2'], []])
    const shown = await ground.show(migration.id)
    expect(shown).toMatchObject({ status: 'blocked', movesFailed: 1 })
    expect(shown.reason).toContain('web (10.0.0.2): It stayed at adding: 10.0.0.34 does not answer.')
    expect(shardOf(ground.shardId)?.migrationId).toBe(migration.id)
  })

  test('goes back when its host fails at it, and goes on when it is resumed', async () => {
    const id = await ground.createMachine('web')
    await ground.createShard()
    const migration = await ground.start()
    await ground.rack.reconciler.turn()
    distortAll((report) => ({
      ...report,
      machines: report.machines.map((machine) =>
        machine.addresses === undefined ? machine : { ...machine, status: 'failed', reason: 'no such device' },
      ),
    }))
    await ground.pass(8)
    expect(await ground.show(migration.id)).toMatchObject({ status: 'blocked' })
    expect(moveOf('web')).toMatchObject({ step: 'failed', reason: 'It stayed at adding: no such device' })
    distortAll(asTheyAre)
    get(await ground.rack.services.migrations.act(migration.id, 'resume', ground.rack.context.request()))
    await ground.pass(4)
    expect(await ground.show(migration.id)).toMatchObject({ status: 'done' })
    expect(addressesOf(id)).toEqual(['10.0.0.34'])
  })

  test('keeps its old address while it has connections, until they have drained for long enough', async () => {
    const id = await ground.createMachine('web')
    await ground.createShard()
    await ground.start({ drainSeconds: 10 })
    distortAll(withAddresses({ connections: 1 }))
    await ground.pass(8)
    expect([moveOf('web').step, addressesOf(id)]).toEqual(['draining', ['10.0.0.34', '10.0.0.2']])
    await ground.pass(6)
    expect([moveOf('web').step, addressesOf(id)]).toEqual(['done', ['10.0.0.34']])
  })

  test('is not believed to be drained by a report that was made before', async () => {
    await ground.createMachine('web')
    await ground.createShard()
    await ground.start()
    await ground.rack.settle()
    expect(moveOf('web').step).toBe('draining')
    await ground.rack.settle()
    expect(moveOf('web').step).toBe('draining')
    await ground.pass(2)
    expect(moveOf('web').step).toBe('done')
  })

  test('waits for every host of its network to know the new address', async () => {
    await ground.createMachine('web')
    await ground.createMachine('db')
    await ground.createShard()
    await ground.start({ parallelism: 1 })
    distortAll((report) => ({
      ...report,
      networks: report.networks.map((network) => ({ ...network, status: 'applying' })),
    }))
    await ground.pass(3)
    expect(moveOf('web').step).toBe('adding')
    distortAll(asTheyAre)
    await ground.pass(8)
    expect([moveOf('web').step, moveOf('db').step]).toEqual(['done', 'done'])
  })
})

describe('a member of a balancer', () => {
  test('is followed to its new address, by id and where it is named by address or URL', async () => {
    const id = await ground.createMachine('web')
    const other = await ground.createMachine('db')
    const balancer = await ground.createBalancer([{ machineId: id }, { address: '10.0.0.3' }], { instanceCount: 1 })
    const named = await ground.createBalancer([{ url: 'http://10.0.0.2:8080' }], { name: 'named', instanceCount: 1 })
    await ground.createShard()
    const migration = await ground.start()
    await ground.pass(8)
    expect(await ground.show(migration.id)).toMatchObject({ status: 'done', movesDone: 4 })
    const membersOf = (wanted: string) =>
      ground.rack.store.snapshot(loadBalancerKind).find((one) => one.id === wanted)?.value.members ?? []
    expect(membersOf(balancer)[1]?.address).toBe(addressesOf(other)[0] ?? null)
    expect(membersOf(named)[0]?.url).toBe(`http://${addressesOf(id)[0]}:8080`)
    expect(ground.eventsOf('load-balancer.activated')).toHaveLength(2)
  })

  test('goes back when it is not healthy at the new address', async () => {
    const id = await ground.createMachine('web')
    await ground.createBalancer([{ machineId: id }, { address: '10.9.9.9' }], { instanceCount: 1 })
    await ground.createShard()
    await ground.start({ drainSeconds: 2 })
    for (let turn = 0; turn < 10 && moveOf('web').step !== 'switching'; turn++) {
      ground.rack.beat()
      await ground.rack.reconciler.turn()
    }
    distortAll(withMembers('unhealthy'))
    await ground.pass(80)
    expect(moveOf('web')).toMatchObject({
      step: 'failed',
      reason: 'It stayed at switching: The balancer shop is not done with it.',
    })
    expect(addressesOf(id)).toEqual(['10.0.0.2'])
  })

  test('is not waited for when it was not healthy before', async () => {
    const id = await ground.createMachine('web')
    await ground.createBalancer([{ machineId: id }, { address: '10.9.9.9' }], { instanceCount: 1 })
    distortAll(withMembers('unhealthy'))
    await ground.rack.settle()
    await ground.createShard()
    await ground.start()
    await ground.pass(4)
    expect(moveOf('web').step).toBe('done')
  })
})

describe('a machine in restart mode', () => {
  test('leaves its balancers, changes its address in one go, and comes back', async () => {
    const id = await ground.createMachine('web')
    const balancer = await ground.createBalancer([{ machineId: id }, { address: '10.9.9.9' }], { instanceCount: 1 })
    const memberId = ground.rack.store.snapshot(loadBalancerKind)[0]?.value.members[0]?.id ?? ''
    await ground.createShard()
    await ground.start({ mode: 'restart' })
    const listed = () =>
      [...ground.rack.published.values()].flatMap(({ statement }) =>
        statement.instances
          .filter(({ loadBalancerId }) => loadBalancerId === balancer)
          .flatMap(({ listeners }) => listeners.flatMap(({ members }) => members.map(({ address }) => address))),
      )
    distortAll((report) => ({
      ...report,
      instances: report.instances.map((one) => ({
        ...one,
        members: { ...one.members, [`${memberId}:80`]: 'draining' },
      })),
    }))
    await ground.pass(3)
    expect([moveOf('web').step, ground.machine(id).drained, listed()]).toEqual(['draining', true, ['10.9.9.9']])
    distortAll((report) => ({ ...report, machines: report.machines.map((one) => ({ ...one, status: 'applying' })) }))
    await ground.pass(2)
    expect(ground.machine(id)).toMatchObject({ drained: true, restartsForAddress: true })
    const told = [...ground.rack.published.values()].flatMap(({ statement }) => statement.machines)
    const to = moveOf('web').to?.address
    expect(told.map(({ restartsForAddress, addresses }) => [restartsForAddress, addresses[0]?.address])).toEqual([
      [true, to],
    ])
    distortAll(asTheyAre)
    await ground.pass(4)
    expect(ground.stepsOf('web')).toEqual(['draining', 'replacing', 'done'])
    expect([ground.machine(id).drained, ground.machine(id).restartsForAddress]).toEqual([undefined, undefined])
    expect(listed()).toEqual([to ?? '', '10.9.9.9'])
  })

  test('goes back when its interface does not come up', async () => {
    const id = await ground.createMachine('web')
    const target = await ground.createShard()
    await ground.start({ mode: 'restart', drainSeconds: 0 })
    await ground.rack.reconciler.turn()
    await ground.rack.reconciler.turn()
    const isReplaced = () => addressesOf(id)[0] === '10.0.0.34'
    for (let turn = 0; turn < 10 && !isReplaced(); turn++) {
      ground.rack.beat()
      await ground.rack.reconciler.turn()
    }
    expect(isReplaced()).toBe(true)
    distortAll((report) => ({ ...report, machines: report.machines.map((one) => ({ ...one, status: 'failed' })) }))
    await ground.pass(8)
    expect([moveOf('web').step, addressesOf(id)]).toEqual(['returning', ['10.0.0.2']])
    expect(heldIn(target)).toEqual(['10.0.0.34'])
    distortAll(asTheyAre)
    await ground.pass(2)
    expect([moveOf('web').step, addressesOf(id), heldIn(target)]).toEqual(['failed', ['10.0.0.2'], []])
    expect(ground.machine(id).restartsForAddress).toBeUndefined()
  })
})

describe("a balancer's instance", () => {
  test('begins with the new address at once, and keeps the old one while it drains', async () => {
    await ground.createBalancer([{ address: '10.9.9.9' }], { instanceCount: 1 })
    await ground.createShard()
    const migration = await ground.start()
    distortAll(withAddresses({ connections: 2 }))
    await ground.pass(5)
    expect(ground.instances()).toMatchObject([
      { networkAddress: '10.0.0.34', formerNetworkAddress: { address: '10.0.0.2' } },
    ])
    const told = [...ground.rack.published.values()].flatMap(({ statement }) => statement.instances)
    expect(told.map(({ network }) => [network.address, network.formerAddress])).toEqual([['10.0.0.34', '10.0.0.2']])
    distortAll(asTheyAre)
    await ground.pass(4)
    expect(ground.instances()[0]?.formerNetworkAddress).toBeUndefined()
    expect(await ground.show(migration.id)).toMatchObject({ status: 'done' })
  })
})

describe('a migration', () => {
  test('has no more holders under way than it may', async () => {
    for (const name of ['one', 'two', 'three', 'four', 'five']) await ground.createMachine(name)
    await ground.createShard()
    const migration = await ground.start({ parallelism: 2 })
    distortAll(withAddresses({ answers: false }))
    await ground.pass(4)
    const steps = (await ground.show(migration.id)).moves.map(({ step }) => step)
    expect(steps).toEqual(['adding', 'adding', 'waiting', 'waiting', 'waiting'])
    distortAll(asTheyAre)
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
    expect(shardOf(ground.shardId)?.networkId).toBe(id)
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
    distortAll(withAddresses({ answers: false }))
    await ground.pass(2)
    get(await ground.rack.services.machines.remove(id, ground.rack.context.request()))
    await ground.pass(3)
    expect(await ground.show(migration.id)).toMatchObject({ status: 'done', movesDone: 1 })
    expect([moveOf('web').step, heldIn(ground.shardId), heldIn(target)]).toEqual(['gone', [], []])
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
    distortAll(withAddresses({ connections: 1 }))
    await ground.pass(3)
    get(await ground.rack.services.migrations.act(migration.id, 'cancel', ground.rack.context.request()))
    distortAll(asTheyAre)
    await ground.pass(4)
    const shown = await ground.show(migration.id)
    expect(shown.status).toBe('cancelled')
    expect(shown.moves.map(({ step }) => step)).toEqual(['done', 'waiting', 'waiting'])
    expect(shardOf(ground.shardId)?.migrationId).toBeUndefined()
    expect(shardOf(ground.shardId)?.networkId).toBe(ground.networkId)
    expect(ground.eventsOf('migration.cancelled')).toHaveLength(1)
  })

  test('that is rolled back has everybody at the old address', async () => {
    const ids = [
      await ground.createMachine('one'),
      await ground.createMachine('two'),
      await ground.createMachine('three'),
    ]
    await ground.createBalancer([{ address: '10.0.0.2' }], { instanceCount: 1 })
    const before = [...ids.map((id) => addressesOf(id)[0]), ground.instances()[0]?.networkAddress]
    const target = await ground.createShard()
    const migration = await ground.start({ parallelism: 1, drainSeconds: 3 })
    await ground.pass(4)
    expect((await ground.show(migration.id)).movesDone).toBeGreaterThan(0)
    get(await ground.rack.services.migrations.act(migration.id, 'rollback', ground.rack.context.request()))
    await ground.pass(40)
    expect((await ground.show(migration.id)).status).toBe('rolled-back')
    expect([...ids.map((id) => addressesOf(id)[0]), ground.instances()[0]?.networkAddress]).toEqual(before)
    expect([heldIn(target), heldIn(ground.shardId).length]).toEqual([[], 4])
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
    expect(ids.map(addressesOf)).toEqual([['10.0.0.2'], ['10.0.0.3']])
    for (const id of ids) expect(ground.machine(id).drained).toBeUndefined()
  })

  test('is blocked by a holder on a silent host, and goes on when that is heard again', async () => {
    const id = await ground.createMachine('web')
    await ground.createShard()
    const migration = await ground.start({ drainSeconds: 0 })
    const host = hosts.find((name) => ground.rack.hostIds.get(name) === ground.machine(id).hostId) ?? 'a'
    ground.rack.cut(host)
    await ground.pass(140)
    const shown = await ground.show(migration.id)
    expect(shown.status).toBe('blocked')
    expect(shown.reason).toContain('is not heard of')
    ground.rack.heal(host)
    await ground.pass(5)
    expect(moveOf('web').step).toBe('failed')
    expect(addressesOf(id)).toEqual(['10.0.0.2'])
  })
})

test('a write for a step that its move has left is not done', async () => {
  await ground.createMachine('web')
  await ground.createShard()
  await ground.start()
  await ground.rack.reconciler.turn()
  const late = operationsOf().find(({ kind }) => kind === 'shapeHolder')
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
