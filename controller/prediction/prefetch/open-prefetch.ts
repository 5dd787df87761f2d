/**
 * The room of prefetching, open: the log of actions and what is learned of it, the cache of reads and what outdates it,
 * and what is read ahead. Everything that it opens it closes.
 */

import type { NatsConnection } from '@nats-io/transport-node'
import type { EventList } from '../../control-plane/list-events.ts'
import type { ShardKey } from '../../control-plane/shard-key.ts'
import type { Change } from '../../control-plane/store.ts'
import { type CachedReads, createCachedReads } from '../../routes/cached-reads.ts'
import type { Answer } from '../../routes/route.ts'
import type { ControllerContext } from '../../services.ts'
import { type ActionLog, ensureActionStream, openActionLog } from './action-log.ts'
import type { ActionRecord } from './action-record.ts'
import { watchEvents } from './event-watch.ts'
import { openLearner } from './learner.ts'
import { createPrefetchService, type PrefetchService } from './prefetch-service.ts'
import { type PrefetchSettingValue, prefetchSettingKind, readPrefetchSetting } from './prefetch-setting.ts'
import type { PrefetchSettings } from './prefetch-settings.ts'
import { createGaps, createPrefetcher } from './prefetcher.ts'
import { type Basis, createReadCache } from './read-cache.ts'
import { createReadStatistics } from './read-statistics.ts'
import { createTargets } from './targets.ts'

/** What routes are given. */
export interface Prefetch {
  readonly service: PrefetchService
  readonly reads: Pick<CachedReads, 'wrap'>
  /** Returns at once; does nothing while it is switched off. */
  note(action: ActionRecord): void
}

export interface PrefetchRoom extends Prefetch {
  readonly events: {
    basisOf(projectId: string | undefined, list: EventList): Basis
    noteShown(subject: string, sequence: number): void
  }
  close(): Promise<void>
}

export interface PrefetchRoomOptions {
  readonly context: Pick<ControllerContext, 'store' | 'now' | 'random' | 'logger'>
  readonly connection: NatsConnection
  readonly replicas: number
  /** By which this controller is known to the others. */
  readonly controller: string
  readonly stateFolder: string
  readonly settings: PrefetchSettings
  readonly microshardOf: (shardKey: ShardKey) => string | null
}

export async function openPrefetch(options: PrefetchRoomOptions): Promise<PrefetchRoom> {
  const { context, connection, controller, settings } = options
  const { store, logger } = context
  const monotonic = () => performance.now()
  const { ageSecondsMaximum, bytesMaximum, isAllowed, budgetShare, price } = settings
  const statistics = createReadStatistics()
  const cache = createReadCache<Answer>({
    bytesMaximum,
    ageMillisecondsMaximum: 1000 * ageSecondsMaximum,
    now: monotonic,
    onDropped: (entry, why) => statistics.noteDropped(entry, why, monotonic() - entry.readAt),
  })
  let setting = readPrefetchSetting(store)
  const isOn = () => isAllowed && setting.isOn
  const unsubscribe = store.subscribe((changes) => {
    for (const { object } of changes) cache.outdate(`${object.kind}/${object.id}`, object.version)
    const changed = findSetting(changes)
    if (changed !== undefined) setting = changed
    if (changed !== undefined && !isOn()) cache.clear()
  })
  await ensureActionStream(connection, options.replicas)
  const log: ActionLog = openActionLog({ connection, controller, now: monotonic })
  const targets = createTargets()
  const gaps = createGaps()
  const reads = createCachedReads({ cache, statistics, context, isOn, monotonic })
  const learner = await openLearner({
    connection,
    file: `${options.stateFolder}/next-action-model.json`,
    logger,
    onAction(action, from) {
      const { userAccountId, actionType, parameters, query, isRead } = action
      targets.observe({ userAccountId, audience: action, isRead, name: { actionType, parameters, query } })
      gaps.note(userAccountId, action.at)
      const isOurs = from.controller === controller && from.isLive
      if (isOurs && isOn()) void prefetcher.onAction(action)
    },
  })
  const { model, sequence } = learner
  const maker = reads
  const prefetcher = createPrefetcher({
    ...{ model, targets, statistics, maker, gaps, ageSecondsMaximum, budgetShare, price },
    now: monotonic,
  })
  const events = watchEvents({
    connection,
    cache,
    onTrouble: (trouble) => logger.warn({ err: trouble }, 'lists of events are kept in memory no more'),
  })
  const limits = { isAllowedHere: isAllowed, ageSecondsMaximum, bytesMaximum }
  const { microshardOf } = options
  return {
    reads,
    events,
    service: createPrefetchService({
      ...{ context, cache, statistics, model, sequence, prefetcher, log, limits, microshardOf, monotonic },
      setting: () => setting,
    }),
    note(action) {
      if (settings.isLogAllowed && setting.logsActions) log.note(action)
    },
    async close() {
      unsubscribe()
      await log.close()
      await Promise.all([learner.close(), events.close()])
    },
  }
}

const findSetting = (changes: readonly Change[]): PrefetchSettingValue | undefined => {
  const found = changes.findLast(({ object }) => object.kind === prefetchSettingKind.name)?.object.value
  return found === null ? undefined : (found as PrefetchSettingValue | undefined)
}
