/**
 * One microshard as a writer sees it: transactions with a certain outcome, and reads from its leader. It touches its
 * stream and its replica in memory.
 */

import { nuid } from '@nats-io/transport-node'
import type { CargoHold } from './cargo-hold.ts'
import { sleep } from './connection-watch.ts'
import { openCrates } from './crates.ts'
import { createGate } from './gate.ts'
import {
  type Cargo,
  encodeCarried,
  encodeObject,
  type MicroshardPlace,
  noCargo,
  objectSubject,
  outboxSubject,
} from './message.ts'
import type { MicroshardReplica } from './microshard-replica.ts'
import type { MicroshardStream, OutgoingMessage, PublishOutcome } from './microshard-stream.ts'
import type { ObjectTable } from './object-table.ts'
import type { OwnMessage, OwnWrites, PlacedMessage } from './own-writes.ts'
import { nameOf, type Parcel, packParcels } from './parcels.ts'
import { findCarrier, type KnownObject, planTransaction, type TransactionPlan } from './plan-transaction.ts'
import { readCarriedHistory } from './read-history.ts'
import { settleDoubt } from './settle-doubt.ts'
import {
  type Kind,
  retryAfterSeconds,
  StoreUnavailableError,
  type Transaction,
  type TransactionOutcome,
  type VersionConflict,
  versionsKeptMaximum,
  type Write,
} from './store.ts'

export interface Microshard {
  transact(transaction: Transaction): Promise<MicroshardOutcome>
  /** The object as its leader has it, a tombstone too. Rejects with StoreUnavailableError or FencedError. */
  readLatest(kind: Kind<unknown>, id: string): Promise<KnownObject | null>
  /** The kept versions of an object, oldest first, from the leader. Rejects as `readLatest`. */
  readHistory(kind: Kind<unknown>, id: string): Promise<readonly KnownObject[]>
  close(): Promise<void>
}

export type MicroshardOutcome =
  | TransactionOutcome
  /** Nothing is or will be stored, as this microshard takes no writes: whoever wants it done looks into the directory. */
  | { readonly outcome: 'fenced'; readonly reason: string }

/** The microshard was sealed while it was read: what it says may be old. */
export class FencedError extends Error {
  override readonly name = 'FencedError'
}

export interface MicroshardOptions {
  readonly place: MicroshardPlace
  readonly stream: MicroshardStream
  readonly replica: MicroshardReplica
  readonly table: Pick<ObjectTable, 'find' | 'put'>
  readonly hold: CargoHold
  readonly own: OwnWrites
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** How long a doubt about a write may last before it is told to the caller. */
  readonly doubtMilliseconds: number
  /** Where a sealed microshard ends, once that is known. */
  readonly cut?: () => number | null
}

/** The server takes at most 50 batches of a stream at a time, from all its writers together. */
const transactionsInFlightMaximum = 40
const transactionsWaitingMaximum = 10_000
const attemptsMaximum = 10
const attemptDelayMilliseconds = 2
/** How long a reader of the leader waits for memory to follow, so that memory never shows less than was read. */
const followMilliseconds = 2_000
const leaderReadsMaximum = 32
/** Writes can come in while a history is read; this ends it. */
const historyReadsMaximum = 2 * versionsKeptMaximum
/** From so much on what is carried goes into a crate, which messages need not wait for. */
const cargoLinesWanted = 32
/** So much is carried at most: then they wait. */
const cargoLinesMaximum = 400
const cargoCharactersMaximum = 400_000

type WritePlan = Extract<TransactionPlan, { kind: 'write' }>
type Find = (kind: string, id: string) => KnownObject | null
/** A write's outcome once no doubt is left. */
export type CertainOutcome = Exclude<PublishOutcome, { kind: 'unknown' }>
type Refused = Exclude<CertainOutcome, { kind: 'stored' }>

export function openMicroshard(options: MicroshardOptions): Microshard {
  const { place, stream, replica, table, hold, own } = options
  const reach = (sequence: number) => replica.reach(sequence, followMilliseconds)
  const crates = openCrates({ place, stream, hold, reach })
  const closing = new AbortController()
  const doubts = { ...options, signal: closing.signal }
  const gate = createGate({ insideMaximum: transactionsInFlightMaximum, waitingMaximum: transactionsWaitingMaximum })

  async function attempt(transaction: Transaction): Promise<MicroshardOutcome> {
    // Memory is believed at first: the write's condition proves it right or wrong. From then on the leader is asked.
    let leaderView: LeaderView | null = null
    let reason = ''
    for (let count = 1; count <= attemptsMaximum; count++) {
      const find: Find = leaderView?.find ?? table.find
      const plan = planTransaction(transaction, find, { now: options.now() })
      if (plan.kind === 'conflict' && (leaderView !== null || plan.conflicts.some(isCertain))) {
        await follow(leaderView?.objects ?? [])
        return { outcome: 'conflict', conflicts: plan.conflicts }
      }
      if (plan.kind === 'write') {
        const outcome = await write(plan, find)
        if (outcome.kind === 'stored') return { outcome: 'committed', objects: outcome.objects }
        if (outcome.kind === 'refused') return describeUnavailable(outcome.reason)
        if (outcome.kind === 'fenced') return { outcome: 'fenced', reason: outcome.reason }
        if (outcome.kind === 'busy') await sleep(count * attemptDelayMilliseconds, closing.signal)
        reason = outcome.kind === 'busy' ? outcome.reason : 'its objects kept being written by others'
        // Who has lost a race is told where the winner's write lies: once memory has it, it knows enough.
        if (outcome.kind === 'wrongSequence' && leaderView === null && (await hasReached(outcome.lastSequence)))
          continue
      }
      leaderView = await readLeaderView(transaction)
    }
    return describeUnavailable(`not written in ${attemptsMaximum} attempts: ${reason}`)
  }

  async function write(plan: WritePlan, find: Find): Promise<Refused | Stored> {
    // What is to be replaced, as of now: once it is on its way, memory may show its own result.
    const shipments = await loadParcels(packParcels(plan, find))
    if (!Array.isArray(shipments)) return shipments
    const [first] = shipments
    if (first === undefined) throw new Error('BUG: a plan without a message')
    const transactionId = nuid.next()
    const count = shipments.length
    const objects = shipments.map(({ object, base, isCopy, cargo, fresh }, index): OutgoingMessage => {
      const body = encodeObject(object, { id: transactionId, index, count }, { isCopy, cargo, fresh: fresh.length })
      return { subject: objectSubject(place, object.kind, object.id), body, expectedSequence: sequenceOf(base) }
    })
    const events = plan.events.map((event): OutgoingMessage => {
      return { subject: outboxSubject(place, event.id), body: JSON.stringify(event), expectedSequence: null }
    })
    const messages = [...objects, ...events]
    const written = shipments.map((shipment) => placeShipment(shipment, place.epoch))
    own.expect(transactionId, written)
    const published = await stream.publish(messages)
    const outcome =
      published.kind === 'unknown'
        ? await settleDoubt(doubts, { ...first, transactionId, messages: messages.length }, published.reason)
        : published
    if (outcome.kind !== 'stored') {
      own.forget(transactionId)
      return outcome
    }
    const firstSequence = outcome.lastSequence - messages.length + 1
    return {
      kind: 'stored',
      objects: takeIn(
        plan,
        shipments,
        written.map((message, i) => message.place(firstSequence + i)),
      ),
    }
  }

  /** Decides what goes with each carrier, and writes crates where that becomes too much. */
  async function loadParcels(parcels: readonly Parcel[]): Promise<Shipment[] | Refused> {
    const shipments: Shipment[] = []
    for (const parcel of parcels) {
      // Memory has it from the microshard that kept it before this one.
      if (parcel.base !== null && parcel.base.revision.epoch !== place.epoch) return isElsewhere
      const baseCargo = hold.find(parcel.object, sequenceOf(parcel.base))
      // Another message of it is known already: this one's condition could not hold.
      if (baseCargo === null) return isElsewhere
      const lines = parcel.fresh.map(encodeCarried)
      const before = hold.leaveStored(parcel.object, baseCargo.lines)
      const isTooMuch = lines.length > 0 && before.length > 0 && !fits(before, lines)
      if (isTooMuch) {
        const outcome = await crates.store(parcel.object, before)
        if (outcome.kind === 'unknown') return { kind: 'busy', reason: outcome.reason }
        if (outcome.kind !== 'stored') return outcome
      }
      const isCarrier = baseCargo.turn > 0 || lines.length > 0
      const carried = isTooMuch ? lines : [...before, ...lines]
      const cargo = isCarrier ? { turn: baseCargo.turn + 1, lines: carried } : noCargo
      shipments.push({ ...parcel, baseCargo, cargo })
    }
    return shipments
  }

  function takeIn(plan: WritePlan, shipments: readonly Shipment[], placed: readonly PlacedMessage[]): KnownObject[] {
    const stored = new Map<string, KnownObject>()
    for (const [i, { object, carried }] of placed.entries()) {
      const cargo = shipments[i]?.cargo ?? noCargo
      hold.put(object, object.revision.sequence, cargo)
      table.put(object)
      stored.set(nameOf(object), object)
      for (const one of carried) {
        table.put(one)
        if (table.find(one.kind, one.id) === one) hold.noteCarried(one, { kind: object.kind, id: object.id })
        stored.set(nameOf(one), one)
      }
      if (cargo.lines.length >= cargoLinesWanted) crates.storeSoon(object, cargo.lines)
    }
    return plan.objects.map((planned) => {
      const object = stored.get(nameOf(planned))
      if (object === undefined) throw new Error(`BUG: ${nameOf(planned)} was written by no message`)
      return object
    })
  }

  /** What has messages of its own is read from them; what is carried is in memory, once that has followed its carriers. */
  async function readLeaderView(transaction: Transaction): Promise<LeaderView> {
    const carriedKinds = new Set<string>()
    const names = new Map<string, { readonly kind: string; readonly id: string }>()
    for (const write of transaction.writes) {
      const current = write.kind.carriedBy === undefined ? null : table.find(write.kind.name, write.id)
      const isKnown = write.value !== null || (current?.value ?? null) !== null
      if (write.kind.carriedBy !== undefined) carriedKinds.add(write.kind.name)
      const name = isKnown ? (findCarrier(write, current) ?? nameOfWrite(write)) : nameOfWrite(write)
      if (isKnown || write.kind.carriedBy === undefined) names.set(nameOf(name), name)
    }
    const found = new Map<string, KnownObject>()
    const wanted = [...names.values()]
    for (let i = 0; i < wanted.length; i += leaderReadsMaximum) {
      const part = wanted.slice(i, i + leaderReadsMaximum)
      const messages = await Promise.all(part.map(({ kind, id }) => stream.readLast(objectSubject(place, kind, id))))
      for (const message of messages) {
        if (message === null) continue
        found.set(nameOf(message.object), message.object)
        hold.put(message.object, message.object.revision.sequence, message.cargo)
      }
    }
    const objects = [...found.values()]
    if (carriedKinds.size > 0 && !(await reach(lastSequenceOf(objects)))) throw memoryLags()
    return {
      find: (kind, id) => (carriedKinds.has(kind) ? table.find(kind, id) : (found.get(nameOf({ kind, id })) ?? null)),
      objects,
    }
  }

  const hasReached = async (sequence: number | null) => sequence !== null && (await reach(sequence))

  /** Waits until memory shows what the leader has shown; a replica that lags for too long gets it from here. */
  async function follow(objects: readonly KnownObject[]): Promise<void> {
    if (await reach(lastSequenceOf(objects))) return
    for (const object of objects) {
      // A carrier never comes without what it carries.
      if (hold.find(object, object.revision.sequence)?.turn === 0) table.put(object)
    }
  }

  /** Asked after a reading: as long as it takes writes, nobody else does. */
  async function refuseSealed(): Promise<void> {
    if (await stream.isSealed()) throw new FencedError(`microshard ${place.id} is sealed`)
  }

  const memoryLags = () => new StoreUnavailableError(`memory lags behind microshard ${place.id}`)

  return {
    async transact(transaction) {
      if (replica.isBroken()) return describeUnavailable(`memory can't follow microshard ${place.id}`)
      if (!(await gate.enter())) return describeUnavailable(`${transactionsWaitingMaximum} transactions wait already`)
      try {
        if (closing.signal.aborted) return describeUnavailable('the store is closed')
        return await attempt(transaction)
      } catch (cause) {
        // Only a read can say so, and a read comes after a write whose outcome is certain.
        if (cause instanceof StoreUnavailableError) return describeUnavailable(cause.message)
        throw cause
      } finally {
        gate.leave()
      }
    },

    async readLatest(kind, id) {
      if (kind.carriedBy !== undefined) {
        const lastSequence = await stream.readLastSequence()
        await refuseSealed()
        if (!(await reach(lastSequence))) throw memoryLags()
        return table.find(kind.name, id)
      }
      const message = await stream.readLast(objectSubject(place, kind.name, id))
      await refuseSealed()
      if (message === null) return null
      await follow([message.object])
      const known = table.find(kind.name, id)
      if ((known?.version ?? 0) < message.object.version) throw memoryLags()
      return known
    },

    async readHistory(kind, id) {
      const versions: KnownObject[] = []
      const subject = objectSubject(place, kind.name, id)
      let sequence = 1
      for (let i = 0; i < historyReadsMaximum; i++) {
        const message = await stream.readNext(subject, sequence)
        if (message === null) break
        if (!message.isFence && !message.isCopy) versions.push(message.object)
        sequence = message.object.revision.sequence + 1
      }
      if (kind.carriedBy !== undefined) {
        versions.push(...(await readCarriedHistory({ place, stream, table, hold, crates, reach }, kind, id)))
      }
      await refuseSealed()
      return versions.slice(-versionsKeptMaximum)
    },

    async close() {
      closing.abort()
      await crates.close()
      await replica.close()
    },
  }
}

interface LeaderView {
  readonly find: Find
  readonly objects: readonly KnownObject[]
}

/** A parcel with all that it carries, and what the message before it carried. */
interface Shipment extends Parcel {
  readonly baseCargo: Cargo
  readonly cargo: Cargo
}

/** Its objects are made once, whoever asks first: the writer or who follows the stream. */
function placeShipment({ object, isCopy, cargo, fresh }: Shipment, epoch: number): OwnMessage {
  let placed: PlacedMessage | null = null
  return {
    isCopy,
    cargo,
    place(sequence) {
      const revision = { epoch, sequence }
      placed ??= { object: { ...object, revision }, carried: fresh.map((one) => ({ ...one, revision })) }
      return placed
    },
  }
}

interface Stored {
  readonly kind: 'stored'
  readonly objects: readonly KnownObject[]
}

const isElsewhere: Refused = { kind: 'wrongSequence', lastSequence: null }
const sequenceOf = (base: KnownObject | null) => base?.revision.sequence ?? 0
const lastSequenceOf = (objects: readonly KnownObject[]) =>
  Math.max(0, ...objects.map(({ revision }) => revision.sequence))
const nameOfWrite = ({ kind, id }: Write) => ({ kind: kind.name, id })

function fits(...parts: readonly (readonly string[])[]): boolean {
  const lines = parts.flat()
  return (
    lines.length <= cargoLinesMaximum && lines.reduce((sum, line) => sum + line.length, 0) <= cargoCharactersMaximum
  )
}

/** Versions only grow: a write that expects one which memory has left behind can't be done any more, whatever the leader has. */
function isCertain({ expectedVersion, actualVersion }: VersionConflict): boolean {
  return expectedVersion !== 'absent' && actualVersion !== null && actualVersion > expectedVersion
}

function describeUnavailable(reason: string): TransactionOutcome {
  return { outcome: 'unavailable', retryAfterSeconds, reason }
}
