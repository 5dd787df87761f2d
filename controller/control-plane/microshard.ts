/**
 * One microshard as a writer sees it: transactions with a certain outcome, and reads from its leader. It touches its
 * stream and its replica in memory.
 *
 * A write that is not acknowledged may be stored, now or later. Such a doubt is settled by a fence: a copy of one of
 * the objects, written on the same condition. Once the fence is in, the doubtful write can never be; if the fence is
 * refused, something has been written after what was expected, and it tells whose it is.
 */

import { nuid } from '@nats-io/transport-node'
import { sleep } from './connection-watch.ts'
import { encodeObject, type MicroshardPlace, objectSubject, outboxSubject, type StoredMessage } from './message.ts'
import type { MicroshardReplica } from './microshard-replica.ts'
import type { MicroshardStream, OutgoingMessage, PublishOutcome } from './microshard-stream.ts'
import type { ObjectTable } from './object-table.ts'
import { type KnownObject, type PlannedObject, planTransaction, type TransactionPlan } from './plan-transaction.ts'
import {
  OutcomeUnknownError,
  retryAfterSeconds,
  StoreUnavailableError,
  type Transaction,
  type TransactionOutcome,
  type VersionConflict,
  versionsKeptMaximum,
} from './store.ts'

export interface Microshard {
  transact(transaction: Transaction): Promise<TransactionOutcome>
  /** The object as its leader has it, a tombstone too. Rejects with StoreUnavailableError. */
  readLatest(kind: string, id: string): Promise<KnownObject | null>
  /** The kept versions of an object, oldest first, from the leader. Rejects with StoreUnavailableError. */
  readHistory(kind: string, id: string): Promise<readonly KnownObject[]>
  close(): Promise<void>
}

export interface MicroshardOptions {
  readonly place: MicroshardPlace
  readonly stream: MicroshardStream
  readonly replica: MicroshardReplica
  readonly table: ObjectTable
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** How long a doubt about a write may last before it is told to the caller. */
  readonly doubtMilliseconds: number
}

/** The server takes at most 50 batches of a stream at a time, from all its writers together. */
const transactionsInFlightMaximum = 40
const transactionsWaitingMaximum = 10_000
const attemptsMaximum = 10
const attemptDelayMilliseconds = 2
const doubtDelayMilliseconds = 50
/** How long a reader of the leader waits for memory to follow, so that memory never shows less than was read. */
const followMilliseconds = 2_000
const leaderReadsMaximum = 32
/** Writes can come in while a history is read; this ends it. */
const historyReadsMaximum = 2 * versionsKeptMaximum

type WritePlan = Extract<TransactionPlan, { kind: 'write' }>
type Find = (kind: string, id: string) => KnownObject | null
/** A write's outcome once no doubt is left. */
type CertainOutcome = Exclude<PublishOutcome, { kind: 'unknown' }>

export function openMicroshard(options: MicroshardOptions): Microshard {
  const { place, stream, replica, table } = options
  const closing = new AbortController()
  const gate = createGate()

  async function attempt(transaction: Transaction): Promise<TransactionOutcome> {
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
        if (outcome.kind === 'stored') return { outcome: 'committed', objects: takeIn(plan, outcome.lastSequence) }
        if (outcome.kind === 'refused') return describeUnavailable(outcome.reason)
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

  async function write(plan: WritePlan, find: Find): Promise<CertainOutcome> {
    const [object] = plan.objects
    if (object === undefined) throw new Error('BUG: a plan without an object')
    // What it is to replace, as of now: once it is on its way, memory may show its own result.
    const base = find(object.kind, object.id)
    const transactionId = nuid.next()
    const count = plan.objects.length
    const objects = plan.objects.map((object, index): OutgoingMessage => {
      const expectedSequence = find(object.kind, object.id)?.revision.sequence ?? 0
      const body = encodeObject(object, { id: transactionId, index, count })
      return { subject: objectSubject(place, object.kind, object.id), body, expectedSequence }
    })
    const events = plan.events.map((event): OutgoingMessage => {
      return { subject: outboxSubject(place, event.id), body: JSON.stringify(event), expectedSequence: null }
    })
    const messages = [...objects, ...events]
    const outcome = await stream.publish(messages)
    if (outcome.kind !== 'unknown') return outcome
    return settle({ transactionId, object, base, messages: messages.length }, outcome.reason)
  }

  /** Finds out whether a transaction is stored, and sees to it that it never will be if it is not. */
  async function settle(doubt: Doubt, reason: string): Promise<CertainOutcome> {
    const settled = new AbortController()
    const over = AbortSignal.any([closing.signal, AbortSignal.timeout(options.doubtMilliseconds), settled.signal])
    try {
      while (!over.aborted) {
        const settling = settleOnce(doubt, reason).catch((cause: unknown) => {
          if (cause instanceof StoreUnavailableError) return null
          throw cause
        })
        // What is left of a turn when the time is over does no harm: a fence changes nothing.
        const outcome = await Promise.race([settling, sleep(options.doubtMilliseconds, over).then(() => null)])
        if (outcome !== null) return outcome
        await sleep(doubtDelayMilliseconds, over)
      }
    } finally {
      settled.abort()
    }
    throw new OutcomeUnknownError(`a write to microshard ${place.id} was not acknowledged: ${reason}`)
  }

  /** Null: the doubt is left. */
  async function settleOnce(doubt: Doubt, reason: string): Promise<CertainOutcome | null> {
    const { object, base } = doubt
    const subject = objectSubject(place, object.kind, object.id)
    const expectedSequence = base?.revision.sequence ?? 0
    const successor = await stream.readNext(subject, expectedSequence + 1)
    if (successor !== null) return judgeSuccessor(doubt, successor)
    const fence: PlannedObject = base ?? { ...object, version: 0, value: null, actionIds: [] }
    const body = encodeObject(fence, { id: nuid.next(), index: 0, count: 1 }, true)
    const outcome = await stream.publish([{ subject, body, expectedSequence }])
    // A fence that was refused for its condition found a successor: the next turn reads it.
    return outcome.kind === 'stored' ? { kind: 'refused', reason } : null
  }

  function takeIn(plan: WritePlan, lastSequence: number): KnownObject[] {
    const firstSequence = lastSequence - plan.events.length - plan.objects.length + 1
    return plan.objects.map((planned, i) => {
      const object: KnownObject = { ...planned, revision: { epoch: place.epoch, sequence: firstSequence + i } }
      table.put(object)
      return object
    })
  }

  async function readLeaderView(transaction: Transaction): Promise<LeaderView> {
    const found = new Map<string, KnownObject>()
    const names = transaction.writes.map((write) => ({ kind: write.kind.name, id: write.id }))
    for (let i = 0; i < names.length; i += leaderReadsMaximum) {
      const part = names.slice(i, i + leaderReadsMaximum)
      const messages = await Promise.all(part.map(({ kind, id }) => stream.readLast(objectSubject(place, kind, id))))
      for (const message of messages) {
        if (message !== null) found.set(`${message.object.kind} ${message.object.id}`, message.object)
      }
    }
    return { find: (kind, id) => found.get(`${kind} ${id}`) ?? null, objects: [...found.values()] }
  }

  async function hasReached(sequence: number | null): Promise<boolean> {
    return sequence !== null && (await replica.reach(sequence, followMilliseconds))
  }

  /** Waits until memory shows what the leader has shown; a replica that lags for too long gets it from here. */
  async function follow(objects: readonly KnownObject[]): Promise<void> {
    const sequence = Math.max(0, ...objects.map((object) => object.revision.sequence))
    if (await replica.reach(sequence, followMilliseconds)) return
    for (const object of objects) table.put(object)
  }

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
      const message = await stream.readLast(objectSubject(place, kind, id))
      if (message === null) return null
      await follow([message.object])
      return table.find(kind, id)
    },

    async readHistory(kind, id) {
      const versions: KnownObject[] = []
      const subject = objectSubject(place, kind, id)
      let sequence = 1
      for (let i = 0; i < historyReadsMaximum; i++) {
        const message = await stream.readNext(subject, sequence)
        if (message === null) break
        if (!message.isFence) versions.push(message.object)
        sequence = message.object.revision.sequence + 1
      }
      return versions.slice(-versionsKeptMaximum)
    },

    close: () => {
      closing.abort()
      return replica.close()
    },
  }
}

interface LeaderView {
  readonly find: Find
  readonly objects: readonly KnownObject[]
}

interface Doubt {
  readonly transactionId: string
  /** The first object that the transaction writes, and what it was to replace. */
  readonly object: PlannedObject
  readonly base: KnownObject | null
  readonly messages: number
}

/** Judges a doubtful write by the first message that came after the one that it expected. */
function judgeSuccessor(doubt: Doubt, successor: StoredMessage): CertainOutcome {
  const { sequence } = successor.object.revision
  if (successor.transaction.id === doubt.transactionId) {
    return { kind: 'stored', lastSequence: sequence + doubt.messages - 1 }
  }
  // Another's write or fence has taken the place: the doubtful one can't be stored any more.
  if (successor.object.version <= doubt.object.version) return { kind: 'wrongSequence', lastSequence: sequence }
  throw new OutcomeUnknownError(
    `a write of ${doubt.object.kind} ${doubt.object.id} was not acknowledged, and its version ${doubt.object.version} ` +
      'is not kept any more',
  )
}

/** Versions only grow: a write that expects one which memory has left behind can't be done any more, whatever the leader has. */
function isCertain({ expectedVersion, actualVersion }: VersionConflict): boolean {
  return expectedVersion !== 'absent' && actualVersion !== null && actualVersion > expectedVersion
}

function describeUnavailable(reason: string): TransactionOutcome {
  return { outcome: 'unavailable', retryAfterSeconds, reason }
}

/** Lets a bounded number of transactions in at a time, in the order of their coming. */
function createGate(): { enter(): Promise<boolean>; leave(): void } {
  const waiting: (() => void)[] = []
  let inside = 0
  return {
    async enter() {
      if (inside < transactionsInFlightMaximum) {
        inside++
        return true
      }
      if (waiting.length >= transactionsWaitingMaximum) return false
      await new Promise<void>((resolve) => waiting.push(resolve))
      return true
    },
    leave() {
      // Who leaves gives the place to the next, so that nobody slips in between.
      const next = waiting.shift()
      if (next === undefined) inside--
      else next()
    },
  }
}
