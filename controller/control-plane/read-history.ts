/** The kept versions of an object that is carried, out of its carrier's last message and crates. Reads the stream. */

import type { CargoHold } from './cargo-hold.ts'
import type { Crates } from './crates.ts'
import { type Carrier, decodeCarried, type MicroshardPlace, objectSubject } from './message.ts'
import type { MicroshardStream } from './microshard-stream.ts'
import type { ObjectTable } from './object-table.ts'
import type { KnownObject } from './plan-transaction.ts'
import { type Kind, StoreUnavailableError } from './store.ts'

interface HistoryMeans {
  readonly place: MicroshardPlace
  readonly stream: MicroshardStream
  readonly table: Pick<ObjectTable, 'find'>
  readonly hold: CargoHold
  readonly crates: Crates
  /** Waits until memory holds all up to a sequence. False: not in time. */
  readonly reach: (sequence: number) => Promise<boolean>
}

/** Crates can be put together while they are read. */
const attemptsMaximum = 5

/** Oldest first. The place of a version is that of the message that it was found in. */
export async function readCarriedHistory(
  means: HistoryMeans,
  kind: Kind<unknown>,
  id: string,
): Promise<readonly KnownObject[]> {
  const { place, stream, crates, reach } = means
  for (let attempt = 1; attempt <= attemptsMaximum; attempt++) {
    if (!(await reach(await stream.readLastSequence()))) break
    const current = means.table.find(kind.name, id)
    const carrier = current === null ? null : findCarrierOf(means.hold, kind, current)
    if (current === null || carrier === null) return []
    // First what is carried now: what leaves it in the meantime lies in a crate that memory knows by then.
    const message = await stream.readLast(objectSubject(place, carrier.kind, carrier.id))
    if (!(await reach(message?.object.revision.sequence ?? 0))) break
    const lines = await crates.read(carrier)
    if (lines === null) continue
    const versions = new Map<number, KnownObject>()
    for (const line of [...lines, ...(message?.cargo.lines ?? [])]) {
      if (!line.includes(id)) continue
      const version = decodeCarried(line, message?.object.revision ?? current.revision)
      if (version.kind === kind.name && version.id === id) versions.set(version.version, version)
    }
    return [...versions.values()].toSorted((a, b) => a.version - b.version)
  }
  throw new StoreUnavailableError(`memory lags behind microshard ${place.id}`)
}

function findCarrierOf(hold: CargoHold, { carriedBy }: Kind<unknown>, current: KnownObject): Carrier | null {
  if (carriedBy === undefined) return null
  if (current.value === null) return hold.carrierOfDeleted(current.kind, current.id)
  return { kind: carriedBy.kind, id: carriedBy.carrierIdOf(current.value) }
}
