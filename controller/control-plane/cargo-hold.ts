/**
 * What is known in memory of carriers beside the objects themselves: what their last messages carry, where their crates
 * lie, and who carries what has been deleted. Touches nothing else.
 */

import { type Cargo, type Carrier, noCargo } from './message.ts'
import type { KnownObject } from './plan-transaction.ts'

export interface CargoHold {
  /** What the carrier's message at that sequence carries; null: another message of it is known, or none. */
  find(carrier: Carrier, sequence: number): Cargo | null
  /** Takes in what a message of a carrier carries, unless a newer one is known. */
  put(carrier: Carrier, sequence: number, cargo: Cargo): void
  /** A crate, by its sequence. Told in the order of the stream. */
  addCrate(carrier: Carrier, sequence: number): void
  removeCrates(carrier: Carrier, sequences: readonly number[]): void
  /** The sequences of the carrier's crates, in the order of the stream. */
  cratesOf(carrier: Carrier): readonly number[]
  /** A carried object was written: its carrier is kept in mind where its value does not name it any more. */
  noteCarried(object: KnownObject, carrier: Carrier): void
  /** Of a carried object that is deleted. */
  carrierOfDeleted(kind: string, id: string): Carrier | null
  /** The carrier's lines up to this one lie in a crate: they need not be carried any more. */
  noteStored(carrier: Carrier, lastLine: string): void
  /** Those of the carrier's lines that lie in no crate yet, as far as is known. */
  leaveStored(carrier: Carrier, lines: readonly string[]): readonly string[]
}

export function createCargoHold(): CargoHold {
  const cargos = new Map<string, { readonly sequence: number; readonly cargo: Cargo }>()
  const crates = new Map<string, number[]>()
  const storedLines = new Map<string, string>()
  const carriersOfDeleted = new Map<string, Carrier>()
  return {
    find(carrier, sequence) {
      const known = cargos.get(nameOf(carrier))
      if (known === undefined) return noCargo
      return known.sequence === sequence ? known.cargo : null
    },
    put(carrier, sequence, cargo) {
      const name = nameOf(carrier)
      const known = cargos.get(name)
      if (known === undefined ? cargo.turn === 0 : known.sequence >= sequence) return
      cargos.set(name, { sequence, cargo })
    },
    addCrate(carrier, sequence) {
      const name = nameOf(carrier)
      crates.set(name, [...(crates.get(name) ?? []), sequence])
    },
    removeCrates(carrier, sequences) {
      const name = nameOf(carrier)
      const left = (crates.get(name) ?? []).filter((sequence) => !sequences.includes(sequence))
      if (left.length === 0) crates.delete(name)
      else crates.set(name, left)
    },
    cratesOf: (carrier) => crates.get(nameOf(carrier)) ?? [],
    noteCarried(object, carrier) {
      if (object.value === null) carriersOfDeleted.set(nameOf(object), carrier)
      else carriersOfDeleted.delete(nameOf(object))
    },
    carrierOfDeleted: (kind, id) => carriersOfDeleted.get(nameOf({ kind, id })) ?? null,
    noteStored: (carrier, lastLine) => void storedLines.set(nameOf(carrier), lastLine),
    leaveStored(carrier, lines) {
      const last = storedLines.get(nameOf(carrier))
      const place = last === undefined ? -1 : lines.lastIndexOf(last)
      return place === -1 ? lines : lines.slice(place + 1)
    },
  }
}

const nameOf = ({ kind, id }: { readonly kind: string; readonly id: string }) => `${kind} ${id}`
