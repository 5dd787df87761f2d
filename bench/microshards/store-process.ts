/** A process that opens a store, looks keys up and says what that took. Its arguments are the server's address and process id. */

import { readFileSync } from 'node:fs'
import { connect } from '@nats-io/transport-node'
import pino from 'pino'
import { encodeDirectory } from '../../controller/control-plane/directory/directory-format.ts'
import { openJetStreamStore } from '../../controller/control-plane/jetstream-store.ts'
import { findMicroshard } from '../../controller/control-plane/microshard-directory.ts'
import { createClientId, getShardKey } from '../../controller/control-plane/shard-key.ts'

const lookUps = 100_000
const keysCount = 1_000

const [, , url = '', serverPid = ''] = process.argv
const connection = await connect({ servers: url })
const beganAt = performance.now()
const store = await openJetStreamStore({ connection, logger: pino({ level: 'silent' }) })
const startSeconds = (performance.now() - beganAt) / 1000

const directory = store.directory.current()
const keys = Array.from({ length: keysCount }, () => getShardKey(createClientId('prj', Date.now()), 'shard'))
const lookedUpAt = performance.now()
for (let i = 0; i < lookUps; i++) findMicroshard(directory, keys[i % keysCount] ?? '')
const lookUpMicroseconds = (1000 * (performance.now() - lookedUpAt)) / lookUps

process.stdout.write(
  JSON.stringify({
    startSeconds,
    lookUpMicroseconds,
    controllerBytes: process.memoryUsage().rss,
    serverBytes: readServerBytes(),
    directoryBytes: encodeDirectory(directory).length,
  }),
)
await store.close()
await connection.close()

/** Its resident set. */
function readServerBytes(): number {
  return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${serverPid}/status`, 'utf8'))?.[1] ?? 0)
}
