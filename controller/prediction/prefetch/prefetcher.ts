/**
 * Reads ahead what a user's next action will probably read: asks the model what is next, finds which reads that could be,
 * has them planned by their value, and makes them, few at a time and within a budget. What it needs of the world it is
 * given.
 */

import type { NextActionModel } from '../next-action/next-action-model.ts'
import type { ActionRecord } from './action-record.ts'
import { type Candidate, type Judged, planPrefetch } from './plan-prefetch.ts'
import { type Audience, type ReadName, readKey } from './read-name.ts'
import type { ReadStatistics } from './read-statistics.ts'
import type { Targets } from './targets.ts'

export interface PrefetchUser extends Audience {
  readonly userAccountId: string
}

/** Who can make reads for others. */
export interface ReadMaker {
  /** False: it is answered out of memory anyway, or is no read. */
  isTarget(name: ReadName): boolean
  isCached(key: string): Promise<boolean>
  /** Reads, and keeps the answer; never rejects. Resolves to how long it took. */
  make(
    name: ReadName,
    user: PrefetchUser,
    why: { readonly probability: number; readonly value: number },
  ): Promise<number>
}

export interface Prefetcher {
  /** Someone did something here; what comes next is read ahead. Never rejects. */
  onAction(record: ActionRecord): Promise<void>
  /** What would be read ahead for a user now, and why. */
  explain(user: PrefetchUser): Promise<readonly Judged[]>
}

export interface PrefetcherOptions {
  readonly model: Pick<NextActionModel, 'predict'>
  readonly targets: Targets
  readonly statistics: ReadStatistics
  readonly maker: ReadMaker
  readonly gaps: Gaps
  readonly ageSecondsMaximum: number
  /** What it may spend: this share of the time that passes. */
  readonly budgetShare: number
  /** How many milliseconds of waiting a millisecond of extra reading must save. */
  readonly price: number
  /** Milliseconds, on the monotonic clock. */
  readonly now: () => number
}

/** How long users take to their next action. */
export interface Gaps {
  note(userAccountId: string, at: number): void
  secondsOf(userAccountId: string): number
}

const readsOfActionMaximum = 3
const readsUnderWayMaximum = 4
const actionsAskedFor = 6
const waysOfActionMaximum = 2
/** What is saved up while nothing is to be read. */
const budgetSecondsMaximum = 5

export function createPrefetcher(options: PrefetcherOptions): Prefetcher {
  const { model, targets, statistics, maker, gaps, now, budgetShare } = options
  const budgetMaximum = 1000 * budgetShare * budgetSecondsMaximum
  const underWay = new Set<string>()
  let budget = budgetMaximum
  let countedAt = now()

  function currentBudget(): number {
    const at = now()
    budget = Math.min(budgetMaximum, budget + budgetShare * Math.max(0, at - countedAt))
    countedAt = at
    return budget
  }

  async function judge(user: PrefetchUser): Promise<readonly Judged[]> {
    const next = model.predict({ userAccountId: user.userAccountId, limit: actionsAskedFor })
    const candidates: Candidate[] = []
    for (const { actionType, probability } of next) {
      const likely = targets.list({ ...user, audience: user }, actionType).filter(({ name }) => maker.isTarget(name))
      for (const target of likely.slice(0, waysOfActionMaximum)) {
        const key = readKey(target.name, user)
        candidates.push({
          name: target.name,
          key,
          way: target.way,
          probability: probability * target.probability,
          ...statistics.kindOf(actionType),
          isCached: underWay.has(key) || (await maker.isCached(key)),
        })
      }
    }
    return planPrefetch(candidates, {
      gapSeconds: gaps.secondsOf(user.userAccountId),
      ageSecondsMaximum: options.ageSecondsMaximum,
      hitMilliseconds: statistics.hitMilliseconds(),
      price: options.price,
      budgetMilliseconds: currentBudget(),
      readsMaximum: Math.max(0, Math.min(readsOfActionMaximum, readsUnderWayMaximum - underWay.size)),
    })
  }

  async function make(user: PrefetchUser, judged: Judged): Promise<void> {
    underWay.add(judged.key)
    // What it will have cost is known afterwards: until then it counts as what it usually does.
    budget -= judged.readMilliseconds
    const { probability, value } = judged
    const took = await maker.make(judged.name, user, { probability, value })
    budget += judged.readMilliseconds - took
    statistics.notePrefetched(took)
    underWay.delete(judged.key)
  }

  return {
    explain: judge,
    async onAction({ userAccountId, scope, projectId }) {
      const user = { userAccountId, scope, projectId }
      const planned = await judge(user)
      const wanted = planned.filter(({ decision, key }) => decision === 'prefetch' && !underWay.has(key))
      await Promise.all(wanted.map((judged) => make(user, judged)))
    },
  }
}

const usersMaximum = 4_096
/** Whoever comes back after longer begins anew. */
const gapSecondsMaximum = 300
const gapSecondsDefault = 5
const gapWeight = 0.2

export function createGaps(): Gaps {
  const users = new Map<string, { at: number; seconds: number }>()
  return {
    note(userAccountId, at) {
      const known = users.get(userAccountId)
      const seconds = known === undefined ? Number.NaN : (at - known.at) / 1000
      // A clock that jumps says nothing of how long anybody took.
      const isGap = seconds >= 0 && seconds <= gapSecondsMaximum
      const before = known?.seconds ?? gapSecondsDefault
      users.delete(userAccountId)
      users.set(userAccountId, { at, seconds: isGap ? before + gapWeight * (seconds - before) : before })
      const oldest = users.keys().next()
      if (users.size > usersMaximum && oldest.done !== true) users.delete(oldest.value)
    },
    secondsOf: (userAccountId) => users.get(userAccountId)?.seconds ?? gapSecondsDefault,
  }
}
