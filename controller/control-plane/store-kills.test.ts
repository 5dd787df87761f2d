/** The store, its watchers and the relay while nats-server and the relay are killed again and again. */

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import pino from 'pino'
import type { CloudEvent } from './cloud-event.ts'
import { ensureEventStream, eventStream, eventSubjects } from './event-stream.ts'
import { followStream } from './follow-stream.ts'
import { openJetStreamStore } from './jetstream-store.ts'
import { startOutboxRelay } from './outbox-relay.ts'
import {
  type Change,
  type Kind,
  type Store,
  StoreUnavailableError,
  type TransactionOutcome,
  versionsKeptMaximum,
  write,
} from './store.ts'
import {
  type Address,
  addressKind,
  type Lease,
  leaseKind,
  newAddressId,
  newClient,
  newLeaseId,
  newShardId,
  type Shard,
  shardKind,
  waitUntil,
} from './store-contract.ts'
import { startTestNatsServer, type TestNatsServer } from './test-nats-server.ts'

// Generous, since bun ends every child process, also the server, once a test is late.
setDefaultTimeout(60_000)

const logger = pino({ level: 'silent' })
const reconnecting = { maxReconnectAttempts: -1, reconnectTimeWait: 20 }
const clients = 8
const serverKills = 6
const relayKills = 10
const testMilliseconds = 120_000

let server: TestNatsServer
const cleanups: (() => Promise<unknown> | unknown)[] = []

beforeAll(async () => {
  server = await startTestNatsServer()
})
afterEach(async () => {
  while (cleanups.length > 0) await cleanups.pop()?.()
})
afterAll(() => server.stop())

async function dial(): Promise<NatsConnection> {
  const connection = await connect({ servers: server.url, ...reconnecting })
  cleanups.push(() => connection.close())
  return connection
}

async function open(): Promise<Store> {
  const store = await openJetStreamStore({ connection: await dial(), logger })
  cleanups.push(() => store.close())
  return store
}

interface Writer {
  readonly clientId: string
  readonly shardId: string
  /** The other object: one of its own, or one that the shard carries. */
  readonly other: { readonly kind: Kind<Shard | Address | Lease>; readonly id: string }
  /** Without an event the shard and what it carries are one message. */
  readonly tellsEvents: boolean
  /** The version that both its objects have reached. */
  version: number
}

/** Writes two objects, and an event where they are told, in one transaction, at the version that the outcomes so far tell. */
function writeBoth(store: Store, writer: Writer): Promise<TransactionOutcome> {
  const expected = writer.version === 0 ? 'absent' : writer.version
  const count = writer.version + 1
  const { shardId, other } = writer
  const value = other.kind.carriedBy === undefined ? { owner: String(count) } : { shardId, number: count }
  const event = { type: 'shard.changed', projectId: writer.clientId, subject: shardId, data: count }
  return store.transact({
    writes: [
      write({ kind: shardKind, id: shardId, expect: expected, value: { cidr: '', count } }),
      write({ kind: other.kind, id: other.id, expect: expected, value }),
    ],
    events: writer.tellsEvents ? [event] : [],
  })
}

/** Writes on and on until told to stop, as long as it may; every outcome must fit what came before. */
async function writeUntil(
  store: Store,
  writer: Writer,
  isOver: () => boolean,
  mayWrite: () => boolean = () => true,
): Promise<void> {
  while (!isOver()) {
    if (!mayWrite()) {
      await Bun.sleep(5)
      continue
    }
    const outcome = await writeBoth(store, writer)
    if (outcome.outcome === 'committed') writer.version++
    // A conflict would mean that an outcome was told wrongly: nobody else writes these objects.
    else if (outcome.outcome === 'conflict') throw new Error(`conflict: ${JSON.stringify(outcome.conflicts)}`)
    else await Bun.sleep(5)
  }
}

/** What memory can't answer yet since it lags behind its microshard, once it can. */
async function whenCaughtUp<Result>(read: () => Promise<Result>): Promise<Result> {
  const found: Result[] = []
  await waitUntil(async () => {
    try {
      found.push(await read())
    } catch (cause) {
      if (!(cause instanceof StoreUnavailableError)) throw cause
    }
    return found.length > 0
  }, 'memory has caught up')
  return found[0] as Result
}

function createWriters(haveAllEvents: boolean): Writer[] {
  return Array.from({ length: clients }, (_, i) => {
    const clientId = newClient()
    const isCarried = i % 2 === 1
    const other = isCarried
      ? { kind: leaseKind, id: newLeaseId(clientId) }
      : { kind: addressKind, id: newAddressId(clientId) }
    const tellsEvents = haveAllEvents || i % 4 !== 1
    return { clientId, shardId: newShardId(clientId), other, tellsEvents, version: 0 }
  })
}

/** Pauses of 20 to 220 ms, the same in each run. */
function createPauses(seed: number): () => Promise<void> {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Bun.sleep(20 + ((state >>> 8) % 200))
  }
}

describe('while nats-server is killed again and again', () => {
  test(
    'what is acknowledged stays, what is refused is absent, and a watcher hears each transaction once and whole',
    async () => {
      const [store, watcher] = [await open(), await open()]
      const heard: (readonly Change[])[] = []
      const heardVersions = new Map<string, number>()
      watcher.subscribe((changes) => {
        heard.push(changes)
        for (const { object } of changes) heardVersions.set(object.id, object.version)
      })
      const writers = createWriters(false)
      let isOver = false
      // Who is overtaken by more versions than are kept hears of the last ones alone.
      const isHeard = ({ shardId, version }: Writer) =>
        version - (heardVersions.get(shardId) ?? 0) < versionsKeptMaximum / 2
      const writing = Promise.all(
        writers.map((writer) =>
          writeUntil(
            store,
            writer,
            () => isOver,
            () => isHeard(writer),
          ),
        ),
      )
      const pause = createPauses(1)
      for (let i = 0; i < serverKills; i++) {
        await pause()
        await server.kill()
        await pause()
        await server.start()
        const before = writers.reduce((sum, { version }) => sum + version, 0)
        await waitUntil(() => writers.reduce((sum, { version }) => sum + version, 0) > before, 'writes go on')
      }
      await waitUntil(() => writers.every(({ version }) => version > 0), 'each has written')
      isOver = true
      await writing

      const total = writers.reduce((sum, { version }) => sum + version, 0)
      await waitUntil(() => heard.length >= total, 'the watcher has heard of all')
      for (const { shardId, other, version } of writers) {
        for (const reader of [store, watcher, await open()]) {
          expect(await reader.get(shardKind, shardId)).toMatchObject({ version, value: { count: version } })
          const value = other.kind.carriedBy === undefined ? { owner: String(version) } : { shardId, number: version }
          expect(await reader.get(other.kind, other.id)).toMatchObject({ version, value })
          const history = await whenCaughtUp(() => reader.history(other.kind, other.id))
          expect(history.map((object) => object.version)).toEqual(
            Array.from({ length: Math.min(version, versionsKeptMaximum) }, (_, k) => version - k).toReversed(),
          )
        }
        const told = heard.filter((changes) => changes.some(({ object }) => object.id === shardId))
        const versions = told.map((changes) =>
          changes.map(({ object, endOfTransaction }) => [object.id, object.version, endOfTransaction]),
        )
        expect(versions).toEqual(
          Array.from({ length: version }, (_, i) => [
            [shardId, i + 1, false],
            [other.id, i + 1, true],
          ]),
        )
      }
    },
    testMilliseconds,
  )

  test(
    'and the relay too, each event of a committed transaction comes out exactly once and in order',
    async () => {
      const store = await open()
      const connection = await dial()
      await ensureEventStream(connection, 1)
      const writers = createWriters(true)
      let isOver = false
      const writing = Promise.all(writers.map((writer) => writeUntil(store, writer, () => isOver)))
      const pause = createPauses(2)
      for (let i = 0; i < relayKills; i++) {
        const relay = await startRelayProcess()
        await pause()
        if (i % 2 === 1) {
          await server.kill()
          await pause()
          await server.start()
          await pause()
        }
        relay.kill('SIGKILL')
        await relay.exited
      }
      isOver = true
      await writing

      const last = await startOutboxRelay({ connection, logger })
      cleanups.push(() => last.stop())
      const total = writers.reduce((sum, { version }) => sum + version, 0)
      const projects = new Set(writers.map(({ clientId }) => clientId))
      const events = await readUntil(
        connection,
        (all) => all.filter(({ projectid }) => projects.has(projectid ?? '')).length >= total,
      )
      expect(new Set(events.map(({ id }) => id)).size).toBe(events.length)
      for (const { clientId, version } of writers) {
        const numbers = events.filter(({ projectid }) => projectid === clientId).map(({ data }) => data)
        expect(numbers).toEqual(Array.from({ length: version }, (_, i) => i + 1))
      }
    },
    testMilliseconds,
  )
})

async function startRelayProcess(): Promise<Bun.Subprocess<'ignore', 'pipe', 'inherit'>> {
  const program = new URL('./test-relay-process.ts', import.meta.url).pathname
  const relay = Bun.spawn([process.execPath, program, server.url], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  cleanups.push(() => relay.kill('SIGKILL'))
  for await (const _ of relay.stdout) break
  return relay
}

/** All events from the first one on, read until they are enough. */
async function readUntil(
  connection: NatsConnection,
  isEnough: (events: readonly CloudEvent[]) => boolean,
): Promise<readonly CloudEvent[]> {
  const events: CloudEvent[] = []
  const start = { kind: 'sequence', sequence: 1 } as const
  const signal = AbortSignal.timeout(testMilliseconds / 4)
  for await (const item of followStream({
    connection,
    stream: eventStream,
    filterSubject: eventSubjects(),
    start,
    signal,
  })) {
    if (item.kind === 'message') events.push(JSON.parse(Buffer.from(item.data).toString()))
    if (isEnough(events)) break
  }
  return events
}
