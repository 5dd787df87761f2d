import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { loadBalancerKind } from '../../objects.ts'
import {
  asTheyAre,
  createMigrationRack,
  get,
  type MigrationRack,
  withAddresses,
  withMember,
  withMembers,
} from './migration-rack.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let ground: MigrationRack
beforeEach(async () => {
  ground = await createMigrationRack()
})

describe('a machine in overlap mode', () => {
  test('has both addresses until nobody needs the old one, and its shard is available then', async () => {
    const id = await ground.createMachine('web')
    const target = await ground.createShard()
    const migration = await ground.start()
    await ground.rack.reconciler.turn()
    expect([ground.moveOf('web').step, ground.moveOf('web').to?.address]).toEqual(['adding', '10.0.0.34'])
    expect(ground.addressesOf(id)).toEqual(['10.0.0.2'])
    await ground.rack.reconciler.turn()
    expect(ground.addressesOf(id)).toEqual(['10.0.0.2', '10.0.0.34'])
    await ground.pass(4)
    expect(ground.stepsOf('web')).toEqual(['adding', 'switching', 'draining', 'removing', 'done'])
    expect(ground.addressesOf(id)).toEqual(['10.0.0.34'])
    expect([ground.heldIn(ground.shardId), ground.heldIn(target)]).toEqual([[], ['10.0.0.34']])
    expect(await ground.show(migration.id)).toMatchObject({ status: 'done', movesDone: 1, movesTotal: 1, reason: null })
    expect(ground.shardOf(ground.shardId)).toMatchObject({ networkId: null })
    expect(ground.shardOf(ground.shardId)?.migrationId).toBeUndefined()
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
    ground.distortAll(withAddresses({ answers: false }))
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
    ground.distortAll(withAddresses({ answers: false }))
    await ground.pass(60)
    expect([ground.moveOf('web').step, ground.addressesOf(id)]).toEqual(['adding', ['10.0.0.2', '10.0.0.34']])
    await ground.pass(10)
    expect(ground.stepsOf('web')).toEqual(['adding', 'returning', 'failed'])
    expect([ground.addressesOf(id), ground.heldIn(target)]).toEqual([['10.0.0.2'], []])
    const shown = await ground.show(migration.id)
    expect(shown).toMatchObject({ status: 'blocked', movesFailed: 1 })
    expect(shown.reason).toContain('web (10.0.0.2): It stayed at adding: 10.0.0.34 does not answer.')
    expect(ground.shardOf(ground.shardId)?.migrationId).toBe(migration.id)
  })

  test('goes back when its host fails at it, and goes on when it is resumed', async () => {
    const id = await ground.createMachine('web')
    await ground.createShard()
    const migration = await ground.start()
    await ground.rack.reconciler.turn()
    ground.distortAll((report) => ({
      ...report,
      machines: report.machines.map((machine) =>
        machine.addresses === undefined ? machine : { ...machine, status: 'failed', reason: 'no such device' },
      ),
    }))
    await ground.pass(8)
    expect(await ground.show(migration.id)).toMatchObject({ status: 'blocked' })
    expect(ground.moveOf('web')).toMatchObject({ step: 'failed', reason: 'It stayed at adding: no such device' })
    ground.distortAll(asTheyAre)
    get(await ground.rack.services.migrations.act(migration.id, 'resume', ground.rack.context.request()))
    await ground.pass(4)
    expect(await ground.show(migration.id)).toMatchObject({ status: 'done' })
    expect(ground.addressesOf(id)).toEqual(['10.0.0.34'])
  })

  test('keeps its old address while it has connections, until they have drained for long enough', async () => {
    const id = await ground.createMachine('web')
    await ground.createShard()
    await ground.start({ drainSeconds: 10 })
    ground.distortAll(withAddresses({ connections: 1 }))
    await ground.pass(8)
    expect([ground.moveOf('web').step, ground.addressesOf(id)]).toEqual(['draining', ['10.0.0.34', '10.0.0.2']])
    await ground.pass(6)
    expect([ground.moveOf('web').step, ground.addressesOf(id)]).toEqual(['done', ['10.0.0.34']])
  })

  test('is not believed to be drained by a report that was made before', async () => {
    await ground.createMachine('web')
    await ground.createShard()
    await ground.start()
    await ground.rack.settle()
    expect(ground.moveOf('web').step).toBe('draining')
    await ground.rack.settle()
    expect(ground.moveOf('web').step).toBe('draining')
    await ground.pass(2)
    expect(ground.moveOf('web').step).toBe('done')
  })

  test('waits for every host of its network to know the new address', async () => {
    await ground.createMachine('web')
    await ground.createMachine('db')
    await ground.createShard()
    await ground.start({ parallelism: 1 })
    ground.distortAll((report) => ({
      ...report,
      networks: report.networks.map((network) => ({ ...network, status: 'applying' })),
    }))
    await ground.pass(3)
    expect(ground.moveOf('web').step).toBe('adding')
    ground.distortAll(asTheyAre)
    await ground.pass(8)
    expect([ground.moveOf('web').step, ground.moveOf('db').step]).toEqual(['done', 'done'])
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
    expect(membersOf(balancer)[1]?.address).toBe(ground.addressesOf(other)[0] ?? null)
    expect(membersOf(named)[0]?.url).toBe(`http://${ground.addressesOf(id)[0]}:8080`)
    expect(ground.eventsOf('load-balancer.activated')).toHaveLength(2)
  })

  test('goes back when it is not healthy at the new address', async () => {
    const id = await ground.createMachine('web')
    await ground.createBalancer([{ machineId: id }, { address: '10.9.9.9' }], { instanceCount: 1 })
    await ground.createShard()
    await ground.start({ drainSeconds: 2 })
    for (let turn = 0; turn < 10 && ground.moveOf('web').step !== 'switching'; turn++) {
      ground.rack.beat()
      await ground.rack.reconciler.turn()
    }
    ground.distortAll(withMembers('unhealthy'))
    await ground.pass(80)
    expect(ground.moveOf('web')).toMatchObject({
      step: 'failed',
      reason: 'It stayed at switching: The balancer shop is not done with it.',
    })
    expect(ground.addressesOf(id)).toEqual(['10.0.0.2'])
  })

  test('is not waited for when it was not healthy before', async () => {
    const id = await ground.createMachine('web')
    await ground.createBalancer([{ machineId: id }, { address: '10.9.9.9' }], { instanceCount: 1 })
    ground.distortAll(withMembers('unhealthy'))
    await ground.rack.settle()
    await ground.createShard()
    await ground.start()
    await ground.pass(4)
    expect(ground.moveOf('web').step).toBe('done')
  })
})

describe('a machine in restart mode', () => {
  test('leaves its balancers, changes its address in one go, and comes back', async () => {
    const id = await ground.createMachine('web')
    await ground.createBalancer([{ machineId: id }, { address: '10.9.9.9' }], { instanceCount: 1 })
    const memberId = ground.rack.store.snapshot(loadBalancerKind)[0]?.value.members[0]?.id ?? ''
    await ground.createShard()
    await ground.start({ mode: 'restart' })
    ground.distortAll(withMember(`${memberId}:80`, 'draining'))
    await ground.pass(3)
    expect([ground.moveOf('web').step, ground.machine(id).drained, ground.listMembers()]).toEqual([
      'draining',
      true,
      ['10.9.9.9'],
    ])
    ground.distortAll((report) => ({
      ...report,
      machines: report.machines.map((one) => ({ ...one, status: 'applying' })),
    }))
    await ground.pass(2)
    expect(ground.machine(id)).toMatchObject({ drained: true, restartsForAddress: true })
    const told = [...ground.rack.published.values()].flatMap(({ statement }) => statement.machines)
    const to = ground.moveOf('web').to?.address
    expect(told.map(({ restartsForAddress, addresses }) => [restartsForAddress, addresses[0]?.address])).toEqual([
      [true, to],
    ])
    ground.distortAll(asTheyAre)
    await ground.pass(4)
    expect(ground.stepsOf('web')).toEqual(['draining', 'replacing', 'done'])
    expect([ground.machine(id).drained, ground.machine(id).restartsForAddress]).toEqual([undefined, undefined])
    expect(ground.listMembers()).toEqual([to ?? '', '10.9.9.9'])
  })

  test('leaves the balancers that name it by its address as well', async () => {
    await ground.createMachine('web')
    await ground.createBalancer([{ address: '10.0.0.2' }, { address: '10.9.9.9' }], { instanceCount: 1 })
    const memberId = ground.rack.store.snapshot(loadBalancerKind)[0]?.value.members[0]?.id ?? ''
    await ground.createShard()
    await ground.start({ mode: 'restart' })
    ground.distortAll(withMember(`${memberId}:80`, 'draining'))
    await ground.pass(3)
    expect([ground.moveOf('web').step, ground.listMembers()]).toEqual(['draining', ['10.9.9.9']])
    ground.distortAll(asTheyAre)
    await ground.pass(4)
    expect([ground.moveOf('web').step, ground.listMembers()]).toEqual([
      'done',
      [ground.moveOf('web').to?.address ?? '', '10.9.9.9'],
    ])
  })

  test('goes back when its interface does not come up', async () => {
    const id = await ground.createMachine('web')
    const target = await ground.createShard()
    await ground.start({ mode: 'restart', drainSeconds: 0 })
    await ground.rack.reconciler.turn()
    await ground.rack.reconciler.turn()
    const isReplaced = () => ground.addressesOf(id)[0] === '10.0.0.34'
    for (let turn = 0; turn < 10 && !isReplaced(); turn++) {
      ground.rack.beat()
      await ground.rack.reconciler.turn()
    }
    expect(isReplaced()).toBe(true)
    ground.distortAll((report) => ({
      ...report,
      machines: report.machines.map((one) => ({ ...one, status: 'failed' })),
    }))
    await ground.pass(8)
    expect([ground.moveOf('web').step, ground.addressesOf(id)]).toEqual(['returning', ['10.0.0.2']])
    expect(ground.heldIn(target)).toEqual(['10.0.0.34'])
    ground.distortAll(asTheyAre)
    await ground.pass(2)
    expect([ground.moveOf('web').step, ground.addressesOf(id), ground.heldIn(target)]).toEqual([
      'failed',
      ['10.0.0.2'],
      [],
    ])
    expect(ground.machine(id).restartsForAddress).toBeUndefined()
  })
})

describe("a balancer's instance", () => {
  test('begins with the new address when all know it, and keeps the old one while it drains', async () => {
    await ground.createBalancer([{ address: '10.9.9.9' }], { instanceCount: 1 })
    await ground.createShard()
    const migration = await ground.start()
    ground.distortAll(withAddresses({ answers: false }))
    await ground.pass(3)
    expect(ground.instances()).toMatchObject([
      { networkAddress: '10.0.0.2', formerNetworkAddress: { address: '10.0.0.34' } },
    ])
    ground.distortAll(withAddresses({ connections: 2 }))
    await ground.pass(5)
    expect(ground.instances()).toMatchObject([
      { networkAddress: '10.0.0.34', formerNetworkAddress: { address: '10.0.0.2' } },
    ])
    const told = [...ground.rack.published.values()].flatMap(({ statement }) => statement.instances)
    expect(told.map(({ network }) => [network.address, network.formerAddress])).toEqual([['10.0.0.34', '10.0.0.2']])
    ground.distortAll(asTheyAre)
    await ground.pass(4)
    expect(ground.instances()[0]?.formerNetworkAddress).toBeUndefined()
    expect(await ground.show(migration.id)).toMatchObject({ status: 'done' })
  })
})
