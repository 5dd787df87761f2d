/**
 * A microshard's crates: messages with the older versions of what carriers carry, written once and never changed. Of a
 * carrier that has many they are put together into fewer now and then, without what nobody can ask for any more. It
 * touches its stream's crates alone.
 */

import { nuid } from '@nats-io/transport-node'
import type { CargoHold } from './cargo-hold.ts'
import { type Carrier, crateSubject, decodeCrate, encodeCrate, type MicroshardPlace } from './message.ts'
import type { MicroshardStream, PublishOutcome } from './microshard-stream.ts'
import { nameOf } from './parcels.ts'
import { StoreUnavailableError, versionsKeptMaximum } from './store.ts'

export interface Crates {
  /** Whatever becomes of it, nothing is wrong with it: all that lies in a crate is stored elsewhere as well, or was. */
  store(carrier: Carrier, lines: readonly string[]): Promise<PublishOutcome>
  /** Begins to store what the carrier's message carries, so that the messages to come need not. */
  storeSoon(carrier: Carrier, lines: readonly string[]): void
  /** All lines of the carrier's crates; null: they are being put together just now. Rejects with StoreUnavailableError. */
  read(carrier: Carrier): Promise<readonly string[] | null>
  /** Ends what is under way. */
  close(): Promise<void>
}

export interface CratesOptions {
  readonly place: MicroshardPlace
  readonly stream: MicroshardStream
  readonly hold: CargoHold
  /** Waits until memory holds all up to a sequence. False: not in time. */
  readonly reach: (sequence: number) => Promise<boolean>
  /** From so many on a carrier's crates are put together. */
  readonly cratesMaximum?: number
}

const cratesMaximumDefault = 64
/** Half of what NATS takes in a message. */
const crateCharactersMaximum = 500_000

export function openCrates(options: CratesOptions): Crates {
  const { place, stream, hold } = options
  const cratesMaximum = options.cratesMaximum ?? cratesMaximumDefault
  /** From how many on to put a carrier's together again, where they could not become much fewer. */
  const marks = new Map<string, number>()
  /** By carrier, one at a time. */
  const storing = new Map<string, Promise<void>>()
  let merging: Promise<void> | null = null
  let isClosed = false

  const publish = (carrier: Carrier, lines: readonly string[]) =>
    stream.publish([
      { subject: crateSubject(place, carrier, nuid.next()), body: encodeCrate(lines), expectedSequence: null },
    ])

  async function readAll(carrier: Carrier, sequences: readonly number[]): Promise<readonly string[] | null> {
    const lines: string[] = []
    const gone: number[] = []
    for (const sequence of sequences) {
      const data = await stream.readData(sequence)
      if (data === null) gone.push(sequence)
      else if (gone.length === 0) lines.push(...decodeCrate(data))
    }
    // Another controller has put them together; where its crates lie memory learns by itself.
    hold.removeCrates(carrier, gone)
    return gone.length === 0 ? lines : null
  }

  /** The others go once memory knows of those that they are merged into, so that all lines are found at any moment. */
  async function merge(carrier: Carrier): Promise<void> {
    const sequences = hold.cratesOf(carrier)
    const lines = await readAll(carrier, sequences)
    if (lines === null) return
    const crates = splitLines(dropOldVersions(lines))
    for (const crate of crates) {
      if (isClosed) return
      const outcome = await publish(carrier, crate)
      if (outcome.kind !== 'stored' || !(await options.reach(outcome.lastSequence))) return
    }
    await stream.purge(crateSubject(place, carrier, '*'), Math.max(...sequences))
    hold.removeCrates(carrier, sequences)
    marks.set(nameOf(carrier), Math.max(cratesMaximum, 2 * crates.length))
  }

  function mergeIfMany(carrier: Carrier): void {
    const mark = marks.get(nameOf(carrier)) ?? cratesMaximum
    if (merging !== null || isClosed || hold.cratesOf(carrier).length < mark) return
    merging = merge(carrier)
      // They stay as they are then, and are put together when the next comes.
      .catch((trouble: unknown) => {
        if (!(trouble instanceof StoreUnavailableError)) throw trouble
      })
      .finally(() => {
        merging = null
      })
  }

  async function store(carrier: Carrier, lines: readonly string[]): Promise<PublishOutcome> {
    const outcome = await publish(carrier, lines)
    const last = lines.at(-1)
    if (outcome.kind === 'stored' && last !== undefined) hold.noteStored(carrier, last)
    mergeIfMany(carrier)
    return outcome
  }

  return {
    store,
    storeSoon(carrier, lines) {
      const name = nameOf(carrier)
      if (isClosed || storing.has(name)) return
      // What is not stored is carried on.
      const stored = store(carrier, lines).then(() => void storing.delete(name))
      storing.set(name, stored)
    },
    read: (carrier) => readAll(carrier, hold.cratesOf(carrier)),
    async close() {
      isClosed = true
      await Promise.all([...storing.values(), merging])
    },
  }
}

interface LineHead {
  readonly kind: string
  readonly id: string
  readonly version: number
}

/** Each version once, and of each object the last ones, in the order in which they were written. */
export function dropOldVersions(lines: readonly string[]): readonly string[] {
  const unique = [...new Set(lines)]
  const heads = unique.map((line) => JSON.parse(line) as LineHead)
  const versions = new Map<string, number[]>()
  for (const head of heads) {
    const own = versions.get(nameOf(head)) ?? []
    own.push(head.version)
    versions.set(nameOf(head), own)
  }
  const oldest = new Map(
    [...versions].map(([name, own]) => [name, own.toSorted((a, b) => a - b).at(-versionsKeptMaximum) ?? 0]),
  )
  return unique.filter((_, i) => {
    const head = heads[i]
    return head !== undefined && head.version >= (oldest.get(nameOf(head)) ?? 0)
  })
}

function splitLines(lines: readonly string[]): readonly (readonly string[])[] {
  const crates: string[][] = []
  let characters = crateCharactersMaximum
  for (const line of lines) {
    characters += line.length
    if (characters > crateCharactersMaximum) {
      crates.push([])
      characters = line.length
    }
    crates.at(-1)?.push(line)
  }
  return crates
}
