/** Events on their way out: relayed once whatever dies, read from any point without a gap. */

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, headers, type NatsConnection } from '@nats-io/transport-node'
import pino from 'pino'
import type { CloudEvent } from './cloud-event.ts'
import { ensureEventStream, eventStream } from './event-stream.ts'
import { type ReadEventsOptions, readEvents } from './events.ts'
import { openJetStreamStore } from './jetstream-store.ts'
import { startOutboxRelay } from './outbox-relay.ts'
import { createId } from './shard-key.ts'
import type { Store } from './store.ts'
import { newClient, newShardId, waitUntil, writeShard } from './store-contract.ts'
import { startTestNatsServer, type TestNatsServer } from './test-nats-server.ts'

// Generous, since bun ends every child process, also the server, once a test is late.
setDefaultTimeout(60_000)

const logger = pino({ level: 'silent' })
const reconnecting = { maxReconnectAttempts: -1, reconnectTimeWait: 20 }
const plain = { cidr: '10.0.0.0/22', count: 0 }

let server: TestNatsServer
let connection: NatsConnection
let store: Store
const cleanups: (() => Promise<unknown> | unknown)[] = []

beforeAll(async () => {
  server = await startTestNatsServer()
  connection = await connect({ servers: server.url, ...reconnecting })
  store = await openJetStreamStore({ connection, logger })
  await ensureEventStream(connection, 1)
})
afterEach(async () => {
  while (cleanups.length > 0) await cleanups.pop()?.()
})
afterAll(async () => {
  await store.close()
  await connection.close()
  await server.stop()
})

async function startRelay(): Promise<void> {
  const relay = await startOutboxRelay({ connection, logger })
  cleanups.push(() => relay.stop())
}

/** Writes one shard of a project again and again, each time with one event that carries the number of the write. */
async function emit(projectId: string, count: number, id = newShardId(projectId), first = 0): Promise<string> {
  for (let i = first; i < first + count; i++) {
    const event = { type: 'shard.changed', projectId, subject: id, data: i }
    const outcome = await writeShard(store, id, i === 0 ? 'absent' : i, plain, { events: [event] })
    expect(outcome.outcome).toBe('committed')
  }
  return id
}

/** Reads into a list until the test ends; resolved when the reading has begun. */
async function collect(options: Omit<ReadEventsOptions, 'connection' | 'signal'>): Promise<CloudEvent[]> {
  const events: CloudEvent[] = []
  const reading = new AbortController()
  const started = Promise.withResolvers<void>()
  const done = (async () => {
    const signal = reading.signal
    for await (const event of readEvents({ connection, signal, onStarted: started.resolve, ...options }))
      events.push(event)
  })()
  done.catch(started.reject)
  cleanups.push(() => {
    reading.abort()
    return done.catch(() => {})
  })
  await started.promise
  return events
}

const numbers = (events: readonly CloudEvent[]): unknown[] => events.map(({ data }) => data)
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

describe('reading events', () => {
  test('begins with the next one that comes out, and shows one project only its own', async () => {
    await startRelay()
    const [own, other] = [newClient(), newClient()]
    const id = await emit(own, 3)
    const [ofOwn, ofAll] = [await collect({ projectId: own }), await collect({})]
    await emit(other, 2)
    await emit(own, 2, id, 3)
    await waitUntil(() => ofAll.filter(({ projectid }) => projectid === own).length >= 2, 'the events come out')
    expect(numbers(ofOwn.slice(-2))).toEqual([3, 4])
    expect(ofOwn.every(({ projectid }) => projectid === own)).toBe(true)
    expect(numbers(ofAll.filter(({ projectid }) => projectid === other))).toEqual([0, 1])
  })

  test('after a given event yields exactly what followed it, and goes on with what comes', async () => {
    await startRelay()
    const projectId = newClient()
    const all = await collect({ projectId })
    const id = await emit(projectId, 20)
    await waitUntil(() => all.length >= 20, 'the events come out')
    for (const [place, ofAllProjects] of [
      [0, false],
      [7, false],
      [19, false],
      [7, true],
    ] as const) {
      const afterId = all[place]?.id ?? ''
      const events = await collect(ofAllProjects ? { afterId } : { projectId, afterId })
      await waitUntil(() => events.length >= 19 - place, 'what was missed comes')
      expect(numbers(events)).toEqual(range(place + 1, 20))
    }
    const last = await collect({ projectId, afterId: all[18]?.id ?? '' })
    await emit(projectId, 5, id, 20)
    await waitUntil(() => last.length >= 6, 'what is new comes')
    expect(numbers(last)).toEqual(range(19, 25))
  })

  test('misses and doubles nothing while events keep coming out', async () => {
    await startRelay()
    const projectId = newClient()
    const all = await collect({ projectId })
    const id = await emit(projectId, 5)
    await waitUntil(() => all.length >= 5, 'the first events come out')
    const emitting = emit(projectId, 60, id, 5)
    const readers: CloudEvent[][] = []
    while (readers.length < 8) readers.push(await collect({ projectId, afterId: all[2]?.id ?? '' }))
    await emitting
    await waitUntil(() => readers.every((events) => events.length >= 62), 'all events come to all')
    for (const events of readers) expect(numbers(events)).toEqual(range(3, 65))
  })

  test('after an event that is not kept any more yields all that are, whatever clock its id was made by', async () => {
    await startRelay()
    const projectId = newClient()
    const all = await collect({ projectId })
    await emit(projectId, 4)
    await waitUntil(() => all.length >= 4, 'the events come out')
    for (const time of [0, Date.now(), Date.now() + 1e9]) {
      const events = await collect({ projectId, afterId: createId('evt', projectId, time) })
      await waitUntil(() => events.length >= 4, 'all that are kept come')
      expect(numbers(events)).toEqual(range(0, 4))
    }
  })

  test('after what is no event at all is refused', async () => {
    await expect(collect({ afterId: 'evt_1' })).rejects.toThrow("'evt_1' is not an event's id")
    await expect(collect({ afterId: newShardId(newClient()) })).rejects.toThrow("is not an event's id")
  })
})

describe('the relay', () => {
  test('leaves nothing behind in the microshards', async () => {
    await startRelay()
    const projectId = newClient()
    const all = await collect({ projectId })
    const manager = await jetstreamManager(connection)
    await emit(projectId, 10)
    await waitUntil(() => all.length >= 10, 'the events come out')
    await waitUntil(async () => (await countWaiting(manager)) === 0, 'the outboxes are empty')
    expect(numbers(all)).toEqual(range(0, 10))
  })

  test('doubles nothing when several relay at once', async () => {
    for (let i = 0; i < 3; i++) await startRelay()
    const projectId = newClient()
    const all = await collect({ projectId })
    await emit(projectId, 50)
    await waitUntil(() => all.length >= 50, 'the events come out')
    await emit(projectId, 1)
    await waitUntil(() => all.length >= 51, 'one more comes out')
    expect(numbers(all)).toEqual([...range(0, 50), 0])
  })

  test('doubles nothing that came out before, although the server has forgotten its id', async () => {
    const projectId = newClient()
    const all = await collect({ projectId })
    const manager = await jetstreamManager(connection)
    await emit(projectId, 3)
    // What a relay does that dies before it removes anything, with a server that forgets at once.
    const { config } = await manager.streams.info(eventStream)
    for (const { id, epoch } of (await store.status()).microshards) {
      const { state } = await manager.streams.info(`ms_${id}`, { subjects_filter: `ms.${id}.${epoch}.outbox.>` })
      for (const subject of Object.keys(state.subjects ?? {})) {
        const waiting = await manager.streams.getMessage(`ms_${id}`, { last_by_subj: subject })
        const event = waiting?.json<CloudEvent>()
        if (event?.data !== 2)
          await publishWithId(`sluice.events.${projectId}.shard.changed`, JSON.stringify(event), event?.id ?? '')
      }
    }
    await waitUntil(() => all.length >= 2, 'two have come out')
    await manager.streams.update(eventStream, { ...config, duplicate_window: 100_000_000 })
    // Once the server forgets an id that is younger than those, it has forgotten those.
    const probe = () => publishWithId('sluice.events.system.probe.made', '{}', 'probe')
    await probe()
    await waitUntil(async () => !(await probe()), 'the server has forgotten')
    const relay = await startOutboxRelay({ connection, logger })
    await waitUntil(async () => (await countWaiting(manager)) === 0, 'the outboxes are empty')
    await relay.stop()
    expect(numbers(all).sort()).toEqual([0, 1, 2])
  })
})

/** Publishes under a message id, and tells whether the server had seen it. */
async function publishWithId(subject: string, body: string, id: string): Promise<boolean> {
  const fields = headers()
  fields.set('Nats-Msg-Id', id)
  const answer = await connection.request(subject, body, { headers: fields, timeout: 5000 })
  return answer.json<{ duplicate?: boolean }>().duplicate === true
}

/** How many events wait in all microshards. */
async function countWaiting(manager: Awaited<ReturnType<typeof jetstreamManager>>): Promise<number> {
  let waiting = 0
  for (const { id, epoch } of (await store.status()).microshards) {
    const { state } = await manager.streams.info(`ms_${id}`, { subjects_filter: `ms.${id}.${epoch}.outbox.>` })
    waiting += Object.keys(state.subjects ?? {}).length
  }
  return waiting
}
