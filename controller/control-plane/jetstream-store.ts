/**
 * The store on JetStream: opens the directory and its microshards, and sends each question to the one that keeps the
 * answer. It owns the streams `ms_*` and the directory's bucket; the connection stays its caller's.
 */

import { jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { createCargoHold } from './cargo-hold.ts'
import { watchConnection } from './connection-watch.ts'
import { streamName } from './message.ts'
import { type Microshard, openMicroshard } from './microshard.ts'
import { findMicroshard, type MicroshardEntry, openDirectory } from './microshard-directory.ts'
import { openMicroshardReplica } from './microshard-replica.ts'
import { ensureMicroshardStream, openMicroshardStream } from './microshard-stream.ts'
import { createObjectTable } from './object-table.ts'
import { createOwnWrites } from './own-writes.ts'
import { checkObjectName, checkTransaction, type KnownObject } from './plan-transaction.ts'
import { refuseOldServerVersion } from './server-version.ts'
import {
  type Change,
  type Kind,
  type Store,
  type StoredObject,
  type StoreStatus,
  shardKeyOf,
  type TransactionOutcome,
} from './store.ts'

export { serverVersionMinimum } from './server-version.ts'

export interface JetStreamStoreOptions {
  readonly connection: NatsConnection
  readonly logger: Pick<Logger, 'warn' | 'error'>
  /** How many servers keep each microshard: 1 embedded, 3 in a cluster. */
  readonly replicas?: number
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** How long a write waits to be acknowledged before its outcome counts as unknown. */
  readonly acknowledgementSeconds?: number
  /** How long the store tries to learn an unknown outcome before it says so. */
  readonly doubtSeconds?: number
}

const acknowledgementSecondsDefault = 5
const doubtSecondsDefault = 30
const loadSecondsMaximum = 60

/** @example const store = await openJetStreamStore({ connection: await connect({ servers }), logger: pino() }) */
export async function openJetStreamStore(options: JetStreamStoreOptions): Promise<Store> {
  const { connection, logger } = options
  const replicas = options.replicas ?? 1
  refuseOldServerVersion(connection.info?.version ?? 'unknown')
  const watch = watchConnection(connection)
  const directory = await openDirectory(connection, replicas)
  const table = createObjectTable()
  const listeners = new Set<(changes: readonly Change[]) => void>()
  let isClosed = false

  function tell(changes: readonly Change[]): void {
    for (const listener of [...listeners]) {
      try {
        listener(changes)
      } catch (error) {
        // One listener's mistake must not keep the others, or memory, from going on.
        logger.error({ err: error }, 'a listener to the store failed')
      }
    }
  }

  const microshards = new Map<string, Microshard>()
  const loading: Promise<void>[] = []
  for (const entry of directory.microshards) {
    await ensureMicroshardStream(connection, entry, replicas)
    const opened = openEntry(options, entry, { table, onTransaction: tell })
    microshards.set(entry.id, opened.microshard)
    loading.push(opened.loaded)
  }

  async function close(): Promise<void> {
    isClosed = true
    listeners.clear()
    await Promise.all([...microshards.values()].map((microshard) => microshard.close()))
  }

  function findOwner(kind: Kind<unknown>, id: string): Microshard {
    const { id: microshardId } = findMicroshard(directory, shardKeyOf(kind, id))
    const microshard = microshards.get(microshardId)
    if (microshard === undefined) throw new Error(`BUG: microshard ${microshardId} is not open`)
    return microshard
  }

  try {
    await waitUntilLoaded(loading)
  } catch (cause) {
    await close()
    throw cause
  }

  const self: Store = {
    async getOrTombstone<Value>(kind: Kind<Value>, id: string, read: { readonly latest?: boolean } = {}) {
      checkObjectName(kind, id)
      const object = read.latest === true ? await findOwner(kind, id).readLatest(kind, id) : table.find(kind.name, id)
      return hideUnwritten(object) as StoredObject<Value | null> | null
    },

    async get<Value>(kind: Kind<Value>, id: string, read: { readonly latest?: boolean } = {}) {
      const object = await self.getOrTombstone(kind, id, read)
      return object === null || object.value === null ? null : (object as StoredObject<Value>)
    },

    list: async (kind, listOptions) => table.list(kind, listOptions),
    snapshot: (kind, clientId) => table.snapshot(kind, clientId),

    async history<Value>(kind: Kind<Value>, id: string) {
      checkObjectName(kind, id)
      return (await findOwner(kind, id).readHistory(kind, id)) as readonly StoredObject<Value | null>[]
    },

    async transact(transaction): Promise<TransactionOutcome> {
      checkTransaction(transaction)
      const [first] = transaction.writes
      if (first === undefined) throw new Error('BUG: a transaction without a write')
      return findOwner(first.kind, first.id).transact(transaction)
    },

    subscribe(listener) {
      // A wrapper of its own, so that one function may subscribe twice.
      const own = (changes: readonly Change[]) => listener(changes)
      listeners.add(own)
      return () => listeners.delete(own)
    },

    async status(): Promise<StoreStatus> {
      const isAvailable = !isClosed && watch.isConnected()
      const measured = isAvailable ? await measureMicroshards(connection, directory.microshards) : null
      const unmeasured = directory.microshards.map((entry) => ({ ...entry, messages: 0, bytes: 0 }))
      return {
        mode: replicas === 1 ? 'embedded' : 'distributed',
        status: measured === null ? 'unavailable' : 'available',
        serverVersion: connection.info?.version ?? null,
        microshards: measured ?? unmeasured,
      }
    },

    close,
  }
  return self
}

function openEntry(
  options: JetStreamStoreOptions,
  entry: MicroshardEntry,
  memory: {
    readonly table: ReturnType<typeof createObjectTable>
    readonly onTransaction: (changes: readonly Change[]) => void
  },
): { readonly microshard: Microshard; readonly loaded: Promise<void> } {
  const { connection, logger } = options
  const place = { id: entry.id, epoch: entry.epoch }
  const stream = openMicroshardStream({
    connection,
    place,
    acknowledgementMilliseconds: 1000 * (options.acknowledgementSeconds ?? acknowledgementSecondsDefault),
  })
  const [hold, own] = [createCargoHold(), createOwnWrites()]
  const replica = openMicroshardReplica({
    connection,
    place,
    hold,
    own,
    ...memory,
    onTrouble: (trouble) => logger.warn({ err: trouble, microshard: entry.id }, 'memory lags behind its microshard'),
    onBroken: (cause) => logger.error({ err: cause, microshard: entry.id }, "memory can't follow its microshard"),
  })
  const microshard = openMicroshard({
    place,
    stream,
    replica,
    table: memory.table,
    hold,
    own,
    now: options.now ?? Date.now,
    doubtMilliseconds: 1000 * (options.doubtSeconds ?? doubtSecondsDefault),
  })
  return { microshard, loaded: replica.loaded }
}

/** The place of an object that was never written can be fenced off; to a reader it is as absent as before. */
function hideUnwritten(object: KnownObject | null): KnownObject | null {
  return object === null || object.version === 0 ? null : object
}

async function waitUntilLoaded(loading: readonly Promise<void>[]): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Error(`the microshards could not be read into memory within ${loadSecondsMaximum} s`)),
    1000 * loadSecondsMaximum,
  )
  try {
    await Promise.race([Promise.all(loading), late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Null: the server does not answer. */
async function measureMicroshards(
  connection: NatsConnection,
  entries: readonly MicroshardEntry[],
): Promise<StoreStatus['microshards'] | null> {
  const watch = watchConnection(connection)
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false })
    return await Promise.all(
      entries.map(async ({ id, from, to, epoch }) => {
        const { state } = await watch.unlessDisconnected(manager.streams.info(streamName(id)))
        return { id, from, to, epoch, messages: state.messages, bytes: state.bytes }
      }),
    )
  } catch {
    return null
  }
}
