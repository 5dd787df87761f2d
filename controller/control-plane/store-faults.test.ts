/** What the store on JetStream does when acknowledgements are lost, writes are late, and its server dies. */

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, headers, type NatsConnection } from '@nats-io/transport-node'
import pino from 'pino'
import { watchConnection } from './connection-watch.ts'
import { type JetStreamStoreOptions, openJetStreamStore } from './jetstream-store.ts'
import { OutcomeUnknownError, type Store, StoreUnavailableError, shardKeyOf, write } from './store.ts'
import { newClient, newShardId, shardKind, waitUntil, writeShard } from './store-contract.ts'
import { startTestNatsServer, type TestNatsServer } from './test-nats-server.ts'
import { startTestTcpProxy, type TestTcpProxy } from './test-tcp-proxy.ts'
import { createActionQueue } from './writes/action-queue.ts'

// Generous, since bun ends every child process, also the server, once a test is late.
setDefaultTimeout(60_000)

const logger = pino({ level: 'silent' })
const reconnecting = { maxReconnectAttempts: -1, reconnectTimeWait: 20 }
const plain = { cidr: '10.0.0.0/22', count: 0 }

let server: TestNatsServer
const cleanups: (() => Promise<unknown> | unknown)[] = []

beforeAll(async () => {
  server = await startTestNatsServer()
})
afterEach(async () => {
  while (cleanups.length > 0) await cleanups.pop()?.()
})
afterAll(() => server.stop())

async function dial(url = server.url): Promise<NatsConnection> {
  const connection = await connect({ servers: url, ...reconnecting })
  cleanups.push(() => connection.close())
  return connection
}

async function open(options: Partial<JetStreamStoreOptions> = {}): Promise<Store> {
  const store = await openJetStreamStore({ connection: await dial(), logger, ...options })
  cleanups.push(() => store.close())
  return store
}

/** A store behind a proxy that can lose what it sends and hears. */
async function openBehindProxy(): Promise<{ readonly store: Store; readonly proxy: TestTcpProxy }> {
  const proxy = await startTestTcpProxy(server.url)
  cleanups.push(() => proxy.stop())
  const connection = await dial(proxy.url)
  return { store: await open({ connection, acknowledgementSeconds: 20 }), proxy }
}

/** With events it is an atomic batch, without it is a single publish. */
const forms = [
  ['a single write', []],
  ['a batch', [{ type: 'shard.changed', projectId: null, subject: 'x', data: 1 }]],
] as const

for (const [form, events] of forms) {
  for (const [before, versions] of [
    ['an object that was never written', 0],
    ['an object at version 2', 2],
    ['a tombstone', 3],
  ] as const) {
    const prepare = async (store: Store): Promise<string> => {
      const id = newShardId(newClient())
      for (let i = 0; i < versions; i++) await writeShard(store, id, i === 0 ? 'absent' : i, i === 2 ? null : plain)
      return id
    }
    const expected = versions === 2 ? 2 : 'absent'

    describe(`the outcome of ${form} of ${before}`, () => {
      test('is read back when it was stored and its acknowledgement got lost', async () => {
        const [{ store, proxy }, witness] = [await openBehindProxy(), await open()]
        const id = await prepare(store)
        proxy.dropAnswers()
        const writing = writeShard(store, id, expected, plain, { events })
        await waitUntil(async () => (await witness.history(shardKind, id)).length === versions + 1, 'it is stored')
        proxy.cut()
        expect(await writing).toMatchObject({ outcome: 'committed', objects: [{ id, version: versions + 1 }] })
        expect(await store.get(shardKind, id)).toEqual(await witness.get(shardKind, id, { latest: true }))
        expect(await store.history(shardKind, id)).toHaveLength(versions + 1)
      })

      test('is "unavailable" when it was not stored, and then it never is, however late it arrives', async () => {
        const [{ store, proxy }, witness] = [await openBehindProxy(), await open()]
        const id = await prepare(store)
        const history = await witness.history(shardKind, id)
        proxy.holdRequests()
        const writing = writeShard(store, id, expected, { ...plain, count: 9 }, { events })
        await waitUntil(() => proxy.isHolding(id), 'the write is on its way')
        proxy.cut()
        expect((await writing).outcome).toBe('unavailable')
        await proxy.release()
        await writeShard(witness, newShardId(id), 'absent', plain, { events })
        expect(await witness.history(shardKind, id)).toEqual(history)
        // The place is as it was for everybody: the next write finds nothing in its way.
        expect(await writeShard(witness, id, expected, plain)).toMatchObject({ outcome: 'committed' })
        expect(await writeShard(store, id, versions + 1, plain)).toMatchObject({ outcome: 'committed' })
      })

      test('is a conflict when it was not stored and another has written in the meantime', async () => {
        const [{ store, proxy }, witness] = [await openBehindProxy(), await open()]
        const id = await prepare(store)
        proxy.holdRequests()
        const writing = writeShard(store, id, expected, { ...plain, count: 9 }, { events })
        await waitUntil(() => proxy.isHolding(id), 'the write is on its way')
        expect((await writeShard(witness, id, expected, { ...plain, count: 1 })).outcome).toBe('committed')
        proxy.cut()
        expect(await writing).toEqual({
          outcome: 'conflict',
          conflicts: [{ kind: 'shard', id, expectedVersion: expected, actualVersion: versions + 1 }],
        })
        await proxy.release()
        expect(await witness.get(shardKind, id, { latest: true })).toMatchObject({ value: { count: 1 } })
      })
    })
  }
}

describe('a writer who waits for no acknowledgement', () => {
  test('learns each outcome all the same, as it is in the history', async () => {
    const [store, witness] = [await open({ acknowledgementSeconds: 0.001 }), await open()]
    const ids = Array.from({ length: 8 }, () => newShardId(newClient()))
    await Promise.all(
      ids.map(async (id) => {
        let version = 0
        for (let i = 0; i < 12; i++) {
          const events = i % 2 === 0 ? [] : [{ type: 'shard.changed', projectId: null, subject: id, data: i }]
          const outcome = await writeShard(
            store,
            id,
            version === 0 ? 'absent' : version,
            { ...plain, count: i },
            { events },
          )
          const { length, [length - 1]: last } = await witness.history(shardKind, id)
          if (outcome.outcome === 'committed') version++
          // Fences take their share of the versions that the server keeps.
          expect(last?.version ?? 0).toBe(version)
          if (outcome.outcome === 'committed') expect(last?.value).toEqual({ ...plain, count: i })
          expect(outcome.outcome).not.toBe('conflict')
        }
        expect(version).toBeGreaterThan(0)
      }),
    )
  })
})

describe('while NATS is away', () => {
  test('writes are refused at once, memory answers, and afterwards it catches up without a gap', async () => {
    const own = await startTestNatsServer()
    cleanups.push(() => own.stop())
    const [connection, other] = [await dial(own.url), await dial(own.url)]
    const [store, writer] = [await open({ connection }), await open({ connection: other })]
    const id = newShardId(newClient())
    await writeShard(store, id, 'absent', plain)
    await own.kill()
    await waitUntil(() => !watchConnection(connection).isConnected(), 'the connection is seen to break')
    expect(await writeShard(store, id, 1, null)).toMatchObject({ outcome: 'unavailable', retryAfterSeconds: 1 })
    expect(await store.get(shardKind, id)).toMatchObject({ version: 1 })
    expect(store.snapshot(shardKind, id)).toHaveLength(1)
    await expect(store.get(shardKind, id, { latest: true })).rejects.toBeInstanceOf(StoreUnavailableError)
    await expect(store.history(shardKind, id)).rejects.toBeInstanceOf(StoreUnavailableError)
    expect(await store.status()).toMatchObject({ status: 'unavailable' })
    await own.start()
    await waitUntil(async () => (await writeShard(writer, id, 1, null)).outcome === 'committed', 'NATS is back')
    await waitUntil(async () => (await store.get(shardKind, id)) === null, 'memory catches up')
    expect((await store.status()).status).toBe('available')
  })

  test('a doubt that nobody can settle is told as such, and the action is done once all the same', async () => {
    const own = await startTestNatsServer()
    cleanups.push(() => own.stop())
    const connection = await dial(own.url)
    const store = await open({ connection, acknowledgementSeconds: 0.2, doubtSeconds: 0.3 })
    const id = newShardId(newClient())
    const { act } = createActionQueue({ store, now: () => performance.now(), random: (bytes) => new Uint8Array(bytes) })
    const action = {
      kind: shardKind,
      id,
      actionId: 'create',
      apply: () => ({ kind: 'write', value: plain }) as const,
    }
    await own.pause()
    await expect(act(action)).rejects.toBeInstanceOf(OutcomeUnknownError)
    own.resume()
    await waitUntil(async () => (await store.get(shardKind, id)) !== null, 'the paused server stores it')
    expect(await act(action)).toMatchObject({ outcome: 'done', isRepeated: true, object: { version: 1 } })
  })
})

describe('with two stores on one server', () => {
  test('one of 16 writers who expect the same version is accepted, and the losers see its write at once', async () => {
    const stores = [await open(), await open()]
    const id = newShardId(newClient())
    await writeShard(stores[0] as Store, id, 'absent', plain)
    for (let version = 1; version <= 30; version++) {
      const outcomes = await Promise.all(
        Array.from({ length: 16 }, async (_, i) => {
          const store = stores[i % 2] as Store
          const { outcome } = await writeShard(store, id, version, { ...plain, count: i })
          return { outcome, seen: (await store.get(shardKind, id))?.version }
        }),
      )
      expect(outcomes.filter(({ outcome }) => outcome === 'committed')).toHaveLength(1)
      expect(outcomes.every(({ outcome }) => outcome === 'committed' || outcome === 'conflict')).toBe(true)
      expect(outcomes.filter(({ seen }) => seen !== version + 1)).toEqual([])
    }
  })

  test('they may open for the first time at the same moment', async () => {
    const own = await startTestNatsServer()
    cleanups.push(() => own.stop())
    const connections = await Promise.all([1, 2, 3, 4].map(() => dial(own.url)))
    const stores = await Promise.all(connections.map((connection) => open({ connection })))
    const id = newShardId(newClient())
    expect((await writeShard(stores[0] as Store, id, 'absent', plain)).outcome).toBe('committed')
    for (const store of stores) expect(await store.get(shardKind, id, { latest: true })).toMatchObject({ version: 1 })
  })

  test('a store that opens later shows the same', async () => {
    const first = await open()
    const clientId = newClient()
    for (let i = 0; i < 40; i++) {
      const id = newShardId(clientId)
      await writeShard(first, id, 'absent', plain)
      if (i % 3 === 0) await writeShard(first, id, 1, null)
      if (i % 3 === 1) await writeShard(first, id, 1, { ...plain, count: i })
    }
    const second = await open()
    expect(second.snapshot(shardKind, clientId)).toEqual(first.snapshot(shardKind, clientId))
    expect(second.snapshot(shardKind, clientId)).toHaveLength(26)
  })
})

describe('a microshard whose server takes no more batches', () => {
  test('is unavailable for batches, and stores nothing of them', async () => {
    const store = await open()
    const connection = await dial()
    const id = newShardId(newClient())
    const manager = await jetstreamManager(connection)
    // Batches that others have begun and never end: the server gives up on them after ten seconds.
    for (const { id: microshard, epoch } of (await store.status()).microshards) {
      for (let i = 0; i < 50; i++) {
        const fields = headers()
        fields.set('Nats-Batch-Id', `open-${microshard}-${i}`)
        fields.set('Nats-Batch-Sequence', '1')
        await connection.request(`ms.${microshard}.${epoch}.shard.open${i}`, '', { headers: fields, timeout: 5000 })
      }
    }
    const before = await manager.streams.info('ms_1')
    const outcome = await writeShard(store, id, 'absent', plain, {
      events: [{ type: 'shard.made', projectId: null, subject: id, data: 1 }],
    })
    expect(outcome).toMatchObject({ outcome: 'unavailable' })
    expect(await store.history(shardKind, id)).toEqual([])
    expect((await manager.streams.info('ms_1')).state.messages).toBe(before.state.messages)
    expect((await writeShard(store, id, 'absent', plain)).outcome).toBe('committed')
  })
})

describe('a store is not opened', () => {
  test.each(['2.9.10', '2.12.2', '2.12.2-beta.1', 'unknown'])(
    'on nats-server %s, which is too old',
    async (version) => {
      const connection = { info: { version } } as NatsConnection
      await expect(openJetStreamStore({ connection, logger })).rejects.toThrow(
        `nats-server ${version} is too old: it accepts conditional writes that contradict each other. Run 2.12.3 or newer`,
      )
    },
  )

  test('whose directory a newer program has written', async () => {
    const own = await startTestNatsServer()
    cleanups.push(() => own.stop())
    const connection = await dial(own.url)
    await open({ connection })
    await connection.request('$KV.sluice_directory.directory', '{"format": 999}', { timeout: 5000 })
    await expect(openJetStreamStore({ connection, logger })).rejects.toThrow('run the version of sluice that wrote it')
  })

  test('whose objects a newer program has written, and one that is open takes no more writes there', async () => {
    const own = await startTestNatsServer()
    cleanups.push(() => own.stop())
    const connection = await dial(own.url)
    const store = await open({ connection })
    await connection.request(`ms.1.1.shard.${newIdInFirstMicroshard()}`, '{"format": 3}', { timeout: 5000 })
    await expect(openJetStreamStore({ connection, logger })).rejects.toThrow('run the version of sluice that wrote it')
    const write = () => writeShard(store, newIdInFirstMicroshard(), 'absent', plain)
    await waitUntil(async () => (await write()).outcome === 'unavailable', 'the microshard is given up')
  })
})

function newIdInFirstMicroshard(): string {
  const id = newShardId(newClient())
  return shardKeyOf(shardKind, id) < '4' ? id : newIdInFirstMicroshard()
}

describe('a listener that throws', () => {
  test('keeps neither the others nor memory from going on', async () => {
    const store = await open()
    const id = newShardId(newClient())
    const heard: number[] = []
    store.subscribe(() => {
      throw new Error('a mistake')
    })
    store.subscribe((changes) =>
      heard.push(...changes.filter(({ object }) => object.id === id).map(({ object }) => object.version)),
    )
    await writeShard(store, id, 'absent', plain)
    await store.transact({ writes: [write({ kind: shardKind, id, expect: 1, value: plain })] })
    await waitUntil(() => heard.length === 2, 'the other listener hears of both')
    expect(heard).toEqual([1, 2])
  })
})
