/**
 * What became of a write that was not acknowledged: it may be stored, now or later. Touches the microshard's stream.
 *
 * Such a doubt is settled by a fence: a copy of one of the objects, written on the same condition. Once the fence is in,
 * the doubtful write can never be; if the fence is refused, something has been written after what was expected, and it
 * tells whose it is. A microshard that is sealed takes no fence and no write either: what is not there up to its end never
 * will be.
 */

import { nuid } from '@nats-io/transport-node'
import { sleep } from './connection-watch.ts'
import { type Doubt, judgeSuccessor } from './judge-successor.ts'
import { encodeObject, noCargo, objectSubject } from './message.ts'
import type { CertainOutcome, MicroshardOptions } from './microshard.ts'
import type { PlannedObject } from './plan-transaction.ts'
import { OutcomeUnknownError, StoreUnavailableError } from './store.ts'

type DoubtOptions = Pick<MicroshardOptions, 'place' | 'stream' | 'doubtMilliseconds' | 'cut'> & {
  /** Ends the search. */
  readonly signal: AbortSignal
}

const doubtDelayMilliseconds = 50

/** Finds out whether a transaction is stored, and sees to it that it never will be if it is not. */
export async function settleDoubt(options: DoubtOptions, doubt: Doubt, reason: string): Promise<CertainOutcome> {
  const { doubtMilliseconds, place } = options
  const settled = new AbortController()
  const over = AbortSignal.any([options.signal, AbortSignal.timeout(doubtMilliseconds), settled.signal])
  try {
    while (!over.aborted) {
      const settling = settleOnce(options, doubt, reason).catch((cause: unknown) => {
        if (cause instanceof StoreUnavailableError) return null
        throw cause
      })
      // What is left of a turn when the time is over does no harm: a fence changes nothing.
      const outcome = await Promise.race([settling, sleep(doubtMilliseconds, over).then(() => null)])
      if (outcome !== null) return outcome
      await sleep(doubtDelayMilliseconds, over)
    }
  } finally {
    settled.abort()
  }
  throw new OutcomeUnknownError(`a write to microshard ${place.id} was not acknowledged: ${reason}`)
}

/** Null: the doubt is left. */
async function settleOnce(options: DoubtOptions, doubt: Doubt, reason: string): Promise<CertainOutcome | null> {
  const { place, stream } = options
  const { object, base, baseCargo } = doubt
  const subject = objectSubject(place, object.kind, object.id)
  const expectedSequence = base?.revision.sequence ?? 0
  // Asked before the reading, which then shows all there will ever be.
  const isEnded = (options.cut?.() ?? null) !== null
  const successor = await stream.readNext(subject, expectedSequence + 1)
  if (successor !== null) return judgeSuccessor(doubt, successor)
  if (isEnded) return { kind: 'fenced', reason }
  const fence: PlannedObject = base ?? { ...object, version: 0, value: null, actionIds: [] }
  const cargo = baseCargo.turn === 0 ? noCargo : { turn: baseCargo.turn + 1, lines: baseCargo.lines }
  const body = encodeObject(fence, { id: nuid.next(), index: 0, count: 1 }, { isFence: true, cargo })
  const outcome = await stream.publish([{ subject, body, expectedSequence }])
  // A fence that was refused for its condition found a successor: the next turn reads it.
  return outcome.kind === 'stored' ? { kind: 'refused', reason } : null
}
