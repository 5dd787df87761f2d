/**
 * Whether an instance in trouble is condemned: by its own agent's word, or by that of witnesses. Pure.
 *
 * Its own agent is believed when it says for a while that the instance does not serve. Where that agent is not heard, or
 * says that all is well while the VIP is not where it belongs, others are asked whether they reach the instance's own
 * address on the uplink (never the VIP, which has moved), and its haproxy there: two of them must not, nobody may, and a
 * witness that reaches nobody at all is blind and has no say.
 */

import type { Condition } from '../../contract/common.ts'

export type SuspicionCause =
  /** Its agent is heard and says that it does not serve. */
  | 'ownWord'
  /** Its host is not heard. */
  | 'hostSilent'
  /** It is said to serve, and does not have its VIP. */
  | 'vipAway'

/** What the witnesses of one suspicion say, by the names of their hosts. */
export interface Testimonies {
  /** Its haproxy answers them. */
  readonly reached: readonly string[]
  /** Its kernel answers them; they can't ask its haproxy. */
  readonly seen: readonly string[]
  /** Its kernel answers them, and its haproxy does not. */
  readonly unserved: readonly string[]
  /** Nobody answers them. */
  readonly missed: readonly string[]
  readonly blind: readonly string[]
}

export interface SuspicionEvidence {
  readonly cause: SuspicionCause
  /** In words for the operator. */
  readonly message: string
  /** When the trouble began, where that is known; RFC 3339. */
  readonly beganAt?: string | undefined
  readonly before: readonly Condition[]
  readonly uplinkAddress: string
  readonly testimonies: Testimonies
  /** So many that are not blind must miss it. */
  readonly witnessesNeeded: number
  readonly suspectAfterSeconds: number
  /** Milliseconds since the epoch. */
  readonly now: number
}

export interface Suspicion {
  readonly cause: SuspicionCause
  /** RFC 3339. It names the suspicion: witnesses answer with it. */
  readonly since: string
  readonly isCondemned: boolean
  /** `suspected`, and `reachable` where others are asked. */
  readonly conditions: readonly Condition[]
}

export const suspectedCondition = 'suspected'

export function judgeSuspicion(evidence: SuspicionEvidence): Suspicion {
  const { cause, before, now } = evidence
  const known = before.find(({ type, reason }) => type === suspectedCondition && reason.startsWith(cause))
  const since = known?.changedAt ?? evidence.beganAt ?? new Date(now).toISOString()
  const isOverdue = now - Date.parse(since) >= evidence.suspectAfterSeconds * 1000
  const isMissed = cause === 'ownWord' || isMissedByAll(evidence)
  const isCondemned = isOverdue && isMissed
  return { cause, since, isCondemned, conditions: describe(evidence, since, isCondemned) }
}

/** Against somebody who sees its kernel there count only those who looked for its haproxy. */
function isMissedByAll({ testimonies, witnessesNeeded }: SuspicionEvidence): boolean {
  const { reached, seen, unserved, missed } = testimonies
  const counted = seen.length > 0 ? unserved : [...unserved, ...missed]
  return reached.length === 0 && counted.length >= witnessesNeeded
}

/** So far as anybody could tell. */
export const isReached = ({ reached, seen, unserved }: Testimonies): boolean =>
  reached.length > 0 || (seen.length > 0 && unserved.length === 0)

/** What is still suspected of, by the recorded status, and for how long; null: nothing that others can be asked about. */
export function findOpenQuestion(conditions: readonly Condition[]): { readonly since: string } | null {
  const suspected = conditions.find(({ type }) => type === suspectedCondition)
  if (suspected === undefined || suspected.reason.startsWith('ownWord' satisfies SuspicionCause)) return null
  return { since: suspected.changedAt }
}

export const isRecordedAsCondemned = (conditions: readonly Condition[]): boolean =>
  conditions.some(({ type, reason }) => type === suspectedCondition && reason.endsWith(condemnedSuffix))

/** The reason tells it, so that an operator sees it without reading the sentence. */
const condemnedSuffix = 'Condemned'

function describe(evidence: SuspicionEvidence, since: string, isCondemned: boolean): readonly Condition[] {
  const { cause, message } = evidence
  const reason = isCondemned ? `${cause}${condemnedSuffix}` : cause
  const suspected: Condition = { type: suspectedCondition, status: 'true', reason, message, changedAt: since }
  return cause === 'ownWord' ? [suspected] : [suspected, describeReachable(evidence)]
}

function describeReachable({ before, now, uplinkAddress, testimonies }: SuspicionEvidence): Condition {
  const { reached, seen, unserved, missed, blind } = testimonies
  const say = (names: readonly string[], words: string) => (names.length > 0 ? [`${listNames(names)} ${words}.`] : [])
  const words = [
    ...say([...reached, ...seen], `${reached.length + seen.length > 1 ? 'reach' : 'reaches'} ${uplinkAddress}`),
    ...say(unserved, `can't reach its haproxy at ${uplinkAddress}, where its kernel answers`),
    ...say(missed, `can't reach ${uplinkAddress}`),
    ...say(blind, "can't reach anybody"),
  ]
  const status = isReached(testimonies) ? 'true' : unserved.length + missed.length > 0 ? 'false' : 'unknown'
  const reason = {
    true: 'answers',
    false: unserved.length > 0 ? 'haproxySilent' : 'noAnswer',
    unknown: blind.length > 0 ? 'blind' : 'beingAsked',
  }[status]
  const known = before.find(({ type }) => type === 'reachable')
  const changedAt = known?.reason === reason ? known.changedAt : new Date(now).toISOString()
  return { type: 'reachable', status, reason, message: words.join(' ') || 'Other hosts are being asked.', changedAt }
}

const listNames = (names: readonly string[]) => names.toSorted().join(' and ')
