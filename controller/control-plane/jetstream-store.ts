/**
 * The store on JetStream: opens the directory and its microshards, and sends each question to the one that keeps the
 * answer. It owns the streams `ms_*` and the directory's bucket; the connection stays its caller's.
 */

import type { NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { createCargoHold } from './cargo-hold.ts'
import { watchConnection } from './connection-watch.ts'
import {
  type MicroshardMeans,
  type MicroshardSet,
  type OpenedMicroshard,
  openMicroshardSet,
} from './directory/microshard-set.ts'
import { checkMicroshardStreams, type MicroshardSize, measureMicroshards } from './directory/microshard-streams.ts'
import { openDirectory, type WatchedDirectory } from './directory/watched-directory.ts'
import { streamName } from './message.ts'
import { FencedError, type Microshard, openMicroshard } from './microshard.ts'
import type { MicroshardEntry } from './microshard-directory.ts'
import { openMicroshardReplica } from './microshard-replica.ts'
import { openMicroshardStream } from './microshard-stream.ts'
import { createObjectTable, type ObjectTable } from './object-table.ts'
import { createOwnWrites } from './own-writes.ts'
import { checkObjectName, checkTransaction, type KnownObject } from './plan-transaction.ts'
import { refuseOldServerVersion } from './server-version.ts'
import type { ShardKey } from './shard-key.ts'
import {
  type Change,
  type Kind,
  retryAfterSeconds,
  type Store,
  type StoredObject,
  type StoreStatus,
  StoreUnavailableError,
  shardKeyOf,
  type TransactionOutcome,
} from './store.ts'
import { ensureMicroshardStream } from './stream-placement.ts'

export { serverVersionMinimum } from './server-version.ts'

export interface JetStreamStoreOptions {
  readonly connection: NatsConnection
  readonly logger: Pick<Logger, 'warn' | 'error'>
  /** How many servers keep each microshard: 1 embedded, 3 in a cluster. */
  readonly replicas?: number
  /** The nodes that the very first microshards are put on. */
  readonly firstNodes?: () => Promise<readonly string[]>
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** How long a write waits to be acknowledged before its outcome counts as unknown. */
  readonly acknowledgementSeconds?: number
  /** How long the store tries to learn an unknown outcome before it says so. */
  readonly doubtSeconds?: number
}

/** What operations on microshards need of the store besides. */
export interface JetStreamStore extends Store {
  readonly directory: WatchedDirectory
  readonly table: Pick<ObjectTable, 'countByKey'>
  /** Waits until memory holds these microshards up to a sequence of each. False: not in time. */
  reach(sequences: Readonly<Record<string, number>>, waitMilliseconds: number): Promise<boolean>
}

const acknowledgementSecondsDefault = 5
const doubtSecondsDefault = 30
const loadSecondsMaximum = 60
/** How long who reads or writes a microshard that is being handed over waits for its successor. */
const handoverMillisecondsMaximum = 5_000

/** @example const store = await openJetStreamStore({ connection: await connect({ servers }), logger: pino() }) */
export async function openJetStreamStore(options: JetStreamStoreOptions): Promise<JetStreamStore> {
  const { connection, logger } = options
  const replicas = options.replicas ?? 1
  refuseOldServerVersion(connection.info?.version ?? 'unknown')
  const watch = watchConnection(connection)
  const directory = await openDirectory({
    connection,
    replicas,
    ...(options.firstNodes === undefined ? {} : { firstNodes: options.firstNodes }),
    onFirst: async ({ microshards }) => {
      for (const { node, ...place } of microshards) await ensureMicroshardStream(connection, place, { replicas, node })
    },
    onTrouble: (trouble) => logger.warn({ err: trouble }, 'the directory of microshards can not be followed'),
  })
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

  const set = openMicroshardSet({
    directory,
    table,
    tell,
    open: (entry, means) => openEntry(options, entry, means),
    onTrouble: (trouble) => logger.warn({ err: trouble }, 'memory waits for a microshard to be handed over'),
  })

  async function close(): Promise<void> {
    isClosed = true
    listeners.clear()
    await set.close()
    await directory.close()
  }

  try {
    await refuseMissingStreams(options, directory, replicas)
    await waitUntilLoaded(set.loaded)
  } catch (cause) {
    await close()
    throw cause
  }

  const self: JetStreamStore = {
    directory,
    table,
    reach: (sequences, waitMilliseconds) => set.reach(sequences, waitMilliseconds),

    async getOrTombstone<Value>(kind: Kind<Value>, id: string, read: { readonly latest?: boolean } = {}) {
      checkObjectName(kind, id)
      const object =
        read.latest === true
          ? await readFromKeeper(set, shardKeyOf(kind, id), (microshard) => microshard.readLatest(kind, id))
          : table.find(kind.name, id)
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
      const versions = await readFromKeeper(set, shardKeyOf(kind, id), (keeper) => keeper.readHistory(kind, id))
      return versions as readonly StoredObject<Value | null>[]
    },

    transact: async (transaction) => writeToKeeper(set, checkTransaction(transaction), transaction),

    subscribe(listener) {
      // A wrapper of its own, so that one function may subscribe twice.
      const own = (changes: readonly Change[]) => listener(changes)
      listeners.add(own)
      return () => listeners.delete(own)
    },

    async status(): Promise<StoreStatus> {
      const { microshards } = directory.current()
      const isAvailable = !isClosed && watch.isConnected()
      const measured = isAvailable ? await measureUnlessDisconnected(connection) : null
      return {
        mode: replicas === 1 ? 'embedded' : 'distributed',
        status: measured === null ? 'unavailable' : 'available',
        serverVersion: connection.info?.version ?? null,
        microshards: microshards.map(({ id, from, to, epoch }) => {
          const { messages, bytes } = measured?.get(streamName(id)) ?? { messages: 0, bytes: 0 }
          return { id, from, to, epoch, messages, bytes }
        }),
      }
    },

    close,
  }
  return self
}

/** Who is fenced off goes to whoever keeps the key now; only he who waits too long hears of it. */
async function writeToKeeper(
  set: MicroshardSet,
  shardKey: ShardKey,
  transaction: Parameters<Store['transact']>[0],
): Promise<TransactionOutcome> {
  const deadline = performance.now() + handoverMillisecondsMaximum
  for (;;) {
    const outcome = await set.use(shardKey, (microshard) => microshard.transact(transaction))
    if (outcome.outcome !== 'fenced') return outcome
    if (await hasMoved(set, shardKey, deadline)) continue
    return { outcome: 'unavailable', retryAfterSeconds, reason: outcome.reason }
  }
}

/** False as well: the directory can't be asked who keeps it now. */
async function hasMoved(set: MicroshardSet, shardKey: ShardKey, deadline: number): Promise<boolean> {
  try {
    return await set.whenMoved(shardKey, deadline - performance.now())
  } catch (cause) {
    if (cause instanceof StoreUnavailableError) return false
    throw cause
  }
}

async function readFromKeeper<Result>(
  set: MicroshardSet,
  shardKey: ShardKey,
  read: (microshard: Microshard) => Promise<Result>,
): Promise<Result> {
  const deadline = performance.now() + handoverMillisecondsMaximum
  for (;;) {
    try {
      return await set.use(shardKey, read)
    } catch (cause) {
      if (!(cause instanceof FencedError)) throw cause
      if (await set.whenMoved(shardKey, deadline - performance.now())) continue
      throw new StoreUnavailableError(cause.message, { cause })
    }
  }
}

function openEntry(options: JetStreamStoreOptions, entry: MicroshardEntry, means: MicroshardMeans): OpenedMicroshard {
  const { connection, logger } = options
  const place = { id: entry.id, epoch: entry.epoch }
  const stream = openMicroshardStream({
    connection,
    place,
    acknowledgementMilliseconds: 1000 * (options.acknowledgementSeconds ?? acknowledgementSecondsDefault),
  })
  const [hold, own] = [createCargoHold(), createOwnWrites()]
  const { table, onTransaction, isBeingMade, cut } = means
  const replica = openMicroshardReplica({
    connection,
    place,
    hold,
    own,
    table,
    onTransaction,
    isBeingMade,
    onTrouble: (trouble) => logger.warn({ err: trouble, microshard: entry.id }, 'memory lags behind its microshard'),
    onBroken: (cause) => logger.error({ err: cause, microshard: entry.id }, "memory can't follow its microshard"),
  })
  const microshard = openMicroshard({
    place,
    stream,
    replica,
    table,
    hold,
    own,
    cut,
    now: options.now ?? Date.now,
    doubtMilliseconds: 1000 * (options.doubtSeconds ?? doubtSecondsDefault),
  })
  return { microshard, replica, readLastSequence: () => stream.readLastSequence() }
}

/** The place of an object that was never written can be fenced off; to a reader it is as absent as before. */
function hideUnwritten(object: KnownObject | null): KnownObject | null {
  return object === null || object.version === 0 ? null : object
}

async function waitUntilLoaded(loaded: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Error(`the microshards could not be read into memory within ${loadSecondsMaximum} s`)),
    1000 * loadSecondsMaximum,
  )
  try {
    await Promise.race([loaded, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** A stream that is gone is lost data: to begin it anew would hide that. */
async function refuseMissingStreams(
  { connection }: JetStreamStoreOptions,
  directory: WatchedDirectory,
  replicas: number,
): Promise<void> {
  const missing = await checkMicroshardStreams(connection, directory.current().microshards, replicas)
  // Some may have been handed over since the directory was read.
  const { microshards } = missing.length === 0 ? { microshards: [] } : await directory.refresh()
  const lost = microshards.filter(({ id }) => missing.includes(id)).map(({ id }) => streamName(id))
  if (lost.length > 0)
    throw new Error(`streams that the directory names are gone: ${lost.join(', ')}; restore a backup`)
}

/** Null: the server does not answer. */
async function measureUnlessDisconnected(
  connection: NatsConnection,
): Promise<ReadonlyMap<string, MicroshardSize> | null> {
  try {
    return await watchConnection(connection).unlessDisconnected(measureMicroshards(connection))
  } catch {
    return null
  }
}
