/** What the breaker is from now on, and that it is recorded. Pure. */

import { createNamedId } from '../../control-plane/shard-key.ts'
import { type EventDraft, write } from '../../control-plane/store.ts'
import { breakerKind, systemClient } from '../../objects.ts'
import type { JudgedInstance } from '../../reconcile/judge-instance.ts'
import type { ReconcileOperation } from '../../reconcile/operation.ts'
import { closedBreaker, judgeBreaker, listFailingHosts } from './judge-breaker.ts'
import type { LifeSettings } from './life-settings.ts'
import type { BreakerValue } from './life-values.ts'
import type { WitnessTurn } from './testimonies.ts'

export const breakerId = createNamedId(breakerKind.prefix, systemClient, 'breaker')

export interface BreakerTurn extends WitnessTurn {
  readonly judged: ReadonlyMap<string, JudgedInstance>
  readonly life: LifeSettings
  readonly now: number
}

export interface PlannedBreaker {
  readonly isOpen: boolean
  readonly operations: readonly ReconcileOperation[]
}

export function planBreaker(turn: BreakerTurn): PlannedBreaker {
  const { snapshot, hosts, judged, life, now } = turn
  const recorded = snapshot.breakers.get(breakerId)
  const before = recorded?.value ?? closedBreaker(now)
  const hostCount = [...hosts.values()].filter(({ status }) => status !== 'awaiting-join').length
  const failing = listFailingHosts(turn, judged)
  const value = judgeBreaker({ before, failing, hostCount, settings: life, now })
  const isOpen = value.status === 'open'
  if (value === before) return { isOpen, operations: [] }
  return {
    isOpen,
    operations: [
      {
        kind: 'recordStatus',
        write: write({ kind: breakerKind, id: breakerId, expect: recorded?.version ?? 'absent', value }),
        events: value.status === before.status ? [] : [describeChange(value)],
      },
    ],
  }
}

export const describeChange = ({ status, reason, hostIds }: BreakerValue): EventDraft =>
  status === 'open'
    ? { type: 'breaker.opened', projectId: null, subject: breakerId, data: { reason, hostIds: [...hostIds] } }
    : { type: 'breaker.closed', projectId: null, subject: breakerId, data: { reason } }
