/**
 * A controller's room of measures and nothing else, as a process of its own, so that what it uses can be told from what
 * everybody else does. Its one argument is the URL of a nats-server; it ends with its standard input.
 */

import { connect } from '@nats-io/transport-node'
import pino from 'pino'
import { createMemoryStore } from '../../controller/control-plane/memory-store.ts'
import { openMetricsRoom } from '../../controller/observed/metrics/metrics-room.ts'

const [url = ''] = process.argv.slice(2)
const connection = await connect({ servers: url })
const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes))
const store = createMemoryStore({ now: Date.now, random })
const context = { store, now: Date.now, logger: pino({ level: 'warn' }) }
const room = await openMetricsRoom({ context, connection, hostsConnection: connection, replicas: 1 })
const stopping = new AbortController()
const writing = room.write(stopping.signal)
process.stdout.write('ready\n')
for await (const _ of Bun.stdin.stream());
stopping.abort()
await writing
await room.close()
await connection.close()
