import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { watchConnection } from './connection-watch.ts'
import { type FollowedItem, type FollowStart, followStream, StreamRolledBackError } from './follow-stream.ts'
import { waitUntil } from './store-contract.ts'
import { startTestNatsServer, type TestNatsServer } from './test-nats-server.ts'

// Generous, since bun ends every child process, also the server, once a test is late.
setDefaultTimeout(60_000)

let server: TestNatsServer
let connection: NatsConnection
let streams = 0
const cleanups: (() => Promise<unknown> | unknown)[] = []

beforeAll(async () => {
  server = await startTestNatsServer()
  connection = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 20 })
})
afterEach(async () => {
  while (cleanups.length > 0) await cleanups.pop()?.()
})
afterAll(async () => {
  await connection.close()
  await server.stop()
})

async function createStream(): Promise<string> {
  const name = `s${++streams}`
  const manager = await jetstreamManager(connection)
  await manager.streams.add({ name, subjects: [`${name}.>`], max_msgs_per_subject: 3 })
  return name
}

const publish = (subject: string, body = '') => connection.request(subject, body, { timeout: 20_000 })

async function publishMany(stream: string, from: number, to: number, size = 0): Promise<void> {
  for (let i = from; i < to - 1; i++) connection.publish(`${stream}.${i}`, 'x'.repeat(size))
  await publish(`${stream}.${to - 1}`, 'x'.repeat(size))
}

function collect(stream: string, start: FollowStart): { readonly items: FollowedItem[]; failure(): unknown } {
  const items: FollowedItem[] = []
  const stopping = new AbortController()
  let failure: unknown = null
  const following = (async () => {
    const signal = stopping.signal
    for await (const item of followStream({ connection, stream, filterSubject: `${stream}.>`, start, signal }))
      items.push(item)
  })().catch((cause: unknown) => {
    failure = cause
  })
  cleanups.push(() => {
    stopping.abort()
    return following
  })
  return { items, failure: () => failure }
}

const sequences = (items: readonly FollowedItem[]) =>
  items.flatMap((item) => (item.kind === 'message' ? [item.sequence] : []))
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
const kinds = (items: readonly FollowedItem[]) => items.map(({ kind }) => kind)

describe('following a stream', () => {
  test('says when it has caught up, and goes on', async () => {
    const stream = await createStream()
    await publishMany(stream, 0, 3)
    const { items } = collect(stream, { kind: 'sequence', sequence: 2 })
    await waitUntil(() => items.length === 4, 'it has caught up')
    await publishMany(stream, 3, 4)
    await waitUntil(() => items.length === 5, 'it goes on')
    expect(kinds(items)).toEqual(['started', 'message', 'message', 'caughtUp', 'message'])
    expect(sequences(items)).toEqual([2, 3, 4])
  })

  test('has caught up at once where there is nothing', async () => {
    const { items } = collect(await createStream(), { kind: 'lastOfEachSubject' })
    await waitUntil(() => items.length === 2, 'it has caught up')
    expect(items).toEqual([
      { kind: 'started', target: 0 },
      { kind: 'caughtUp', sequence: 0 },
    ])
  })

  test('can begin with the last message of each subject', async () => {
    const stream = await createStream()
    for (const subject of ['a', 'b', 'a', 'c', 'b']) await publish(`${stream}.${subject}`)
    const { items } = collect(stream, { kind: 'lastOfEachSubject' })
    await waitUntil(() => kinds(items).includes('caughtUp'), 'it has caught up')
    expect(sequences(items)).toEqual([3, 4, 5])
  })

  test('can begin with what is new', async () => {
    const stream = await createStream()
    await publishMany(stream, 0, 3)
    const { items } = collect(stream, { kind: 'new' })
    await waitUntil(() => kinds(items).includes('caughtUp'), 'it has begun')
    await publishMany(stream, 3, 5)
    await waitUntil(() => sequences(items).length === 2, 'what is new comes')
    expect(sequences(items)).toEqual([4, 5])
  })

  test('delivers much more than fits on the way at once, to a reader who is slower', async () => {
    const stream = await createStream()
    await publishMany(stream, 0, 3_000, 8_000)
    const seen: number[] = []
    const signal = AbortSignal.timeout(30_000)
    const start = { kind: 'sequence', sequence: 1 } as const
    for await (const item of followStream({ connection, stream, filterSubject: `${stream}.>`, start, signal })) {
      if (item.kind === 'message') seen.push(item.sequence)
      if (item.kind === 'caughtUp') break
      if (seen.length % 100 === 0) await Bun.sleep(1)
    }
    expect(seen).toEqual(range(1, 3_001))
  }, 40_000)

  test('goes on where it was when the server is killed and started again, with neither gap nor double', async () => {
    const stream = await createStream()
    await publishMany(stream, 0, 10)
    const { items } = collect(stream, { kind: 'time', time: new Date(0) })
    const watch = watchConnection(connection)
    for (let i = 1; i <= 3; i++) {
      await waitUntil(() => sequences(items).length === 10 * i, 'all has come')
      await server.kill()
      await waitUntil(() => !watch.isConnected(), 'the connection is seen to break')
      await server.start()
      await waitUntil(() => watch.isConnected(), 'the connection is back')
      await publishMany(stream, 10 * i, 10 * i + 10)
    }
    await waitUntil(() => sequences(items).length >= 40, 'all has come')
    expect(sequences(items)).toEqual(range(1, 41))
    expect(kinds(items).filter((kind) => kind === 'caughtUp').length).toBe(
      kinds(items).filter((kind) => kind === 'started').length,
    )
  }, 30_000)

  test('goes on when its consumer is deleted behind its back', async () => {
    const stream = await createStream()
    await publishMany(stream, 0, 2)
    const { items } = collect(stream, { kind: 'sequence', sequence: 1 })
    await waitUntil(() => kinds(items).includes('caughtUp'), 'it has caught up')
    const manager = await jetstreamManager(connection)
    for await (const { name } of manager.consumers.list(stream)) await manager.consumers.delete(stream, name)
    await publishMany(stream, 2, 4)
    await waitUntil(() => sequences(items).length === 4, 'the rest comes')
    expect(sequences(items)).toEqual([1, 2, 3, 4])
  }, 30_000)

  test('fails when the stream is younger than what was read from it', async () => {
    const stream = await createStream()
    await publishMany(stream, 0, 5)
    const { items, failure } = collect(stream, { kind: 'sequence', sequence: 1 })
    await waitUntil(() => kinds(items).includes('caughtUp'), 'it has caught up')
    const manager = await jetstreamManager(connection)
    await manager.streams.delete(stream)
    await manager.streams.add({ name: stream, subjects: [`${stream}.>`] })
    await waitUntil(() => failure() !== null, 'it fails')
    expect(failure()).toBeInstanceOf(StreamRolledBackError)
  }, 30_000)
})
