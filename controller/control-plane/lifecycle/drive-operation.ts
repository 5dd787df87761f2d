/**
 * Drives an operation to its end, from whatever phase the directory says it is in. Any controller may do so at any time,
 * also two at once, and may stop at any point: what is done twice does no harm, and the directory takes each step once.
 */

import type { WatchedDirectory } from '../directory/watched-directory.ts'
import type { MicroshardDirectory, MicroshardOperation } from '../microshard-directory.ts'
import { type Copier, openCopier } from './copier.ts'
import type { LifecycleStreams } from './lifecycle-streams.ts'
import { findOperation, planCopying, planFinish, planLed, planSealing, planSwitch } from './plan-operation.ts'

export interface DriveOptions {
  readonly directory: Pick<WatchedDirectory, 'refresh' | 'change'>
  readonly streams: LifecycleStreams
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly sleep: (milliseconds: number) => Promise<unknown>
  /** Waits, for a while at most, until this controller's memory holds the targets up to these sequences. */
  readonly whenFollowed?: (starts: Readonly<Record<string, number>>) => Promise<void>
  /** Tells the world that it is over; the same may be told again. */
  readonly announce?: (operation: MicroshardOperation, directoryVersion: number) => Promise<void>
  /** Told when it has come so far; what happens in a phase may happen again. */
  readonly onPhase?: (operation: MicroshardOperation) => void
  /** How long a sealed source is kept at least, for writers who were cut off to find out what became of their writes. */
  readonly graceMilliseconds?: number
  /** Ends it as soon as possible, as it is. */
  readonly signal: AbortSignal
}

/** The copy is close behind when so few messages were left to read. */
const closeMessages = 128
/** Or when reading and writing what was left took no longer than this, as under a heavy load. */
const closeMilliseconds = 15
const graceMillisecondsDefault = 500
const eventsDelayMilliseconds = 50

/** Returns when the operation is over; rejects when it can't go on for now. */
export async function driveOperation(options: DriveOptions, operationId: string): Promise<void> {
  const { directory, streams, signal } = options
  let copying: { readonly targets: string; readonly copier: Copier } | null = null

  /** The same as long as the targets are, so that between copying and sealing nothing is read again. */
  async function copierOf(operation: MicroshardOperation, ring: MicroshardDirectory): Promise<Copier> {
    const targets = operation.targets.map(({ id }) => id).join(' ')
    if (copying?.targets !== targets) copying = { targets, copier: await openCopier(streams, operation, ring) }
    return copying.copier
  }

  async function take(operation: MicroshardOperation, ring: MicroshardDirectory): Promise<void> {
    switch (operation.phase) {
      case 'making':
        for (const target of operation.targets) await streams.make(target)
        await directory.change((current) => planCopying(current, operation))
        return
      case 'copying':
        await followClosely(options, await copierOf(operation, ring))
        if (!signal.aborted) await directory.change((current) => planSealing(current, operation))
        return
      case 'sealing': {
        const copier = await copierOf(operation, ring)
        const sealed = await Promise.all(
          operation.sources.map(async (source) => [source.id, await streams.seal(source)] as const),
        )
        const cuts = Object.fromEntries(sealed)
        await copier.copyUpTo(cuts)
        const ends = { cuts, starts: copier.starts() }
        await directory.change((current) => planSwitch(current, operation, ends))
        return
      }
      case 'dropping':
        await dropSources(options, operation)
        return
      case 'leading': {
        for (const target of operation.targets) await streams.lead(target)
        await options.announce?.(operation, (await directory.refresh()).version)
        await directory.change((current) => planLed(current, operation, new Date(options.now()).toISOString()))
        return
      }
      case 'aborting':
        for (const id of listDiscarded(operation)) await streams.drop(id)
        await finish(options, operation)
        return
      default:
        operation.phase satisfies never
    }
  }

  while (!signal.aborted) {
    const ring = await directory.refresh()
    const operation = findOperation(ring, operationId)
    if (operation === null) return
    options.onPhase?.(operation)
    await take(operation, ring)
  }
}

/** Copies until little is left, and memory has followed: what is left then is what writers wait for. */
async function followClosely({ signal, now, whenFollowed }: DriveOptions, copier: Copier): Promise<void> {
  let isFollowed = whenFollowed === undefined
  while (!signal.aborted) {
    const beganAt = now()
    const read = await copier.copySome()
    if (read > closeMessages && now() - beganAt > closeMilliseconds) continue
    if (isFollowed) return
    await whenFollowed?.(copier.starts())
    isFollowed = true
  }
}

async function dropSources(options: DriveOptions, operation: MicroshardOperation): Promise<void> {
  const { streams, sleep, signal } = options
  await sleep(options.graceMilliseconds ?? graceMillisecondsDefault)
  for (const source of operation.sources) {
    if (!(await streams.isThere(source.id))) continue
    const late = await findLate(streams, source, operation)
    if (late !== null) {
      throw new Error(`BUG: ${late} was written to microshard ${source.id} after it was sealed; it is kept as it is`)
    }
    // Its events come out before those of its successors.
    while (await streams.hasWaitingEvents(source)) {
      if (signal.aborted) return
      await sleep(eventsDelayMilliseconds)
    }
    await streams.drop(source.id)
  }
  for (const id of operation.discarded) await streams.drop(id)
  await finish(options, operation)
}

async function findLate(
  streams: LifecycleStreams,
  source: MicroshardOperation['sources'][number],
  { cuts }: MicroshardOperation,
): Promise<string | null> {
  const cut = cuts[source.id]
  if (cut === undefined) throw new Error(`BUG: microshard ${source.id} was switched without a cut`)
  const { messages } = await streams.readAfter(source, cut)
  return messages.find(({ shardKey }) => shardKey !== null)?.subject ?? null
}

const listDiscarded = ({ targets, discarded }: MicroshardOperation) => [...targets.map(({ id }) => id), ...discarded]

async function finish(options: DriveOptions, operation: MicroshardOperation): Promise<void> {
  const { directory, now } = options
  const { id } = operation
  await options.announce?.(operation, (await directory.refresh()).version)
  await directory.change((current) => planFinish(current, id, new Date(now()).toISOString()))
}
