/**
 * What a user will do next: counts of what followed on what, of the user's own and of all users', mixed by weights that
 * are learned as it goes. Each action is learned after it has happened and never before; memory is bounded, the users not
 * seen for longest going first. Touches nothing but memory.
 */

import { type ActionProbability, gapBucket, type RecentAction, type UserAction, usageBucket } from './action.ts'
import { type Action, type ContextCounts, createContextCounts, type SavedCounts } from './context-counts.ts'
import { ages, gatherCandidates, gatherEvidence, trusts } from './evidence.ts'
import { createMixer, type Evidence } from './mixer.ts'
import { createNames } from './names.ts'
import type { SavedModel } from './saved-model.ts'
import { hashContext, type Place, placeActions, slots } from './slots.ts'

export interface NextActionModel {
  /** Learns what has happened. */
  observe(action: UserAction): void
  /** The likeliest first; what is missing to 1 is for all others, those never seen among them. */
  predict(question: Question): readonly ActionProbability[]
  size(): ModelSize
  save(): SavedModel
}

export interface Question {
  readonly userAccountId: string
  /** Oldest first, in place of those that the model has seen of the user; unknown ones are taken as such. */
  readonly recentActions?: readonly RecentAction[]
  readonly limit?: number
}

export interface ModelSize {
  readonly users: number
  readonly contexts: number
  readonly actionTypes: number
}

export interface ModelOptions {
  readonly usersMaximum?: number
  /** Of all users together. */
  readonly userContextsMaximum?: number
  readonly sharedContextsMaximum?: number
  readonly actionTypesMaximum?: number
  /** Slots by their names, to see what each is worth. */
  readonly leftOut?: readonly string[]
  readonly saved?: SavedModel
}

export const modelLimits = {
  usersMaximum: 4_096,
  userContextsMaximum: 40_000,
  sharedContextsMaximum: 40_000,
  actionTypesMaximum: 4_096,
} as const

const recentMaximum = 64
const limitDefault = 10
/** How much of a count is left when another of its context is added. */
const userDecay = 0.9
const sharedDecay = 0.97
/** How fast the share of actions that were no candidates is followed. */
const noveltyRate = 0.02

interface User {
  readonly counts: ContextCounts
  /** Newest first. */
  readonly recent: Known[]
}

interface Known {
  readonly action: Action
  readonly at: number
  readonly usage: number
}

interface Guess {
  readonly candidates: readonly Action[]
  readonly evidence: Evidence
  readonly probabilities: Float64Array
}

export function createNextActionModel(options: ModelOptions = {}): NextActionModel {
  const { saved, leftOut = [], ...limits } = { ...modelLimits, ...options }
  const isUsed = slots.map(({ name }) => !leftOut.includes(name))
  const names = createNames(limits.actionTypesMaximum, saved?.names)
  const countsOf = (contextsMaximum: number, decay: number, counts?: SavedCounts) =>
    createContextCounts({ contextsMaximum, decay }, counts)
  const shared = countsOf(limits.sharedContextsMaximum, sharedDecay, saved?.shared)
  const mixer = createMixer(firstWeights(), saved?.mixer)
  const users = new Map<string, User>()
  let novelty = saved?.novelty ?? 0.5
  let userContexts = 0
  for (const { userAccountId, recent, counts } of saved?.users ?? []) {
    const user = { counts: countsOf(limits.userContextsMaximum, userDecay, counts), recent: [...recent] }
    users.set(userAccountId, user)
    userContexts += user.counts.size()
  }
  keepBounds()

  /** By slot: the number of its context at a place; null: it has none there. */
  const listContexts = (place: Place) =>
    slots.map((slot, i) => {
      const parts = isUsed[i] === true ? slot.partsOf(place) : null
      return parts === null ? null : hashContext(i, parts)
    })

  const countsIn = (slot: number, user: User | undefined) => (slots[slot]?.of === 'user' ? user?.counts : shared)

  function guess(user: User | undefined, contexts: readonly (number | null)[], recent: readonly Known[]): Guess {
    const found = contexts.map((context, i) => (context === null ? undefined : countsIn(i, user)?.find(context)))
    const candidates = gatherCandidates(found)
    const known = recent.map(({ action }) => action)
    const evidence = gatherEvidence(candidates, found, known)
    return { candidates, evidence, probabilities: mixer.weigh(evidence) }
  }

  /** Forgets whole users, those not seen for longest first, until there is room; of the last one what is oldest. */
  function keepBounds(): void {
    for (const [id, { counts }] of users) {
      if (users.size <= limits.usersMaximum && userContexts <= limits.userContextsMaximum) return
      if (users.size === 1) {
        while (userContexts > limits.userContextsMaximum) {
          counts.dropOldest()
          userContexts--
        }
        return
      }
      users.delete(id)
      userContexts -= counts.size()
    }
  }

  /** What callers say they have done. */
  const describeRecent = (actions: readonly RecentAction[]): readonly Known[] =>
    actions
      .slice(-recentMaximum)
      .map(({ actionType, at, resourceUsage }) => ({
        action: names.find(actionType),
        at,
        usage: usageBucket(resourceUsage),
      }))
      .toReversed()

  return {
    observe({ userAccountId, actionType, at, resourceUsage }) {
      const action = names.number(actionType)
      const user = users.get(userAccountId) ?? {
        counts: countsOf(limits.userContextsMaximum, userDecay),
        recent: [],
      }
      users.delete(userAccountId)
      users.set(userAccountId, user)
      const contexts = listContexts(describePlace(user.recent))
      // What has no number can't be told from others: it is no candidate, and is learned by what follows on it alone.
      if (action !== names.unknown) {
        const { candidates, evidence, probabilities } = guess(user, contexts, user.recent)
        const actual = candidates.indexOf(action)
        novelty += noveltyRate * ((actual < 0 ? 1 : 0) - novelty)
        if (actual >= 0) mixer.learn(evidence, probabilities, actual)
        const before = user.counts.size()
        for (const [i, context] of contexts.entries()) {
          if (context !== null) countsIn(i, user)?.add(context, action)
        }
        userContexts += user.counts.size() - before
      }
      user.recent.unshift({ action, at, usage: usageBucket(resourceUsage) })
      if (user.recent.length > recentMaximum) user.recent.length = recentMaximum
      keepBounds()
    },

    predict({ userAccountId, recentActions, limit = limitDefault }) {
      const user = users.get(userAccountId)
      const recent = recentActions === undefined ? (user?.recent ?? []) : describeRecent(recentActions)
      const { candidates, probabilities } = guess(user, listContexts(describePlace(recent)), recent)
      return candidates
        .map((action, i) => ({ actionType: names.name(action), probability: (probabilities[i] ?? 0) * (1 - novelty) }))
        .toSorted((a, b) => b.probability - a.probability)
        .slice(0, limit)
    },

    size: () => ({ users: users.size, contexts: userContexts + shared.size(), actionTypes: names.size() }),

    save: () => ({
      names: names.save(),
      shared: shared.save(),
      mixer: mixer.save(),
      novelty,
      users: [...users].map(([userAccountId, { counts, recent }]) => ({
        userAccountId,
        recent: [...recent],
        counts: counts.save(),
      })),
    }),
  }
}

/** A context of which much was counted is believed more. */
function firstWeights(): readonly number[] {
  const ofSlots = slots.flatMap(({ firstWeight }) =>
    Array.from({ length: trusts }, (_, trust) => (firstWeight * (trust + 1)) / trusts),
  )
  return [...ofSlots, ...Array.from({ length: ages }, () => 0)]
}

function describePlace(recent: readonly Known[]): Place {
  const [latest, before] = recent
  return {
    recent: recent.slice(0, placeActions).map(({ action }) => action),
    gap: latest === undefined ? 0 : gapBucket(before?.at, latest.at),
    hour: hourOf(latest?.at ?? Number.NaN),
    usage: latest?.usage ?? 0,
  }
}

function hourOf(at: number): number {
  const hour = Math.floor(at / 3_600_000) % 24
  return Number.isNaN(hour) ? -1 : (hour + 24) % 24
}
