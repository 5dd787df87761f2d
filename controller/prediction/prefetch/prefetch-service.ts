/** Answers questions about what users will do next and what is read ahead for them, and has the switches. Touches the store. */

import { refuseNotFound, refuseUnavailable } from '../../access/problems.ts'
import type {
  ActionProbabilities,
  NextActionQuestion,
  PrefetchChange,
  PrefetchExplanation,
  PrefetchView,
} from '../../contract/prefetch.ts'
import { type Outcome, refuse, succeed } from '../../contract/problem.ts'
import { applyTransaction } from '../../control-plane/apply-outcome.ts'
import type { ShardKey } from '../../control-plane/shard-key.ts'
import { retryAfterSeconds, write } from '../../control-plane/store.ts'
import { tokenKind } from '../../objects.ts'
import type { ControllerContext, RequestInfo } from '../../services.ts'
import type { NextActionModel } from '../next-action/next-action-model.ts'
import type { ActionLog } from './action-log.ts'
import type { Judged } from './plan-prefetch.ts'
import { firstSetting, type PrefetchSettingValue, prefetchSettingId, prefetchSettingKind } from './prefetch-setting.ts'
import type { Prefetcher } from './prefetcher.ts'
import type { CachedRead, ReadCache } from './read-cache.ts'
import { describeKey } from './read-name.ts'
import type { ReadStatistics } from './read-statistics.ts'

export interface PrefetchService {
  predict(question: NextActionQuestion, request: RequestInfo): Promise<Outcome<ActionProbabilities>>
  show(): PrefetchView
  change(change: PrefetchChange, request: RequestInfo): Promise<Outcome<PrefetchView>>
  explain(userAccountId: string): Promise<Outcome<PrefetchExplanation>>
}

export interface PrefetchServiceOptions {
  readonly context: Pick<ControllerContext, 'store' | 'now'>
  readonly cache: ReadCache<unknown>
  readonly statistics: ReadStatistics
  readonly model: NextActionModel
  readonly sequence: () => number
  readonly prefetcher: Prefetcher
  readonly log: Pick<ActionLog, 'counts'>
  readonly setting: () => PrefetchSettingValue
  readonly limits: PrefetchLimits
  readonly microshardOf: (shardKey: ShardKey) => string | null
  /** Milliseconds, on the monotonic clock of the cache. */
  readonly monotonic: () => number
}

export interface PrefetchLimits {
  readonly isAllowedHere: boolean
  readonly ageSecondsMaximum: number
  readonly bytesMaximum: number
}

const entriesShownMaximum = 200

export function createPrefetchService(options: PrefetchServiceOptions): PrefetchService {
  const { context, cache, statistics, model, prefetcher, limits, monotonic } = options
  const { store } = context

  function show(): PrefetchView {
    return {
      ...options.setting(),
      ...limits,
      bytes: cache.bytes(),
      reads: statistics.counts(),
      model: { ...model.size(), sequence: options.sequence() },
      log: options.log.counts(),
      entries: cache.list().toReversed().slice(0, entriesShownMaximum).map(viewEntry),
    }
  }

  function viewEntry({ key, actionType, basis, readAt, bytes, timesServed, reason }: CachedRead<unknown>) {
    const ageMilliseconds = monotonic() - readAt
    const { shardKey, source, version } = basis
    const prefetched = reason.kind === 'prefetched' ? reason : null
    return {
      microshard: shardKey === null ? null : options.microshardOf(shardKey),
      ...describeKey(key),
      ...{ actionType, source, version, bytes, timesServed },
      readAt: new Date(context.now() - ageMilliseconds).toISOString(),
      ageSeconds: ageMilliseconds / 1000,
      reason: reason.kind,
      userAccountId: prefetched?.userAccountId ?? null,
      probability: prefetched?.probability ?? null,
      valueMilliseconds: prefetched?.value ?? null,
    }
  }

  return {
    show,

    async predict({ userAccountId, recentActions, resourceUsage }, { caller }) {
      if (caller.scope !== 'admin') {
        const token = await store.get(tokenKind, userAccountId).catch(() => null)
        if (token === null || token.value.projectId !== caller.projectId) return refuseNotFound('token', userAccountId)
      }
      const recent = recentActions?.map(({ actionType, at }, i, all) => ({
        actionType,
        at: Date.parse(at),
        ...(i === all.length - 1 && resourceUsage !== undefined
          ? { resourceUsage: withoutUndefined(resourceUsage) }
          : {}),
      }))
      return succeed([...model.predict({ userAccountId, ...(recent === undefined ? {} : { recentActions: recent }) })])
    },

    async change({ isOn, logsActions }, request) {
      const before = await store.get(prefetchSettingKind, prefetchSettingId, { latest: true })
      const was = before?.value ?? firstSetting
      const value = { isOn: isOn ?? was.isOn, logsActions: logsActions ?? was.logsActions }
      const outcome = await applyTransaction(context, {
        writes: [
          write({ kind: prefetchSettingKind, id: prefetchSettingId, expect: before?.version ?? 'absent', value }),
        ],
        actionId: request.actionId,
        traceparent: request.traceparent,
      })
      switch (outcome.kind) {
        case 'done':
          return succeed(show())
        case 'failed':
          return refuseUnavailable(outcome.reason, retryAfterSeconds)
        case 'overtaken':
          return refuse({
            code: 'conflict',
            title: 'It was switched at the same moment',
            detail: 'Somebody else has changed the switches of prefetching since they were read.',
            remedy: 'Look at them, and ask again.',
          })
        default:
          return outcome satisfies never
      }
    },

    async explain(userAccountId) {
      const token = await store.get(tokenKind, userAccountId).catch(() => null)
      if (token === null) return refuseNotFound('token', userAccountId)
      const { scope, projectId } = token.value
      const candidates = await prefetcher.explain({ userAccountId, scope, projectId })
      return succeed({
        userAccountId,
        next: [...model.predict({ userAccountId })],
        candidates: candidates.map(viewCandidate),
      })
    },
  }
}

const viewCandidate = ({
  name,
  way,
  probability,
  savedMilliseconds,
  validity,
  costMilliseconds,
  value,
  decision,
}: Judged) => ({
  ...{ actionType: name.actionType, parameters: { ...name.parameters }, query: { ...name.query } },
  ...{ way, probability, savedMilliseconds, validity, costMilliseconds, valueMilliseconds: value, decision },
})

type Defined<Fields> = { [Field in keyof Fields]?: Exclude<Fields[Field], undefined> }

/** What is left out of a body and what is undefined in it are the same. */
function withoutUndefined<Fields extends object>(fields: Fields): Defined<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<Fields>
}
