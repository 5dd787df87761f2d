/** Prefetching for tests that have no bus: the real cache, model and prefetcher, told of actions one after the other. */

import { createCachedReads } from '../../routes/cached-reads.ts'
import type { Answer } from '../../routes/route.ts'
import type { ControllerContext } from '../../services.ts'
import { createNextActionModel, type NextActionModel } from '../next-action/next-action-model.ts'
import type { ActionRecord } from './action-record.ts'
import type { Prefetch } from './open-prefetch.ts'
import { createPrefetchService } from './prefetch-service.ts'
import { readPrefetchSetting } from './prefetch-setting.ts'
import { createGaps, createPrefetcher } from './prefetcher.ts'
import { createReadCache, type ReadCache } from './read-cache.ts'
import { createReadStatistics } from './read-statistics.ts'
import { createTargets } from './targets.ts'

export interface TestPrefetch extends Prefetch {
  readonly model: NextActionModel
  readonly cache: ReadCache<Answer>
  /** What was noted, in its order. */
  readonly actions: readonly ActionRecord[]
  /** Resolves when what was noted is learned and what follows from it is read ahead. */
  settle(): Promise<void>
}

export function createTestPrefetch(context: Pick<ControllerContext, 'store' | 'now' | 'random'>): TestPrefetch {
  const monotonic = context.now
  const statistics = createReadStatistics()
  const limits = { isAllowedHere: true, ageSecondsMaximum: 30, bytesMaximum: 1024 ** 2 }
  const cache = createReadCache<Answer>({ bytesMaximum: 1024 ** 2, ageMillisecondsMaximum: 30_000, now: monotonic })
  const setting = () => readPrefetchSetting(context.store)
  const isOn = () => setting().isOn
  const reads = createCachedReads({ cache, statistics, context, isOn, monotonic, later: (work) => work() })
  const model = createNextActionModel()
  const targets = createTargets()
  const gaps = createGaps()
  const prefetcher = createPrefetcher({
    ...{ model, targets, statistics, gaps },
    ...{ maker: reads, ageSecondsMaximum: 30, budgetShare: 1, price: 0.1, now: monotonic },
  })
  const actions: ActionRecord[] = []
  let settled = Promise.resolve()
  context.store.subscribe((changes) => {
    for (const { object } of changes) cache.outdate(`${object.kind}/${object.id}`, object.version)
  })
  return {
    ...{ model, cache, actions, reads },
    service: createPrefetchService({
      ...{ context, cache, statistics, model, prefetcher, setting, limits, monotonic },
      sequence: () => actions.length,
      log: { counts: () => ({ written: actions.length, lost: 0 }) },
      microshardOf: () => 'test',
    }),
    note(action) {
      if (!setting().logsActions) return
      actions.push(action)
      model.observe(action)
      const { userAccountId, actionType, parameters, query, isRead } = action
      targets.observe({ userAccountId, audience: action, isRead, name: { actionType, parameters, query } })
      gaps.note(userAccountId, action.at)
      if (isOn()) settled = Promise.all([settled, prefetcher.onAction(action)]).then(() => undefined)
    },
    settle: () => settled,
  }
}
