/** A carrier's crates as they become many: nothing that can be asked for is lost by putting them together. */

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import fc from 'fast-check'
import { createCargoHold } from './cargo-hold.ts'
import { dropOldVersions, openCrates } from './crates.ts'
import { encodeCarried } from './message.ts'
import { openMicroshardReplica } from './microshard-replica.ts'
import { openMicroshardStream } from './microshard-stream.ts'
import { createObjectTable } from './object-table.ts'
import { createOwnWrites } from './own-writes.ts'
import { versionsKeptMaximum } from './store.ts'
import { newClient, newShardId, waitUntil } from './store-contract.ts'
import { ensureMicroshardStream } from './stream-placement.ts'
import { startTestNatsServer, type TestNatsServer } from './test-nats-server.ts'

// Generous, since bun ends every child process, also the server, once a test is late.
setDefaultTimeout(60_000)

const place = { id: '1', epoch: 1 }
const cratesMaximum = 4

let server: TestNatsServer
let connection: NatsConnection
const closing: (() => Promise<void>)[] = []

beforeAll(async () => {
  server = await startTestNatsServer()
  connection = await connect({ servers: server.url })
  await ensureMicroshardStream(connection, place, { replicas: 1, node: null })
})
afterEach(async () => {
  while (closing.length > 0) await closing.pop()?.()
})
afterAll(async () => {
  await connection.close()
  await server.stop()
})

function describeLine(id: string, version: number): string {
  const at = '2026-01-01T00:00:00.000Z'
  const object = { kind: 'lease', id, shardKey: '0'.repeat(16), version, createdAt: at, updatedAt: at, actionIds: [] }
  return encodeCarried({ ...object, value: { version } })
}

/** As a controller has them. */
async function open(onRead: () => Promise<void> = async () => {}) {
  const [table, hold] = [createObjectTable(), createCargoHold()]
  const leader = openMicroshardStream({ connection, place, acknowledgementMilliseconds: 5000 })
  const quiet = { onTransaction: () => {}, onTrouble: () => {}, onBroken: () => {} }
  const replica = openMicroshardReplica({ connection, place, table, hold, own: createOwnWrites(), ...quiet })
  await replica.loaded
  const readData = async (sequence: number) => {
    await onRead()
    return leader.readData(sequence)
  }
  const reach = (sequence: number) => replica.reach(sequence, 5000)
  const crates = openCrates({ place, stream: { ...leader, readData }, hold, reach, cratesMaximum })
  closing.push(async () => {
    await crates.close()
    await replica.close()
  })
  const follow = async () => expect(await reach(await leader.readLastSequence())).toBe(true)
  return { crates, hold, table, follow }
}

type Opened = Awaited<ReturnType<typeof open>>
const newCarrier = () => ({ kind: 'shard', id: newShardId(newClient()) })

async function store({ crates, follow }: Opened, carrier: ReturnType<typeof newCarrier>, lines: readonly string[]) {
  expect((await crates.store(carrier, lines)).kind).toBe('stored')
  await follow()
}

async function readVersions({ crates, follow }: Opened, carrier: ReturnType<typeof newCarrier>, id: string) {
  for (let attempt = 0; attempt < 5; attempt++) {
    await follow()
    const lines = await crates.read(carrier)
    if (lines === null) continue
    const versions = lines.map((line) => JSON.parse(line) as { id: string; version: number })
    const own = versions.filter((version) => version.id === id).map(({ version }) => version)
    return [...new Set(own)].toSorted((a, b) => a - b)
  }
  throw new Error('the crates are put together again and again')
}

const lastOf = (versions: number) => Array.from({ length: versions }, (_, i) => i + 1).slice(-versionsKeptMaximum)

describe('the crates of a carrier', () => {
  test('become fewer again once they are many, and keep the last versions of each object', async () => {
    const [writer, other] = [await open(), await open()]
    const carrier = newCarrier()
    const neighbour = newCarrier()
    await store(writer, neighbour, [describeLine('early', 1)])
    const turns = 24
    for (let turn = 1; turn <= turns; turn++) {
      await store(writer, carrier, [describeLine('often', turn), ...(turn === 1 ? [describeLine('once', 1)] : [])])
      await waitUntil(() => writer.hold.cratesOf(carrier).length <= cratesMaximum + 1, 'the crates become fewer')
    }
    for (const reader of [writer, other, await open()]) {
      const often = await readVersions(reader, carrier, 'often')
      expect(often.slice(-versionsKeptMaximum)).toEqual(lastOf(turns))
      expect(await readVersions(reader, carrier, 'once')).toEqual([1])
      expect(await readVersions(reader, neighbour, 'early')).toEqual([1])
    }
    const latecomer = await open()
    expect(latecomer.table.find('lease', 'often')).toMatchObject({ version: turns })
    expect(latecomer.table.find('lease', 'once')).toMatchObject({ version: 1 })
  })

  test('lose nothing when two put them together at the same time', async () => {
    const gate = Promise.withResolvers<void>()
    const [first, second] = [await open(() => gate.promise), await open(() => gate.promise)]
    const carrier = newCarrier()
    let version = 0
    for (let i = 0; i <= cratesMaximum; i++) {
      for (const writer of [first, second]) {
        version++
        expect((await writer.crates.store(carrier, [describeLine('a', version)])).kind).toBe('stored')
        await Promise.all([first.follow(), second.follow()])
      }
    }
    gate.resolve()
    const reader = await open()
    await waitUntil(async () => {
      await reader.follow()
      return (await readVersions(first, carrier, 'a')).length === version
    }, 'all versions are found')
    for (const each of [first, second, await open()]) {
      expect(await readVersions(each, carrier, 'a')).toEqual(lastOf(version))
    }
  })
})

test('of the lines of crates each version is kept once, and of an object the last ones', () => {
  const history = fc.array(fc.record({ object: fc.nat({ max: 2 }), version: fc.integer({ min: 1, max: 40 }) }), {
    maxLength: 120,
  })
  fc.assert(
    fc.property(history, (versions) => {
      const kept = dropOldVersions(versions.map(({ object, version }) => describeLine(`o${object}`, version)))
      for (const object of [0, 1, 2]) {
        const own = versions.filter((one) => one.object === object).map(({ version }) => version)
        const expected = [...new Set(own)].toSorted((a, b) => a - b).slice(-versionsKeptMaximum)
        const found = kept.map((line) => JSON.parse(line) as { id: string; version: number })
        const keptOfOwn = found.filter(({ id }) => id === `o${object}`).map(({ version }) => version)
        expect(keptOfOwn.toSorted((a, b) => a - b)).toEqual(expected)
      }
    }),
  )
})
