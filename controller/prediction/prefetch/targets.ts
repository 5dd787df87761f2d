/**
 * Which reads an action that is likely to be next could be: the user's last one of its kind as it was, the same aimed at
 * what was just looked at, or one that others of the same audience make. How often each of these ways was right is counted
 * by the pair of actions. Bounded; touches nothing but memory.
 */

import { type Audience, aimAt, audienceOf, type ReadName, readKey, subjectsOf } from './read-name.ts'

/** One that was made, with whose it was. */
export interface MadeRead {
  readonly userAccountId: string
  readonly audience: Audience
  /** What is changed has no query and is no target, but is looked at as well. */
  readonly isRead: boolean
  readonly name: ReadName
}

export const ways = ['asBefore', 'aimed', 'asOthers'] as const
export type Way = (typeof ways)[number]

export interface Target {
  readonly name: ReadName
  readonly way: Way
  /** That it is this read, where it is that action. */
  readonly probability: number
}

export interface Targets {
  /** Says how well each way would have told it, and remembers it. */
  observe(made: MadeRead): void
  /** The likeliest first; none where nothing of the kind was ever read. */
  list(user: { readonly userAccountId: string; readonly audience: Audience }, actionType: string): readonly Target[]
}

const usersMaximum = 4_096
const readsOfUserMaximum = 64
const audiencesMaximum = 1_024
const pairsMaximum = 8_192
/** As if it had been tried so often before, with half of that right. */
const triesBefore = 2
/** What was counted long ago counts less. */
const triesMaximum = 64

interface Tally {
  tries: number
  right: number
}

interface User {
  readonly reads: Map<string, ReadName>
  last: MadeRead | null
}

export function createTargets(): Targets {
  const users = new Map<string, User>()
  /** By audience: the last read of each action. */
  const others = new Map<string, Map<string, ReadName>>()
  const tallies = new Map<string, Tally>()

  /** Each way's read, without those that come to the same. */
  function propose(userAccountId: string, audience: Audience, actionType: string): ReadonlyMap<Way, ReadName> {
    const user = users.get(userAccountId)
    const own = user?.reads.get(actionType)
    const ofOthers = others.get(audienceOf(audience))?.get(actionType)
    const subjects = user?.last == null ? new Map<string, string>() : subjectsOf(user.last.name)
    const aimed = own ?? ofOthers
    const proposed: [Way, ReadName | undefined][] = [
      ['aimed', aimed === undefined ? undefined : aimAt(aimed, subjects)],
      ['asBefore', own],
      ['asOthers', ofOthers],
    ]
    const seen = new Set<string>()
    const distinct = proposed.filter((entry): entry is [Way, ReadName] => {
      if (entry[1] === undefined) return false
      const key = readKey(entry[1], audience)
      return !seen.has(key) && seen.add(key) !== undefined
    })
    return new Map(distinct)
  }

  const tallyOf = (last: MadeRead | null | undefined, actionType: string, way: Way): Tally => {
    const key = `${last?.name.actionType ?? ''} ${actionType} ${way}`
    const tally = tallies.get(key) ?? { tries: 0, right: 0 }
    tallies.delete(key)
    tallies.set(key, tally)
    forgetOldest(tallies, pairsMaximum)
    return tally
  }

  return {
    observe(made) {
      const { userAccountId, audience, name, isRead } = made
      const user = users.get(userAccountId) ?? { reads: new Map<string, ReadName>(), last: null }
      users.delete(userAccountId)
      users.set(userAccountId, user)
      forgetOldest(users, usersMaximum)
      if (isRead) {
        const key = readKey(name, audience)
        for (const [way, read] of propose(userAccountId, audience, name.actionType)) {
          const tally = tallyOf(user.last, name.actionType, way)
          if (tally.tries >= triesMaximum) {
            tally.tries /= 2
            tally.right /= 2
          }
          tally.tries++
          if (readKey(read, audience) === key) tally.right++
        }
        user.reads.delete(name.actionType)
        user.reads.set(name.actionType, name)
        forgetOldest(user.reads, readsOfUserMaximum)
        const ofAudience = others.get(audienceOf(audience)) ?? new Map<string, ReadName>()
        others.delete(audienceOf(audience))
        others.set(audienceOf(audience), ofAudience)
        ofAudience.set(name.actionType, name)
        forgetOldest(ofAudience, readsOfUserMaximum)
        forgetOldest(others, audiencesMaximum)
      }
      user.last = made
    },
    list({ userAccountId, audience }, actionType) {
      const last = users.get(userAccountId)?.last
      return [...propose(userAccountId, audience, actionType)]
        .map(([way, name]) => {
          const { tries, right } = tallyOf(last, actionType, way)
          return { name, way, probability: (right + triesBefore / 2) / (tries + triesBefore) }
        })
        .toSorted((a, b) => b.probability - a.probability)
    },
  }
}

function forgetOldest<Key>(map: Map<Key, unknown>, most: number): void {
  const oldest = map.keys().next()
  if (map.size > most && oldest.done !== true) map.delete(oldest.value)
}
