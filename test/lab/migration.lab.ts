/**
 * Migrations as somebody sees them who runs a rack: a shard is emptied by the command line while clients ask and hold
 * connections, in both modes; with the controller and an agent killed in its middle; by giving it back; and there and
 * back again. Runs in a sandbox:
 *   scripts/sandbox bun test ./test/lab/migration.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { type Load, startLoad } from '../../bench/load/start-load.ts'
import { findLost, findNewestEvent, readSteps, showMigration } from '../../bench/migrate/follow-migration.ts'
import {
  allocateShard,
  echoTargetsOf,
  type Ground,
  holdersByVip,
  prepareGround,
  showMachines,
  showShard,
} from '../../bench/migrate/ground.ts'
import { type EchoConnections, startEchoConnections } from '../../bench/migrate/start-echo-connections.ts'
import { createCleanup } from '../../bench/system/cleanup.ts'
import { targetsOf } from '../../bench/system/system.ts'
import { type Shard, shardSchema } from '../../controller/contract/address-space.ts'
import {
  type MigrationSummary,
  migrationPlanSchema,
  migrationSchema,
  migrationSummarySchema,
} from '../../controller/contract/migration.ts'
import { bootController, killController, killHostAgent, openLab } from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { findOrphans } from './find-orphans.ts'
import { createOutside, type Outside } from './lab-client.ts'
import { readWorld } from './lab-world.ts'
import { requireSandbox } from './machine-snapshot.ts'
import {
  areDone,
  awaitMigration,
  expectMoved,
  expectReachable,
  listAnswering,
  startWatching,
} from './migration-ground.ts'

setDefaultTimeout(180_000)

const webMachines = 6
/** Six web machines, one that echoes, and two instances of each of their balancers. */
const holders = webMachines + 1 + 2 + 2
const drainSeconds = 5
const connectionsPerVip = 2
const echoGapMillisecondsMaximum = 3000
const sweepSeconds = 60

const cleanup = createCleanup((text) => process.stderr.write(`${text}\n`))
let ground: Ground
let outside: Outside
let load: Load
let streams: EchoConnections
let first: Shard
let second: Shard

beforeAll(async () => {
  requireSandbox()
  ground = await prepareGround(cleanup, { webMachines, echoMachines: 1 })
  ;({ first, second } = ground)
  const { system, web } = ground
  outside = createOutside(system.settings)
  streams = startEchoConnections(system.clientPid)
  cleanup.defer('the long-lived connections', () => streams.stop())
  load = await startLoad(system.clientPid, {
    targets: [...targetsOf(web.vips)],
    connections: 8,
    requestsPerSecond: 200,
    timeoutMilliseconds: 10_000,
    requestsPerConnection: 20,
    phase: 'nothing is done',
  })
  cleanup.defer('the load', () => load.stop())
})

afterAll(async () => {
  await cleanup.run()
})

async function sluice(...argv: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await outside.sluice(argv)
  if (exitCode !== 0) throw new Error(`sluice ${argv.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

/** Answers the migration's id. */
async function startByCommand(shard: Shard, ...options: readonly string[]): Promise<string> {
  return v.parse(migrationSchema, JSON.parse(await sluice('shard', 'migrate', shard.id, ...options, '--json'))).id
}

/** The last one of this shard, as `sluice migration list` shows it. */
async function findMigration(shard: Shard): Promise<MigrationSummary> {
  const listed = v.parse(
    v.object({ items: v.array(migrationSummarySchema) }),
    JSON.parse(await sluice('migration', 'list', '--json')),
  )
  const found = listed.items.filter(({ shardId }) => shardId === shard.id).at(-1)
  if (found === undefined) throw new Error(`there is no migration of ${shard.cidr}`)
  return found
}

const addressesOf = async () =>
  Object.fromEntries((await showMachines(ground)).map(({ name, addresses }) => [name, addresses]))

test('a plan says who would move where, and nobody moves', async () => {
  const before = await addressesOf()
  const plan = v.parse(migrationPlanSchema, JSON.parse(await sluice('shard', 'plan', first.id, '--json')))
  expect(plan.moves).toHaveLength(holders)
  expect(plan.moves.some(({ breaksConnections }) => breaksConnections)).toBe(false)
  expect(await addressesOf()).toEqual(before)
  await expectReachable(outside, ground, first)
})

test('in overlap mode nobody loses anything before the drain limit', async () => {
  await load.enterPhase('overlap')
  await streams.open(echoTargetsOf(ground), connectionsPerVip)
  const newestEvent = await findNewestEvent(ground.system)
  const before = Object.values(await addressesOf()).flat()
  const options = ['--parallelism', '16', '--drain-seconds', String(drainSeconds)]
  const told = await sluice('shard', 'migrate', first.id, ...options, '--watch')
  expect(told.trim().split('\n').at(-1)).toContain(`done  ${holders} of ${holders} moved`)
  const connections = await streams.close()
  const { id } = await findMigration(first)
  const steps = await readSteps(ground.system, id, newestEvent)
  expect(connections).toHaveLength(2 * connectionsPerVip)
  expect(findLost(connections, steps, holdersByVip(ground), drainSeconds)).toEqual([])
  for (const { longestGapMilliseconds } of connections) {
    expect(longestGapMilliseconds).toBeLessThan(echoGapMillisecondsMaximum)
  }
  await expectMoved(outside, ground, first, second)
  expect(await listAnswering(outside, ground, before)).toEqual([])
})

test('in restart mode machines leave their balancer first', async () => {
  await load.enterPhase('restart')
  await sluice('shard', 'allocate', first.id, '--network', ground.system.networkId)
  const options = ['--mode', 'restart', '--parallelism', '3', '--drain-seconds', '3']
  const plan = v.parse(
    migrationPlanSchema,
    JSON.parse(await sluice('shard', 'plan', second.id, '--mode', 'restart', '--json')),
  )
  expect(plan.moves.filter(({ breaksConnections }) => breaksConnections)).toHaveLength(webMachines + 1)
  await sluice('shard', 'migrate', second.id, ...options, '--watch')
  await expectMoved(outside, ground, second, first)
})

test('it goes on where it was after its controller and agents are killed', async () => {
  await load.enterPhase('killed')
  await allocateShard(ground.system, second.id)
  const id = await startByCommand(first, '--parallelism', '4', '--drain-seconds', '1')
  const watching = await startWatching(outside, id)
  for (const [isMoment, host] of [
    [areDone(1), 'host-1'],
    [areDone(5), 'host-2'],
  ] as const) {
    await awaitMigration(ground, id, 'the moment to kill', isMoment)
    await killHostAgent(openLab(ground.system.settings), host, { forGood: false })
    await killController(openLab(ground.system.settings))
    await bootController(openLab(ground.system.settings))
  }
  expect((await watching.told).trim().split('\n').at(-1)).toContain(`done  ${holders} of ${holders} moved`)
  await expectMoved(outside, ground, first, second)
})

describe('a shard that is in use', () => {
  test('is given back by its network, once everybody has left it', async () => {
    await load.enterPhase('deallocated')
    await allocateShard(ground.system, first.id)
    const path = `/v1/networks/${ground.system.networkId}/shards/${second.id}`
    const { status, body } = await outside.ask('DELETE', `${path}?wait=true&timeout=90s`)
    expect([status, v.parse(migrationSchema, body).status]).toEqual([202, 'done'])
    await expectMoved(outside, ground, second, first)
    const again = await outside.ask('POST', path)
    expect(v.parse(shardSchema, again.body).networkId).toBe(ground.system.networkId)
  })

  test('keeps who has not moved when that is cancelled, and gets everybody back when it is rolled back', async () => {
    await load.enterPhase('cancelled and rolled back')
    const before = await addressesOf()
    const id = await startByCommand(first, '--parallelism', '3', '--drain-seconds', '1')
    // The balancers' instances have the lowest addresses, and go first.
    await awaitMigration(ground, id, 'a machine to be done', areDone(5))
    await sluice('migration', 'cancel', id, '--wait', '60')
    const cancelled = await showMigration(ground.system, id)
    expect([cancelled.status, (await showShard(ground.system, first.id)).status]).toEqual(['cancelled', 'in-use'])
    expect(cancelled.movesDone).toBeLessThan(holders)
    expect(await addressesOf()).not.toEqual(before)
    await sluice('migration', 'rollback', id, '--wait', '60')
    expect((await showMigration(ground.system, id)).status).toBe('rolled-back')
    expect(await addressesOf()).toEqual(before)
    expect((await showShard(ground.system, second.id)).resourceCount).toBe(0)
    await expectReachable(outside, ground, first)
  })
})

test('nothing is orphaned after all of this', async () => {
  const { settings } = ground.system
  await waitUntil(async () => findOrphans(await readWorld(settings)).length === 0, {
    what: () => 'a world without orphans',
    timeoutSeconds: sweepSeconds,
    intervalMilliseconds: 1000,
  }).catch(() => undefined)
  expect(findOrphans(await readWorld(settings))).toEqual([])
})

test('no request has failed all the while', async () => {
  const phases = await load.end()
  expect(phases.map(({ name, failures }) => [name, failures])).toEqual(phases.map(({ name }) => [name, []]))
  expect(phases.reduce((sum, { requests }) => sum + requests, 0)).toBeGreaterThan(1000)
})
