import { afterAll, beforeAll, describe } from 'bun:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import pino from 'pino'
import type { CloudEvent } from './cloud-event.ts'
import { openJetStreamStore } from './jetstream-store.ts'
import type { Store } from './store.ts'
import { testStoreContract } from './store-contract.ts'
import { startTestNatsServer, type TestNatsServer } from './test-nats-server.ts'

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
  const events: CloudEvent[] = []
  beforeAll(async () => {
    store = await openJetStreamStore({ connection, logger })
  })
  afterAll(() => store.close())
  testStoreContract({ store: () => store, events: () => events })
})
