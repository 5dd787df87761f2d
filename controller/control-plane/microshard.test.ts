/** What a microshard does with a replica that lags: the rest of it is tested through the store. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { createCargoHold } from './cargo-hold.ts'
import { type Microshard, openMicroshard } from './microshard.ts'
import type { MicroshardReplica } from './microshard-replica.ts'
import { openMicroshardStream } from './microshard-stream.ts'
import { createObjectTable, type ObjectTable } from './object-table.ts'
import { createOwnWrites } from './own-writes.ts'
import { write } from './store.ts'
import { newClient, newShardId, shardKind } from './store-contract.ts'
import { ensureMicroshardStream } from './stream-placement.ts'
import { startTestNatsServer, type TestNatsServer } from './test-nats-server.ts'

// Generous, since bun ends every child process, also the server, once a test is late.
setDefaultTimeout(60_000)

const place = { id: '1', epoch: 1 }
const lagging: MicroshardReplica = {
  loaded: Promise.resolve(),
  isBroken: () => false,
  reach: async () => false,
  close: async () => {},
}

let server: TestNatsServer
let connection: NatsConnection

beforeAll(async () => {
  server = await startTestNatsServer()
  connection = await connect({ servers: server.url })
  await ensureMicroshardStream(connection, place, { replicas: 1, node: null })
})
afterAll(async () => {
  await connection.close()
  await server.stop()
})

function open(
  replica = lagging,
  table = createObjectTable(),
  onRead = () => {},
): { readonly microshard: Microshard; readonly table: ObjectTable } {
  const leader = openMicroshardStream({ connection, place, acknowledgementMilliseconds: 5000 })
  const readLast = (subject: string) => {
    onRead()
    return leader.readLast(subject)
  }
  const stream = { ...leader, readLast }
  return {
    microshard: openMicroshard({
      place,
      stream,
      replica,
      table,
      hold: createCargoHold(),
      own: createOwnWrites(),
      now: () => 0,
      doubtMilliseconds: 5000,
    }),
    table,
  }
}

const writeCount = (microshard: Microshard, id: string, expected: number | 'absent', count: number) =>
  microshard.transact({ writes: [write({ kind: shardKind, id, expect: expected, value: { cidr: '', count } })] })

describe('a microshard whose replica lags', () => {
  test('writes at the version that its caller has read elsewhere', async () => {
    const [first, second] = [open(), open()]
    const id = newShardId(newClient())
    await writeCount(first.microshard, id, 'absent', 1)
    await writeCount(first.microshard, id, 1, 2)
    expect(await writeCount(second.microshard, id, 2, 3)).toMatchObject({
      outcome: 'committed',
      objects: [{ version: 3 }],
    })
  })

  test('never shows less afterwards than a conflict or a read of its leader has shown', async () => {
    const [writer, loser, reader] = [open(), open(), open()]
    const id = newShardId(newClient())
    await writeCount(writer.microshard, id, 'absent', 1)
    await writeCount(writer.microshard, id, 1, 2)
    expect(await writeCount(loser.microshard, id, 1, 3)).toMatchObject({ conflicts: [{ actualVersion: 2 }] })
    expect(loser.table.find('shard', id)).toMatchObject({ version: 2, value: { count: 2 } })
    expect(await reader.microshard.readLatest(shardKind, id)).toMatchObject({ version: 2 })
    expect(reader.table.find('shard', id)).toMatchObject({ version: 2 })
  })

  test('asks its leader nothing when memory soon shows who has won the race', async () => {
    const winner = open()
    const table = createObjectTable()
    const id = newShardId(newClient())
    const takeInWinner = () => {
      const object = winner.table.find('shard', id)
      if (object !== null) table.put(object)
      return object?.revision.sequence ?? 0
    }
    let reads = 0
    const reach = async (sequence: number) => takeInWinner() >= sequence
    const loser = open({ ...lagging, reach }, table, () => reads++)
    await writeCount(winner.microshard, id, 'absent', 1)
    takeInWinner()
    await writeCount(winner.microshard, id, 1, 2)
    expect(await writeCount(loser.microshard, id, 1, 3)).toMatchObject({ conflicts: [{ actualVersion: 2 }] })
    expect(reads).toBe(0)
    expect(await writeCount(loser.microshard, id, 2, 3)).toMatchObject({ objects: [{ version: 3 }] })
  })

  test('takes no writes once its replica is broken', async () => {
    const { microshard } = open({ ...lagging, isBroken: () => true })
    expect((await writeCount(microshard, newShardId(newClient()), 'absent', 1)).outcome).toBe('unavailable')
  })

  test('takes no writes once it is closed', async () => {
    const { microshard } = open()
    await microshard.close()
    expect((await writeCount(microshard, newShardId(newClient()), 'absent', 1)).outcome).toBe('unavailable')
  })
})
