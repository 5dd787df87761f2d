/**
 * Puts the messages of a microshard's stream together to transactions. Pure but for what it has open.
 *
 * A message can be missing, since the server keeps a bounded history: then a newer version of its object lies further
 * on, and the rest of its transaction counts as whole.
 */

import {
  type Cargo,
  type Carrier,
  decodeCarried,
  decodeCrate,
  decodeObject,
  noCargo,
  peekLastLine,
  peekTransaction,
  type StoredMessage,
  type TransactionPlace,
} from './message.ts'
import type { OwnWrites } from './own-writes.ts'
import { nameOf } from './parcels.ts'
import type { KnownObject } from './plan-transaction.ts'

/** What one transaction wrote. */
export interface Gathered {
  readonly objects: readonly GatheredObject[]
}

export interface GatheredObject {
  readonly object: KnownObject
  /** Whether watchers are to be told; `ifNewer` than what memory has. */
  readonly isNews: boolean | 'ifNewer'
  /** Null: it has a message of its own. */
  readonly carrier: Carrier | null
  /** What its message carries; null: it has none. */
  readonly cargo: Cargo | null
}

export interface Message {
  readonly subject: string
  readonly sequence: number
  readonly data: Uint8Array
}

export interface Gathering {
  /** Takes an object's message, and returns the transactions that have become whole by it. */
  add(message: Message): readonly Gathered[]
  /** Takes a crate, and returns what of it may have been missed. */
  addCrate(message: Message, carrier: Carrier): readonly Gathered[]
  /** Whether the rest of a transaction is still to come. */
  isOpen(): boolean
  /** Returns a transaction that will not become whole, since all up to a sequence has been delivered. */
  end(sequence: number): readonly Gathered[]
}

/** What one message brings. */
interface Unpacked {
  readonly transaction: TransactionPlace
  readonly isFence: boolean
  readonly objects: readonly GatheredObject[]
}

export function createGathering(own: Pick<OwnWrites, 'find'>): Gathering {
  /** By carrier what its last message carried: when one of its messages was missed, the next one or a crate has it all. */
  const cargos = new Map<string, Cargo>()
  let open: { readonly id: string; readonly endSequence: number; readonly objects: GatheredObject[] } | null = null

  function flush(): readonly Gathered[] {
    const objects = open?.objects ?? []
    open = null
    return objects.length === 0 ? [] : [{ objects }]
  }

  /** What was carried before, where this message is not the next after the last one. */
  function listMissed({ object, cargo, fresh }: StoredMessage): readonly GatheredObject[] {
    const known = cargos.get(nameOf(object)) ?? noCargo
    if (cargo.turn <= known.turn + 1) return []
    return cargo.lines
      .slice(0, cargo.lines.length - fresh)
      .map((line) => unpackLine(line, object, { kind: object.kind, id: object.id }, 'ifNewer'))
  }

  function unpack(message: Message): Unpacked {
    const place = peekTransaction(message.data)
    const written = place === null ? null : own.find(place.id, place.index)
    if (place !== null && written !== null) {
      const { object, carried } = written.place(message.sequence)
      if (written.cargo.turn > 0) cargos.set(nameOf(object), written.cargo)
      const news = carried.map((object): GatheredObject => ({ object, isNews: true, carrier: null, cargo: null }))
      const itself: GatheredObject = { object, isNews: !written.isCopy, carrier: null, cargo: written.cargo }
      return { transaction: place, isFence: false, objects: [itself, ...news] }
    }
    const stored = decodeObject(message)
    const { object, cargo, fresh, isFence, isCopy, transaction } = stored
    const missed = listMissed(stored)
    if (cargo.turn > 0) cargos.set(nameOf(object), cargo)
    const carrier = { kind: object.kind, id: object.id }
    const news = cargo.lines.slice(cargo.lines.length - fresh).map((line) => unpackLine(line, object, carrier, true))
    const itself: GatheredObject = { object, isNews: !isFence && !isCopy, carrier: null, cargo }
    return { transaction, isFence, objects: [...missed, itself, ...news] }
  }

  return {
    add(message) {
      const { transaction, isFence, objects } = unpack(message)
      const earlier = open !== null && open.id !== transaction.id ? flush() : []
      if (isFence) return [...earlier, { objects }]
      const messagesLeft = transaction.count - 1 - transaction.index
      open ??= { id: transaction.id, endSequence: message.sequence + messagesLeft, objects: [] }
      open.objects.push(...objects)
      return messagesLeft === 0 ? [...earlier, ...flush()] : earlier
    },
    addCrate({ sequence, subject, data }, carrier) {
      const isKnown = cargos.get(nameOf(carrier))?.lines.includes(peekLastLine(data)) ?? false
      if (isKnown) return []
      const [, , epoch] = subject.split('.')
      const revision = { epoch: Number(epoch), sequence }
      return [{ objects: decodeCrate(data).map((line) => unpackLine(line, { revision }, carrier, 'ifNewer')) }]
    },
    isOpen: () => open !== null,
    end: (sequence) => (open !== null && open.endSequence <= sequence ? flush() : []),
  }
}

function unpackLine(
  line: string,
  { revision }: Pick<KnownObject, 'revision'>,
  carrier: Carrier,
  isNews: GatheredObject['isNews'],
): GatheredObject {
  return { object: decodeCarried(line, revision), isNews, carrier, cargo: null }
}
