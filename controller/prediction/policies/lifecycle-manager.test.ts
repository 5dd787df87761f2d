/** The whole room on a real nats-server: what is written through the store is measured, decided on, and done. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import pino from 'pino'
import { type JetStreamStore, openJetStreamStore } from '../../control-plane/jetstream-store.ts'
import { type Lifecycle, openLifecycle } from '../../control-plane/lifecycle/open-lifecycle.ts'
import { newClientWithin } from '../../control-plane/lifecycle/test-writers.ts'
import { type OutboxRelay, startOutboxRelay } from '../../control-plane/outbox-relay.ts'
import { createId } from '../../control-plane/shard-key.ts'
import { write } from '../../control-plane/store.ts'
import { shardKind, waitUntil } from '../../control-plane/store-contract.ts'
import { startTestNatsServer, type TestNatsServer } from '../../control-plane/test-nats-server.ts'
import { windowMilliseconds } from '../monitoring/access-report.ts'
import { monitorStore } from '../monitoring/monitored-store.ts'
import { type OpenedLifecycleManager, openLifecycleManager } from './open-lifecycle-manager.ts'

setDefaultTimeout(120_000)

const logger = pino({ level: 'silent' })
const request = { actionId: 'one', traceparent: '00-0-0-00' }
const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes))
const ending = new AbortController()
let server: TestNatsServer
const connections: NatsConnection[] = []
let store: JetStreamStore
let monitored: JetStreamStore
let lifecycle: Lifecycle
let room: OpenedLifecycleManager
/** Another controller, which decides nothing. */
let other: OpenedLifecycleManager
let driving: Promise<void>
let relay: OutboxRelay
let now = Date.parse('2030-01-01T00:00:00Z')

beforeAll(async () => {
  server = await startTestNatsServer()
  for (let i = 0; i < 2; i++) connections.push(await connect({ servers: server.url }))
  const [connection, second] = connections
  if (connection === undefined || second === undefined) throw new Error('BUG: no connections')
  store = await openJetStreamStore({ connection, logger })
  relay = await startOutboxRelay({ connection, logger })
  const nodes = { list: async () => [{ name: 'node-1', address: null, location: null, isAlive: true }] }
  lifecycle = openLifecycle({ store, connections: [connection], replicas: 1, logger, nodes, dataTypeOf: () => 'shard' })
  driving = lifecycle.drive(ending.signal)
  const common = { store, microshards: lifecycle.service, nodes, logger, now: () => now, isDriven: true }
  room = openLifecycleManager({ ...common, connection, controller: 'one', location: 'east' })
  other = openLifecycleManager({ ...common, connection: second, controller: 'other', location: 'west' })
  await second.flush()
  monitored = monitorStore(store, { counts: room.counts, now: () => performance.now() })
})
afterAll(async () => {
  ending.abort()
  await driving
  await relay.stop()
  await room.close()
  await other.close()
  await store.close()
  for (const connection of connections) await connection.close()
  await server.stop()
})

async function writeSome(clients: readonly string[], times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await Promise.all(
      clients.map((client) => {
        const id = createId(shardKind.prefix, client, now + i, random)
        return monitored.transact({
          writes: [write({ kind: shardKind, id, expect: 'absent', value: { cidr: '', count: i } })],
        })
      }),
    )
  }
}

async function passWindow(): Promise<void> {
  now += windowMilliseconds
  room.endWindow()
  other.endWindow()
  await Promise.all(connections.map((connection) => connection.flush()))
}

test('a microshard that is hot is split by itself, and everybody can see why', async () => {
  const put = await room.service.replace(
    {
      ...room.service.show().policies,
      mode: 'on',
      split: { overMean: 2, forSeconds: 30, loadMinimum: 0.2, bytesMaximum: 2 ** 30 },
    },
    request,
  )
  expect(put).toMatchObject({ ok: true, value: { version: 1, policies: { mode: 'on' } } })

  const clients = Array.from({ length: 8 }, () => newClientWithin('01'))
  const taken: unknown[] = []
  for (let turn = 0; turn < 9; turn++) {
    await writeSome(clients, 4)
    await passWindow()
    taken.push(...(await room.manager.turn()))
  }
  expect(taken).toMatchObject([
    { kind: 'split', microshards: ['2'], outcome: 'begun', isAhead: false, figures: { overMean: 4 } },
  ])
  await waitUntil(() => store.directory.current().operations.length === 0, 'the split is over')
  expect(store.directory.current().microshards.map(({ id }) => id)).toEqual(['1', '5', '6', '3', '4'])

  const explained = other.service.explain('2')
  expect(explained).toMatchObject({ mode: 'on', controller: 'one', decisions: [{ kind: 'split', outcome: 'begun' }] })
  expect(other.service.explain('1').decisions).toEqual([])
})

test('both controllers show what either has counted, with who asks from where', async () => {
  const clients = Array.from({ length: 4 }, () => newClientWithin('11'))
  await writeSome(clients, 5)
  for (let window = 0; window < 3; window++) await passWindow()
  await waitUntil(
    async () => (await other.service.measure()).items.some(({ id, load }) => id === '4' && load > 0),
    'the other has heard of it',
  )
  const [mine, theirs] = [await room.service.measure(), await other.service.measure()]
  const busy = mine.items.find(({ id }) => id === '4')
  expect(busy).toMatchObject({ node: 'node-1', writesPerSecond: 20 / 60, keys: 4, locations: [{ location: 'east' }] })
  expect(busy?.clients.map(({ perSecond }) => perSecond)).toHaveLength(4)
  expect(busy?.p99Milliseconds).toBeGreaterThan(0)
  expect(theirs.items.map(({ id, load }) => [id, load])).toEqual(mine.items.map(({ id, load }) => [id, load]))
})

test('what would be done in a dry run is told and not done', async () => {
  const { policies, version } = room.service.show()
  await room.service.replace({ ...policies, mode: 'dryRun' }, { ...request, actionId: 'two', expectedVersion: version })
  now += 2 * 3_600_000
  const before = store.directory.current().version
  const clients = Array.from({ length: 8 }, () => newClientWithin('10'))
  const taken: { kind: string; outcome: string }[] = []
  for (let turn = 0; turn < 9; turn++) {
    await writeSome(clients, 4)
    await passWindow()
    taken.push(...(await room.manager.turn()))
  }
  expect(taken).toMatchObject([{ kind: 'split', outcome: 'decided', operationId: null }])
  expect(store.directory.current().version).toBe(before)
})
