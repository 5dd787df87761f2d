import { afterAll, beforeAll, describe, setDefaultTimeout } from 'bun:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import pino from 'pino'
import { testCarriedContract } from './carried-contract.ts'
import type { CloudEvent } from './cloud-event.ts'
import { type ReadEventsOptions, readEvents } from './events.ts'
import { openJetStreamStore } from './jetstream-store.ts'
import { type OutboxRelay, startOutboxRelay } from './outbox-relay.ts'
import type { Store } from './store.ts'
import { testStoreContract } from './store-contract.ts'
import { startTestNatsServer, type TestNatsServer } from './test-nats-server.ts'

// Generous, since bun ends every child process, also the server, once a test is late.
setDefaultTimeout(60_000)

const logger = pino({ level: 'silent' })
let server: TestNatsServer
let connection: NatsConnection

const reconnecting = { maxReconnectAttempts: -1, reconnectTimeWait: 50 }

beforeAll(async () => {
  server = await startTestNatsServer()
  connection = await connect({ servers: server.url, ...reconnecting })
})

afterAll(async () => {
  await connection.close()
  await server.stop()
})

describe('the store on JetStream', () => {
  let store: Store
  let relay: OutboxRelay
  const events: CloudEvent[] = []
  const reading = new AbortController()
  beforeAll(async () => {
    store = await openJetStreamStore({ connection, logger })
    relay = await startOutboxRelay({ connection, logger })
    const started = Promise.withResolvers<void>()
    void collectEvents(events, { connection, signal: reading.signal, onStarted: started.resolve })
    await started.promise
  })
  afterAll(async () => {
    reading.abort()
    await relay.stop()
    await store.close()
  })
  testStoreContract({ store: () => store, events: () => events })
  testCarriedContract({ store: () => store })
})

async function collectEvents(into: CloudEvent[], options: ReadEventsOptions): Promise<void> {
  for await (const event of readEvents(options)) into.push(event)
}
