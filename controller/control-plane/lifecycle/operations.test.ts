import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import pino from 'pino'
import { type JetStreamStore, openJetStreamStore } from '../jetstream-store.ts'
import { createClientId, createId } from '../shard-key.ts'
import { defineKind, shardKeyOf, write } from '../store.ts'
import { startTestNatsServer, type TestNatsServer } from '../test-nats-server.ts'
import { driveOperation } from './drive-operation.ts'
import { createLifecycleStreams } from './jetstream-streams.ts'
import { planSplit } from './plan-operation.ts'

setDefaultTimeout(60_000)

const logger = pino({ level: 'silent' })
let server: TestNatsServer
let connection: NatsConnection
let store: JetStreamStore
beforeAll(async () => {
  server = await startTestNatsServer()
  connection = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 })
  store = await openJetStreamStore({ connection, logger })
})
afterAll(async () => {
  await store.close()
  await connection.close()
  await server.stop()
})

const counterKind = defineKind<{ readonly count: number }>({ name: 'counter', prefix: 'cnt', dataType: 'counter' })

test('a split', async () => {
  const clients = Array.from({ length: 40 }, () => createClientId('prj', Date.now()))
  const ids = clients.map((client) => createId('cnt', client, Date.now()))
  for (const id of ids)
    await store.transact({ writes: [write({ kind: counterKind, id, expect: 'absent', value: { count: 0 } })] })
  const counts = new Map(ids.map((id) => [id, 0]))
  let isOver = false
  const writer = async (id: string) => {
    while (!isOver) {
      const count = (counts.get(id) ?? 0) + 1
      const outcome = await store.transact({
        writes: [write({ kind: counterKind, id, expect: count, value: { count } })],
      })
      if (outcome.outcome !== 'committed') throw new Error(JSON.stringify(outcome))
      counts.set(id, count)
    }
  }
  const writing = ids.map(writer)
  await Bun.sleep(300)
  await store.directory.change((directory) =>
    planSplit(
      directory,
      { id: 'op1', startedAt: new Date().toISOString() },
      { microshardId: '2', at: '6000000000000000' },
    ),
  )
  await driveOperation(
    {
      directory: store.directory,
      streams: createLifecycleStreams({ connection, replicas: 1 }),
      now: Date.now,
      sleep: Bun.sleep,
      signal: new AbortController().signal,
      whenFollowed: async (starts) => void (await store.reach(starts, 5000)),
    },
    'op1',
  )
  await Bun.sleep(100)
  isOver = true
  await Promise.all(writing)
  for (const id of ids) {
    expect((await store.get(counterKind, id, { latest: true }))?.value.count).toBe(counts.get(id) ?? -1)
    expect((await store.history(counterKind, id)).length).toBeGreaterThan(10)
  }
  expect(shardKeyOf(counterKind, ids[0] ?? '')).toBeDefined()
})
