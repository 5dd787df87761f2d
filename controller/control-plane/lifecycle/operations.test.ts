/** Operations on a real server, under writers, with drivers who are killed at every step. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import pino from 'pino'
import type { CloudEvent } from '../cloud-event.ts'
import { readEvents } from '../events.ts'
import { type JetStreamStore, openJetStreamStore } from '../jetstream-store.ts'
import { findMicroshard, type MicroshardDirectory } from '../microshard-directory.ts'
import { type OutboxRelay, startOutboxRelay } from '../outbox-relay.ts'
import { getShardKey } from '../shard-key.ts'
import { versionsKeptMaximum } from '../store.ts'
import { leaseKind, shardKind, waitUntil } from '../store-contract.ts'
import { startTestNatsServer, type TestNatsServer } from '../test-nats-server.ts'
import { driveOperation } from './drive-operation.ts'
import { createLifecycleStreams } from './jetstream-streams.ts'
import type { LifecycleStreams } from './lifecycle-streams.ts'
import {
  type OperationStart,
  planAbort,
  planMerge,
  planMigration,
  planSplit,
  type StartPlan,
} from './plan-operation.ts'
import { listUnsharded, planReshard, planWeights } from './plan-reshard.ts'
import { startWriters, type Writers } from './test-writers.ts'

// Generous, since bun ends every child process, also the server, once a test is late.
setDefaultTimeout(120_000)

const logger = pino({ level: 'silent' })
const reconnecting = { maxReconnectAttempts: -1, reconnectTimeWait: 50 }
const writersCount = 64

let server: TestNatsServer
const connections: NatsConnection[] = []
const stores: JetStreamStore[] = []
let relay: OutboxRelay
let streams: LifecycleStreams
const events: CloudEvent[] = []
const reading = new AbortController()
/** By store and object, the versions that its watcher was told of. */
const told: Map<string, number[]>[] = []

const dial = async () => {
  const connection = await connect({ servers: server.url, ...reconnecting })
  connections.push(connection)
  return connection
}

beforeAll(async () => {
  server = await startTestNatsServer()
  for (let i = 0; i < 2; i++) {
    const store = await openJetStreamStore({ connection: await dial(), logger })
    const versions = new Map<string, number[]>()
    told.push(versions)
    stores.push(store)
    store.subscribe((changes) => {
      for (const { object } of changes) {
        const name = `${object.kind} ${object.id}`
        versions.set(name, [...(versions.get(name) ?? []), object.version])
      }
    })
  }
  const connection = await dial()
  streams = createLifecycleStreams({ connection, replicas: 1 })
  relay = await startOutboxRelay({ connection, logger })
  const started = Promise.withResolvers<void>()
  void (async () => {
    for await (const event of readEvents({ connection, signal: reading.signal, onStarted: started.resolve })) {
      events.push(event)
    }
  })()
  await started.promise
})
afterAll(async () => {
  reading.abort()
  await relay.stop()
  for (const store of stores) await store.close()
  for (const connection of connections) await connection.close()
  await server.stop()
})

const storeOf = (index: number): JetStreamStore => {
  const store = stores[index]
  if (store === undefined) throw new Error(`BUG: there is no store ${index}`)
  return store
}
/** By the leader, since what one store has changed another may not have seen yet. */
const current = () => storeOf(0).directory.refresh()

class Killed extends Error {}

type Call = keyof LifecycleStreams

/** Streams whose caller is killed at one of its calls, before or after it was done. */
function killWhen(isTime: (call: Call, calls: number) => boolean, isDone: boolean): LifecycleStreams {
  let calls = 0
  const wrap =
    <Given extends readonly unknown[], Answer>(call: Call, work: (...given: Given) => Promise<Answer>) =>
    async (...given: Given): Promise<Answer> => {
      if (!isTime(call, ++calls)) return work(...given)
      if (isDone) await work(...given)
      throw new Killed()
    }
  return {
    make: wrap('make', streams.make),
    lead: wrap('lead', streams.lead),
    isThere: wrap('isThere', streams.isThere),
    drop: wrap('drop', streams.drop),
    seal: wrap('seal', streams.seal),
    readAfter: wrap('readAfter', streams.readAfter),
    readCopied: wrap('readCopied', streams.readCopied),
    append: wrap('append', streams.append),
    hasWaitingEvents: wrap('hasWaitingEvents', streams.hasWaitingEvents),
  }
}

const drive = (id: string, through: LifecycleStreams, store = storeOf(0)) =>
  driveOperation(
    {
      directory: store.directory,
      streams: through,
      now: Date.now,
      sleep: (milliseconds) => Bun.sleep(milliseconds),
      whenFollowed: async (starts) => void (await store.reach(starts, 5_000)),
      graceMilliseconds: 0,
      signal: new AbortController().signal,
    },
    id,
  )

/** As the loop of operations does, since who drives it as well may be a step ahead. */
async function driveOnAndOn(id: string, store: JetStreamStore): Promise<void> {
  await waitUntil(async () => {
    try {
      await drive(id, streams, store)
      return true
    } catch {
      return false
    }
  }, 'the operation is over')
}

let operations = 0
async function begin(plan: (directory: MicroshardDirectory, start: OperationStart) => StartPlan): Promise<string> {
  const start = { id: `operation-${++operations}`, startedAt: new Date().toISOString() }
  const planned = await storeOf(0).directory.change((directory) => plan(directory, start))
  if (planned.kind === 'keep') throw new Error(planned.because.problem.detail)
  return start.id
}

/** Drives it with one killed after the other: at the first call, after it, and so on, each a bit further than before. */
async function driveWithKills(id: string): Promise<number> {
  for (let kills = 0; ; kills++) {
    const last = Math.round(1.7 ** (kills / 2))
    try {
      await drive(
        id,
        killWhen((_, calls) => calls >= last, kills % 2 === 1),
        storeOf(kills % 2),
      )
      return kills
    } catch (cause) {
      if (!(cause instanceof Killed)) throw cause
    }
  }
}

async function expectAllThere({ writers, refused }: Writers): Promise<void> {
  // Who waits for too long is told so, and nothing of his is written.
  expect(refused.filter(({ outcome }) => outcome !== 'unavailable')).toEqual([])
  for (const { shardId, leaseId, shardVersion, leaseVersion } of writers) {
    for (const store of stores) {
      const shard = await store.get(shardKind, shardId, { latest: true })
      const lease = await store.get(leaseKind, leaseId, { latest: true })
      expect([shard?.version, lease?.version]).toEqual([shardVersion, leaseVersion])
    }
    const kept = async (versions: Promise<readonly { readonly version: number }[]>) =>
      (await versions).map(({ version }) => version)
    const last = (version: number) => Array.from({ length: version }, (_, i) => i + 1).slice(-versionsKeptMaximum)
    expect((await kept(storeOf(1).history(shardKind, shardId))).at(-1)).toBe(shardVersion)
    expect(await kept(storeOf(1).history(leaseKind, leaseId))).toEqual(last(leaseVersion))
  }
  for (const versions of told) {
    for (const { shardId, leaseId, shardVersion, leaseVersion } of writers) {
      for (const [name, version] of [
        [`shard ${shardId}`, shardVersion] as const,
        [`lease ${leaseId}`, leaseVersion] as const,
      ]) {
        await waitUntil(() => versions.get(name)?.at(-1) === version, `the watcher is told of ${name} ${version}`)
        expect(versions.get(name)).toEqual(Array.from({ length: version }, (_, i) => i + 1))
      }
    }
  }
}

async function expectEventsOnce({ writers }: Writers): Promise<void> {
  const count = writers.reduce((sum, { writes }) => sum + writes, 0)
  const ids = new Set(writers.map(({ shardId }) => shardId))
  const own = () => events.filter(({ subject }) => ids.has(subject))
  await waitUntil(() => own().length >= count, 'all events come out')
  const bySubject = Map.groupBy(own(), ({ subject }) => subject)
  for (const { shardId, writes } of writers) {
    expect(bySubject.get(shardId)?.map(({ data }) => data)).toEqual(Array.from({ length: writes }, (_, i) => i))
  }
}

describe('under writers', () => {
  test('a microshard is split, migrated, aborted and merged again, and nothing is lost, doubled or out of order', async () => {
    const writers = await startWriters({
      stores,
      count: writersCount,
      hasEvents: true,
      leadingBits: '01',
      pauseMilliseconds: 60,
    })
    const split = await begin((directory, start) =>
      planSplit(directory, start, { microshardId: '2', at: '6000000000000000' }),
    )
    expect(await driveWithKills(split)).toBeGreaterThan(4)
    expect((await current()).microshards.map(({ id }) => id)).toEqual(['1', '5', '6', '3', '4'])

    const migration = await begin((directory, start) =>
      planMigration(directory, start, { microshardId: '5', node: 'other' }),
    )
    await Promise.all(stores.map((store) => driveOnAndOn(migration, store)))
    expect((await current()).microshards.map(({ id, node }) => [id, node])).toContainEqual(['7', 'other'])

    const dropped = await begin((directory, start) => planMerge(directory, start, { microshardId: '7', withId: '6' }))
    await expect(
      drive(
        dropped,
        killWhen((call) => call === 'append', true),
      ),
    ).rejects.toThrow(Killed)
    await storeOf(1).directory.change((directory) => planAbort(directory, dropped))
    await drive(dropped, streams)
    expect((await current()).microshards.map(({ id }) => id)).toEqual(['1', '7', '6', '3', '4'])

    // Sealed, and nobody goes on: writers wait until somebody has given it up.
    const returned = await begin((directory, start) => planMerge(directory, start, { microshardId: '7', withId: '6' }))
    await expect(
      drive(
        returned,
        killWhen((call) => call === 'seal', true),
      ),
    ).rejects.toThrow(Killed)
    await storeOf(1).directory.change((directory) => planAbort(directory, returned))
    await drive(returned, streams)
    expect((await current()).finished.map(({ id, outcome }) => [id, outcome])).toEqual([
      [split, 'done'],
      [migration, 'done'],
      [dropped, 'aborted'],
      [returned, 'aborted'],
    ])
    expect((await current()).microshards.map(({ id }) => id)).toEqual(['1', '10', '11', '3', '4'])

    const merge = await begin((directory, start) => planMerge(directory, start, { microshardId: '11', withId: '10' }))
    await driveWithKills(merge)
    expect((await current()).microshards.map(({ from }) => from.slice(0, 1))).toEqual(['0', '4', '8', 'c'])
    expect((await current()).operations).toEqual([])
    await writers.stop()
    await expectAllThere(writers)
    await expectEventsOnce(writers)
  })
  test('keys are given other weights, one microshard after the other, and all are found and written on', async () => {
    const count = writersCount / 4
    const writers = await startWriters({ stores, count, hasEvents: true, pauseMilliseconds: 60 })
    // Cut in the middle of a client: what is left of it comes along.
    const client = writers.writers.map(({ clientId }) => getShardKey(clientId, 'shard')).sort()[count / 2] ?? ''
    const entry = findMicroshard(await current(), client)
    const split = await begin((directory, start) => planSplit(directory, start, { microshardId: entry.id, at: client }))
    await drive(split, streams)
    const weights = { clientBits: 16, dataTypeBits: 8, timeBits: 0 }
    await storeOf(0).directory.change((directory) => planWeights(directory, weights))
    for (let steps = 0; listUnsharded(await current()).length > 0; steps++) {
      const id = await begin((directory, start) => {
        const planned = planReshard(directory, start, new Map())
        if (planned === null) throw new Error('BUG: the next is not free')
        return planned
      })
      if (steps === 0) await driveWithKills(id)
      else await drive(id, streams)
    }
    const { operations, keyLayouts } = await current()
    expect([operations, keyLayouts.at(-1)]).toEqual([[], expect.objectContaining(weights)])
    await writers.stop()
    await expectAllThere(writers)
    await expectEventsOnce(writers)
  })
})
