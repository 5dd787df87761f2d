import { beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import { loadBalancerKind } from '../../objects.ts'
import { asTheyAre, createMigrationRack, type MigrationRack, withMember } from './migration-rack.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let ground: MigrationRack
beforeEach(async () => {
  ground = await createMigrationRack()
})

const names = ['web-1', 'web-2', 'web-3', 'web-4'] as const
const steps = () => names.map((name) => ground.moveOf(name).step)

async function createFour(): Promise<readonly string[]> {
  const machineIds: string[] = []
  for (const name of names) machineIds.push(await ground.createMachine(name))
  await ground.createBalancer(
    machineIds.map((machineId) => ({ machineId })),
    { instanceCount: 1 },
  )
  await ground.createShard()
  return ground.rack.store.snapshot(loadBalancerKind)[0]?.value.members.map(({ id }) => id) ?? []
}

test('half of the members of a balancer restart at a time, and the others when these are healthy again', async () => {
  const [firstMember = ''] = await createFour()
  await ground.start({ mode: 'restart', parallelism: 16 })
  await ground.rack.reconciler.turn()
  expect(steps()).toEqual(['draining', 'draining', 'waiting', 'waiting'])
  ground.distortAll(withMember(`${firstMember}:80`, 'unhealthy'))
  await takeTurns(40)
  // The second one has come back, and then the others one by one: the first is not found healthy.
  expect(steps()).toEqual(['replacing', 'done', 'done', 'done'])
  ground.distortAll(asTheyAre)
  await takeTurns(10)
  expect(steps()).toEqual(['done', 'done', 'done', 'done'])
})

/** Reports and turns in turn; no more than half of the members are away after any of them. */
async function takeTurns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    ground.rack.beat()
    await ground.rack.reconciler.turn()
    expect(steps().filter((step) => ['draining', 'replacing'].includes(step)).length).toBeLessThanOrEqual(2)
  }
}

test('one that was not healthy before is not waited for after', async () => {
  const [firstMember = ''] = await createFour()
  ground.distortAll(withMember(`${firstMember}:80`, 'unhealthy'))
  await ground.pass(1)
  await ground.start({ mode: 'restart', parallelism: 16 })
  await ground.pass(20)
  expect(steps()).toEqual(['done', 'done', 'done', 'done'])
})
