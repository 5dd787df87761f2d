/** A process that does nothing but relay events, so that a test can kill it at any moment. Its argument is the URL. */

import { connect } from '@nats-io/transport-node'
import pino from 'pino'
import { startOutboxRelay } from './outbox-relay.ts'

const servers = process.argv[2]
if (servers === undefined) throw new Error('the URL of a nats-server is missing: bun test-relay-process.ts nats://…')
const connection = await connect({ servers, maxReconnectAttempts: -1, reconnectTimeWait: 20 })
await startOutboxRelay({ connection, logger: pino({ level: 'silent' }) })
console.log('ready')
