/**
 * A microshard's crates: messages with the older versions of what carriers carry, written once and never changed. Of a
 * carrier that has many they are put together into fewer now and then, without what nobody can ask for any more. It
 * touches its stream's crates alone.
 */

import { nuid } from '@nats-io/transport-node'
import type { CargoHold } from './cargo-hold.ts'
import { type Carrier, crateSubject, decodeCrate, encodeCrate, type MicroshardPlace } from './message.ts'
import type { MicroshardStream, PublishOutcome } from './microshard-stream.ts'
import { StoreUnavailableError, versionsKeptMaximum } from './store.ts'

export interface Crates {
  /** Whatever becomes of it, nothing is wrong with it: all that lies in a crate is stored elsewhere as well, or was. */
  store(carrier: Carrier, lines: readonly string[]): Promise<PublishOutcome>
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
    marks.set(`${carrier.kind} ${carrier.id}`, Math.max(cratesMaximum, 2 * crates.length))
  }

  function mergeIfMany(carrier: Carrier): void {
    const mark = marks.get(`${carrier.kind} ${carrier.id}`) ?? cratesMaximum
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

  return {
    async store(carrier, lines) {
      const outcome = await publish(carrier, lines)
      mergeIfMany(carrier)
      return outcome
    },
    read: (carrier) => readAll(carrier, hold.cratesOf(carrier)),
    async close() {
      isClosed = true
      await merging
    },
  }
}

interface LineHead {
  readonly kind: string
  readonly id: string
  readonly version: number
}

/** Each version once, and of each object the last ones. */
export function dropOldVersions(lines: readonly string[]): readonly string[] {
  const versions = new Map<string, Map<number, string>>()
  for (const line of lines) {
    const { kind, id, version } = JSON.parse(line) as LineHead
    const name = `${kind} ${id}`
    const own = versions.get(name) ?? new Map<number, string>()
    versions.set(name, own.set(version, line))
  }
  return [...versions.values()].flatMap((own) =>
    [...own]
      .toSorted(([a], [b]) => a - b)
      .slice(-versionsKeptMaximum)
      .map(([, line]) => line),
  )
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
