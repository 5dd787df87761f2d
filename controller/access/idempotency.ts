/**
 * Requests that come with an Idempotency-Key: what they make is made from one seed, and their answer is kept for a day.
 * Touches idempotency keys alone.
 */

import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import { keyedActionId } from '../control-plane/kept-actions.ts'
import { createNamedId } from '../control-plane/shard-key.ts'
import { OutcomeUnknownError, retryAfterSeconds, type StoredObject } from '../control-plane/store.ts'
import { type IdempotencyValue, idempotencyKind } from '../objects.ts'
import type { Caller, ControllerContext } from '../services.ts'
import { createSeed } from './object-id.ts'
import { refuseUnavailable } from './problems.ts'
import { idempotencyKeptMilliseconds } from './sweep-reservations.ts'

export type KeptAnswer = NonNullable<IdempotencyValue['answer']>
export interface TakenKey {
  readonly seed: string
  readonly actionId: string
  /** The answer that the request was given before; null: it is new, or was cut off and is carried on. */
  readonly answer: KeptAnswer | null
  readonly object: StoredObject<IdempotencyValue>
}

const attemptsMaximum = 4

/** Takes the key for a request, told from others by its fingerprint; refuses the key of a different request. */
export async function takeIdempotencyKey(
  context: Pick<ControllerContext, 'store' | 'now' | 'random'>,
  caller: Caller,
  key: string,
  fingerprint: string,
): Promise<Outcome<TakenKey>> {
  const client = caller.projectId ?? caller.tokenId
  const id = createNamedId(idempotencyKind.prefix, client, client, key)
  for (let attempt = 1; attempt <= attemptsMaximum; attempt++) {
    const current = await context.store.get(idempotencyKind, id, { latest: attempt > 1 })
    const isKept = current !== null && context.now() - Date.parse(current.value.takenAt) <= idempotencyKeptMilliseconds
    if (isKept && current.value.fingerprint !== fingerprint) return refuseReused(key)
    if (isKept) return succeed(describeTaken(current))
    const value: IdempotencyValue = {
      fingerprint,
      seed: createSeed(context.now(), context.random),
      answer: null,
      takenAt: new Date(context.now()).toISOString(),
    }
    try {
      const outcome = await context.store.transact({
        writes: [{ kind: idempotencyKind, id, expect: current?.version ?? 'absent', value }],
      })
      if (outcome.outcome === 'unavailable') return refuseUnavailable(outcome.reason, outcome.retryAfterSeconds)
      if (outcome.outcome === 'committed') {
        return succeed(describeTaken(outcome.objects[0] as StoredObject<IdempotencyValue>))
      }
    } catch (cause) {
      if (!(cause instanceof OutcomeUnknownError)) throw cause
    }
  }
  return refuseUnavailable('the Idempotency-Key is wanted by many at once', retryAfterSeconds)
}

/** Keeps the answer. One that can't be kept is made again by the repetition, from the same seed. */
export async function keepAnswer(
  context: Pick<ControllerContext, 'store' | 'logger'>,
  taken: TakenKey,
  answer: KeptAnswer,
): Promise<void> {
  const { id, version, value } = taken.object
  try {
    await context.store.transact({
      writes: [{ kind: idempotencyKind, id, expect: version, value: { ...value, answer } }],
    })
  } catch (cause) {
    context.logger.warn({ err: cause, id }, 'the answer of a request with an Idempotency-Key was not kept')
  }
}

const describeTaken = (object: StoredObject<IdempotencyValue>): TakenKey => ({
  seed: object.value.seed,
  // With the seed, since the key of a day ago is taken anew and its request is another.
  actionId: keyedActionId(object.value.seed),
  answer: object.value.answer,
  object,
})

const refuseReused = (key: string) =>
  refuse({
    code: 'idempotency-key-reused',
    title: 'The Idempotency-Key belongs to another request',
    detail: `The key '${key}' came with a different method, path or body before.`,
    remedy: 'Send a new key for a new request; repeat a request exactly as it was.',
    errors: [{ field: 'Idempotency-Key', message: 'came with a different request before' }],
  })
