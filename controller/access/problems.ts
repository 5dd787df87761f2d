/** The refusals that every noun shares, worded once. Pure. */

import type { Clash } from '../contract/escalation.ts'
import { type Problem, refuse } from '../contract/problem.ts'

type Refusal = ReturnType<typeof refuse>

export interface FieldError {
  readonly field: string
  readonly message: string
}

/** There is none, or it isn't the caller's to see: both look the same from outside. */
export const refuseNotFound = (noun: string, id: string): Refusal =>
  refuse({
    code: 'not-found',
    title: 'Not found',
    detail: `There is no ${noun} ${id}, or it is not yours to see.`,
    remedy: `List what there is, and use one of those ids.`,
    errors: [{ field: 'id', message: `there is no ${noun} ${id}` }],
  })

/** A field that is well formed but can't be: `refuseField('networkId', 'there is no network net_…', 'Give …')`. */
export const refuseField = (
  field: string,
  message: string,
  remedy: string,
  code: Problem['code'] = 'invalid',
): Refusal =>
  refuse({
    code,
    title: 'The request can not be fulfilled',
    detail: `${field}: ${message}`,
    remedy,
    errors: [{ field, message }],
  })

/** What something depends on still uses it; `holders` are named, at most the first ten. */
export function refuseInUse(noun: string, name: string, holders: readonly string[]): Refusal {
  const shown = holders.slice(0, 10).join(', ')
  const more = holders.length > 10 ? ` and ${holders.length - 10} more` : ''
  return refuse({
    code: 'in-use',
    title: 'It is in use',
    detail: `The ${noun} '${name}' is used by ${shown}${more}.`,
    remedy: 'Delete these first.',
    errors: [{ field: 'id', message: `is used by ${shown}${more}` }],
  })
}

export const refuseForbidden = (what: string): Refusal =>
  refuse({
    code: 'forbidden',
    title: 'Not allowed',
    detail: `Only an admin's token may ${what}.`,
    remedy: "Ask with an admin's token, or ask an admin to do it.",
  })

/** If-Match named another version than the one that is there: nothing was written. */
export const refuseStale = (noun: string, id: string, expected: number, actual: number): Refusal =>
  refuse({
    code: 'precondition-failed',
    title: 'It has changed since it was read',
    detail: `If-Match names version ${expected} of ${noun} ${id}; its version is ${actual}.`,
    remedy: `Read it again, and send If-Match: "${actual}" if the change still makes sense.`,
    errors: [{ field: 'If-Match', message: `names version ${expected}, the version is ${actual}` }],
  })

export const refuseUnavailable = (reason: string, retryAfterSeconds: number): Refusal =>
  refuse({
    code: 'unavailable',
    title: 'The store can not be written now',
    detail: `Nothing was changed: ${reason}.`,
    remedy: `Ask again in ${retryAfterSeconds} s. With an Idempotency-Key nothing is done twice.`,
    retryAfterSeconds,
  })

/** Nobody can tell whether it was written: the repetition finds out. */
export const refuseUnknownOutcome = (retryAfterSeconds: number): Refusal =>
  refuse({
    code: 'unavailable',
    title: 'The outcome is not known yet',
    detail: 'The store took the change in and did not say whether it is stored.',
    remedy: `Ask again in ${retryAfterSeconds} s, with the same Idempotency-Key if there was one: it will not be done twice.`,
    retryAfterSeconds,
  })

export const refuseContended = (noun: string, id: string, clash?: Clash): Refusal =>
  refuse({
    code: 'conflict',
    title: 'Others keep changing it',
    detail: `The ${noun} ${id} was changed by others each time this change was tried. Nothing was changed.`,
    remedy: 'Try again, or have fewer writers change it at once.',
    ...(clash === undefined ? {} : { clash }),
  })

/** Too much was written since it was first asked for. */
export const refuseUntold = (noun: string, id: string, clash: Clash): Refusal =>
  refuse({
    code: 'conflict',
    title: 'It can not be told whether it is done',
    detail: `So much was written to the ${noun} ${id} since this change was first asked for that its versions do not tell.`,
    remedy: 'Look at it, and ask again if the change is not there.',
    clash,
  })

/** Others changed the same since the version that the change was decided on, or that version is not kept any more. */
export const refuseSameField = (noun: string, clash: Clash): Refusal =>
  refuse({
    code: 'conflict',
    title: 'It has changed since it was read',
    detail: `The ${noun} ${clash.id} is at version ${clash.latestVersion}, and the change was decided on another.`,
    remedy: 'Read it again, and decide on what is there.',
    clash,
  })
