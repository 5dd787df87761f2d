/**
 * Puts the messages of a microshard's stream together to transactions. Pure but for what it has open.
 *
 * A message can be missing, since the server keeps a bounded history: then a newer version of its object lies further
 * on, and the rest of its transaction counts as whole.
 */

import { type Cargo, type Carrier, decodeCarried, decodeCrate, decodeObject, type StoredMessage } from './message.ts'
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
  /**
   * Takes an object's message, and returns the transactions that have become whole by it. What it carries from before is
   * looked at only where messages may have been missed.
   */
  add(message: Message, mayHaveMissed: boolean): readonly Gathered[]
  /** Whether the rest of a transaction is still to come. */
  isOpen(): boolean
  /** Returns a transaction that will not become whole, since all up to a sequence has been delivered. */
  end(sequence: number): readonly Gathered[]
}

/** @param findOwn the carried objects of a transaction that this very process wrote; null: it did not, or forgot */
export function createGathering(findOwn: (transactionId: string) => readonly KnownObject[] | null): Gathering {
  let open: { readonly id: string; readonly endSequence: number; readonly objects: GatheredObject[] } | null = null

  function flush(): readonly Gathered[] {
    const objects = open?.objects ?? []
    open = null
    return objects.length === 0 ? [] : [{ objects }]
  }

  return {
    add(message, mayHaveMissed) {
      const stored = decodeObject(message)
      const { transaction, isFence } = stored
      const earlier = open !== null && open.id !== transaction.id ? flush() : []
      const objects = listObjects(stored, mayHaveMissed, findOwn)
      if (isFence) return [...earlier, { objects }]
      const messagesLeft = transaction.count - 1 - transaction.index
      open ??= { id: transaction.id, endSequence: message.sequence + messagesLeft, objects: [] }
      open.objects.push(...objects)
      return messagesLeft === 0 ? [...earlier, ...flush()] : earlier
    },
    isOpen: () => open !== null,
    end: (sequence) => (open !== null && open.endSequence <= sequence ? flush() : []),
  }
}

/** The message's own object, and those that it carries. */
function listObjects(
  { object, transaction, cargo, fresh, isFence, isCopy }: StoredMessage,
  mayHaveMissed: boolean,
  findOwn: (transactionId: string) => readonly KnownObject[] | null,
): readonly GatheredObject[] {
  const own: GatheredObject = { object, isNews: !isFence && !isCopy, carrier: null, cargo }
  const carrier = { kind: object.kind, id: object.id }
  const freshFrom = cargo.lines.length - fresh
  const carried = (line: string, isNews: GatheredObject['isNews']): GatheredObject => {
    return { object: decodeCarried(line, object.revision), isNews, carrier, cargo: null }
  }
  const before = mayHaveMissed ? cargo.lines.slice(0, freshFrom).map((line) => carried(line, 'ifNewer')) : []
  if (fresh === 0) return [...before, own]
  const written = transaction.count === 1 ? findOwn(transaction.id) : null
  const news =
    written?.map((object): GatheredObject => ({ object, isNews: true, carrier: null, cargo: null })) ??
    cargo.lines.slice(freshFrom).map((line) => carried(line, true))
  return [...before, own, ...news]
}

export function gatherCrate({ sequence, subject, data }: Message, carrier: Carrier): Gathered {
  const [, , epoch] = subject.split('.')
  const revision = { epoch: Number(epoch), sequence }
  const objects = decodeCrate(data).map((line): GatheredObject => {
    return { object: decodeCarried(line, revision), isNews: 'ifNewer', carrier, cargo: null }
  })
  return { objects }
}
