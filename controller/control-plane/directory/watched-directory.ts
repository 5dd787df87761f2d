/**
 * The directory, kept in a key-value bucket of its own, which this file alone touches: followed, so that every
 * controller has it in memory as soon as it changes, and changed on the condition that nobody else has in the meantime.
 */

import { JetStreamApiError, StorageType } from '@nats-io/jetstream'
import { type KV, Kvm } from '@nats-io/kv'
import type { NatsConnection } from '@nats-io/transport-node'
import { sleep } from '../connection-watch.ts'
import { followStream } from '../follow-stream.ts'
import { directoryFormat, type MicroshardDirectory, planFirstDirectory } from '../microshard-directory.ts'
import { StoreUnavailableError } from '../store.ts'
import { encodeDirectory, parseDirectory } from './directory-format.ts'

export interface WatchedDirectory {
  /** As last seen; it never goes back. */
  current(): MicroshardDirectory
  /** Called with each newer version, in order, until the returned function is called. Some may be skipped. */
  subscribe(listener: (directory: MicroshardDirectory) => void): () => void
  /** Waits until a newer version than this one is seen. False: not in time. */
  reachNewer(version: number, waitMilliseconds: number): Promise<boolean>
  /** Asks the leader, for whoever was told that what he knows is old. */
  refresh(): Promise<MicroshardDirectory>
  /**
   * Changes it as `plan` says, which is asked again whenever somebody else was faster, and changes nothing itself. What
   * it answers in place of a change is answered here.
   */
  change<Kept>(plan: (directory: MicroshardDirectory) => DirectoryPlan<Kept>): Promise<DirectoryPlan<Kept>>
  close(): Promise<void>
}

export type DirectoryPlan<Kept> =
  | { readonly kind: 'change'; readonly directory: MicroshardDirectory }
  | { readonly kind: 'keep'; readonly because: Kept }

export interface DirectoryOptions {
  readonly connection: NatsConnection
  readonly replicas: number
  /** The nodes that the very first microshards are put on. */
  readonly firstNodes?: () => Promise<readonly string[]>
  /** Makes ready what the very first directory names. */
  readonly onFirst?: (directory: MicroshardDirectory) => Promise<void>
  /** Told when a version can't be read, as one of a newer format. What was known before stays. */
  readonly onTrouble?: (trouble: Error) => void
}

const bucket = 'sluice_directory'
const key = 'directory'
const versionsKept = 16
const attemptsMaximum = 20
const attemptDelayMilliseconds = 20

/** Opens the directory; the first store that ever opens makes it, and one of an older format is brought to today's. */
export async function openDirectory(options: DirectoryOptions): Promise<WatchedDirectory> {
  const bucketOfDirectory = await openBucket(options)
  const opened = await readOrMake(bucketOfDirectory, options)
  const stopping = new AbortController()
  const listeners = new Set<(directory: MicroshardDirectory) => void>()
  let current = opened

  function takeIn(directory: MicroshardDirectory): void {
    if (directory.version <= current.version) return
    current = directory
    for (const listener of [...listeners]) listener(directory)
  }

  let refreshing: Promise<unknown> = Promise.resolve()
  let nextRefresh: Promise<MicroshardDirectory> | null = null

  /** Whoever asks while a reading is under way shares the next: the one under way may be older than the question. */
  function refresh(): Promise<MicroshardDirectory> {
    nextRefresh ??= refreshing.then(async () => {
      const reading = readDirectory(bucketOfDirectory)
      refreshing = reading.catch(() => {})
      nextRefresh = null
      const read = await reading
      if (read !== null) takeIn(read.directory)
      return current
    })
    return nextRefresh
  }

  async function follow(): Promise<void> {
    for await (const item of followStream({
      connection: options.connection,
      stream: `KV_${bucket}`,
      filterSubject: `$KV.${bucket}.${key}`,
      start: { kind: 'lastOfEachSubject' },
      signal: stopping.signal,
      ...(options.onTrouble === undefined ? {} : { onTrouble: options.onTrouble }),
    })) {
      if (item.kind !== 'message') continue
      try {
        takeIn(parseDirectory(Buffer.from(item.data).toString()))
      } catch (trouble) {
        options.onTrouble?.(trouble instanceof Error ? trouble : new Error(String(trouble)))
      }
    }
  }

  const following = follow().catch((trouble: unknown) =>
    options.onTrouble?.(trouble instanceof Error ? trouble : new Error(String(trouble))),
  )

  function subscribe(listener: (directory: MicroshardDirectory) => void): () => void {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  return {
    current: () => current,
    subscribe,
    refresh,
    async reachNewer(version, waitMilliseconds) {
      if (current.version > version) return true
      const over = new AbortController()
      const forget = subscribe((directory) => directory.version > version && over.abort())
      await sleep(waitMilliseconds, AbortSignal.any([over.signal, stopping.signal]))
      forget()
      return current.version > version
    },
    async change(plan) {
      for (let attempt = 1; attempt <= attemptsMaximum; attempt++) {
        const read = await readDirectory(bucketOfDirectory)
        if (read === null) throw new Error('the directory of microshards is gone')
        takeIn(read.directory)
        const planned = plan(read.directory)
        if (planned.kind === 'keep') return planned
        try {
          await bucketOfDirectory.update(key, encodeDirectory(planned.directory), read.revision)
          takeIn(planned.directory)
          return planned
        } catch (cause) {
          // Somebody else was faster. Any other trouble leaves it open what is stored, which the next reading tells.
          if (!(cause instanceof JetStreamApiError) && attempt === attemptsMaximum) throw cause
          await sleep(attempt * attemptDelayMilliseconds, stopping.signal)
        }
      }
      throw new StoreUnavailableError(
        `the directory of microshards could not be changed in ${attemptsMaximum} attempts`,
      )
    },
    async close() {
      stopping.abort()
      listeners.clear()
      await following
    },
  }
}

function openBucket({ connection, replicas }: DirectoryOptions): Promise<KV> {
  // Read from the leader only: a follower that lags would make the directory seem absent.
  const settings = { replicas, history: versionsKept, storage: StorageType.File, allow_direct: false }
  return new Kvm(connection).create(bucket, settings)
}

interface ReadDirectory {
  readonly directory: MicroshardDirectory
  readonly revision: number
  readonly isOfToday: boolean
}

async function readDirectory(directories: KV): Promise<ReadDirectory | null> {
  const entry = await directories.get(key).catch((cause: unknown) => {
    throw new StoreUnavailableError('the directory of microshards can not be read', { cause })
  })
  if (entry === null) return null
  const text = entry.string()
  const { format } = JSON.parse(text) as { readonly format?: number }
  return { directory: parseDirectory(text), revision: entry.revision, isOfToday: format === directoryFormat }
}

async function readOrMake(directories: KV, { onFirst, firstNodes }: DirectoryOptions): Promise<MicroshardDirectory> {
  for (let attempt = 1; attempt <= attemptsMaximum; attempt++) {
    const read = await readDirectory(directories)
    if (read?.isOfToday === true) return read.directory
    const directory = read?.directory ?? planFirstDirectory(undefined, await firstNodes?.())
    try {
      // What it names is there before anybody can read its name.
      if (read === null) await onFirst?.(directory)
      if (read === null) await directories.create(key, encodeDirectory(directory))
      else await directories.update(key, encodeDirectory(directory), read.revision)
    } catch (cause) {
      // Another controller did so in the meantime: read that one.
      if (!(cause instanceof JetStreamApiError)) throw cause
    }
  }
  throw new Error(`the directory of microshards could be neither read nor made in ${attemptsMaximum} attempts`)
}
