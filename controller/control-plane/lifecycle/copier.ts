/**
 * Copies the messages of an operation's sources to its targets, in their order and as they are: objects with their
 * histories and what they carry, tombstones, crates. It touches streams through its port alone.
 *
 * A target has one writer at a time, whoever it is: each message expects the stream to end where the copier knows that it
 * does. Two who copy can not mix, and one who was asleep can write nothing into a target that has gone on without him.
 */

import { subjectIn } from '../message.ts'
import { isWithin, type MicroshardEntry, type MicroshardOperation, type Ring } from '../microshard-directory.ts'
import type { CopiedUpTo } from './copied-header.ts'
import type { CopyMessage, LifecycleStreams, SourceMessage } from './lifecycle-streams.ts'

export interface Copier {
  /** Copies some of what there is, and tells how many messages of the sources that were. 0: it is up to date. */
  copySome(): Promise<number>
  /** Copies all up to a sequence of each source. Rejects when the sources hold less. */
  copyUpTo(cuts: CopiedUpTo): Promise<void>
  /** By target, the sequence that its stream ends with. */
  starts(): Readonly<Record<string, number>>
}

interface Target {
  readonly entry: MicroshardEntry
  lastSequence: number
  copiedUpTo: CopiedUpTo
}

/** How often another writer of a target may be met in a row before this one gives way. */
const meetingsMaximum = 50
/** A replica of the stream that lags shows nothing of what is there. */
const emptyReadsMaximum = 50

export async function openCopier(
  streams: LifecycleStreams,
  { sources, targets }: Pick<MicroshardOperation, 'sources' | 'targets'>,
  ring: Pick<Ring, 'keyLayouts'>,
): Promise<Copier> {
  const open = await Promise.all(
    targets.map(async (entry): Promise<Target> => ({ entry, ...(await readEnd(streams, entry)) })),
  )
  const reached = new Map<string, number>()
  let meetings = 0

  /** Up to where every target has what is its own. */
  const positionOf = (source: MicroshardEntry) =>
    Math.max(reached.get(source.id) ?? 0, Math.min(...open.map(({ copiedUpTo }) => copiedUpTo[source.id] ?? 0)))

  /** False: the target is elsewhere, and read again. */
  async function appendTo(
    target: Target,
    source: MicroshardEntry,
    messages: readonly SourceMessage[],
  ): Promise<boolean> {
    const after = target.copiedUpTo[source.id] ?? 0
    const own = messages.filter(
      ({ sequence, shardKey }) => sequence > after && shardKey !== null && isWithin(ring, target.entry, shardKey),
    )
    if (own.length === 0) return true
    const copies = own.map(
      ({ subject, data, sequence }): CopyMessage => ({
        subject: subjectIn(target.entry, subject),
        data,
        copiedUpTo: { ...target.copiedUpTo, [source.id]: sequence },
      }),
    )
    const outcome = await streams.append(target.entry, copies, target.lastSequence)
    if (outcome.kind === 'stored') {
      target.lastSequence = outcome.lastSequence
      target.copiedUpTo = copies.at(-1)?.copiedUpTo ?? target.copiedUpTo
      return true
    }
    Object.assign(target, await readEnd(streams, target.entry))
    return false
  }

  /** Tells how many messages it has read. */
  async function copyPart(source: MicroshardEntry): Promise<number> {
    const position = positionOf(source)
    const part = await streams.readAfter(source, position)
    const appended = await Promise.all(open.map((target) => appendTo(target, source, part.messages)))
    if (appended.includes(false)) {
      if (++meetings > meetingsMaximum) throw new Error(`another controller copies microshard ${source.id} as well`)
      reached.delete(source.id)
      // Something is left to do, wherever the other has come to.
      return Math.max(1, part.messages.length)
    }
    meetings = 0
    reached.set(source.id, Math.max(position, part.upTo))
    return part.messages.length
  }

  return {
    async copySome() {
      let read = 0
      for (const source of sources) read += await copyPart(source)
      return read
    },
    async copyUpTo(cuts) {
      for (const source of sources) {
        const cut = cuts[source.id]
        if (cut === undefined) throw new Error(`BUG: microshard ${source.id} has no cut`)
        let emptyReads = 0
        while (positionOf(source) < cut) {
          // The barrier itself lies at the cut: there is something to read until it has come.
          emptyReads = (await copyPart(source)) === 0 ? emptyReads + 1 : 0
          if (emptyReads > emptyReadsMaximum) throw new Error(`microshard ${source.id} can't be read up to ${cut}`)
        }
      }
    },
    starts: () => Object.fromEntries(open.map(({ entry, lastSequence }) => [entry.id, lastSequence])),
  }
}

/** Rejects when the target is read and written already: others have finished what this one was asleep over. */
async function readEnd(streams: LifecycleStreams, entry: MicroshardEntry): Promise<Omit<Target, 'entry'>> {
  const { lastSequence, copiedUpTo } = await streams.readCopied(entry)
  if (copiedUpTo === null) throw new Error(`microshard ${entry.id} has taken over already`)
  return { lastSequence, copiedUpTo }
}
