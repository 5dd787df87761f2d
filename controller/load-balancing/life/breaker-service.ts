/** The breaker as an operator sees it and closes it. Only an admin does either: it is the rack's. */

import { refuseForbidden } from '../../access/problems.ts'
import type { Breaker } from '../../contract/breaker.ts'
import { type Outcome, refuse, succeed } from '../../contract/problem.ts'
import { applyTransaction } from '../../control-plane/apply-outcome.ts'
import { write } from '../../control-plane/store.ts'
import { breakerKind, hostKind, instanceKind, instanceStatusKind, loadBalancerKind } from '../../objects.ts'
import type { ControllerContext, RequestInfo } from '../../services.ts'
import { closedBreaker } from './judge-breaker.ts'
import { isRecordedAsCondemned, suspectedCondition } from './judge-suspicion.ts'
import { breakerId, describeChange } from './plan-breaker.ts'

export interface BreakerService {
  show(request: RequestInfo): Promise<Outcome<Breaker>>
  /** What has failed by now counts no more: it is replaced. One that is closed stays so. */
  reset(request: RequestInfo): Promise<Outcome<Breaker>>
}

type Context = Pick<ControllerContext, 'store' | 'now' | 'wake'>

export function createBreakerService(context: Context): BreakerService {
  return {
    async show({ caller }) {
      if (caller.scope !== 'admin') return refuseForbidden('see the breaker')
      return succeed(viewBreaker(context))
    },
    async reset(request) {
      if (request.caller.scope !== 'admin') return refuseForbidden('reset the breaker')
      const before = await context.store.get(breakerKind, breakerId, { latest: true })
      if (before === null || before.value.status === 'closed') return succeed(viewBreaker(context))
      const now = context.now()
      const value = { ...closedBreaker(now), reason: 'It was reset.', resetAt: new Date(now).toISOString() }
      const outcome = await applyTransaction(context, {
        writes: [write({ kind: breakerKind, id: breakerId, expect: before.version, value })],
        events: [describeChange(value)],
        traceparent: request.traceparent,
      })
      context.wake()
      if (outcome.kind === 'done') return succeed(viewBreaker(context))
      return refuse({
        code: outcome.kind === 'failed' ? 'unavailable' : 'conflict',
        title: 'The breaker was not reset',
        detail: outcome.kind === 'failed' ? outcome.reason : 'It changed at the same moment.',
        remedy: 'Look at it, and ask again.',
      })
    },
  }
}

function viewBreaker({ store }: Context): Breaker {
  const value = store.snapshot(breakerKind).find(({ id }) => id === breakerId)?.value
  const hosts = new Map(store.snapshot(hostKind).map((host) => [host.id, host.value.name]))
  return {
    status: value?.status ?? 'closed',
    reason: value?.reason ?? 'No hosts have failed together.',
    since: value?.since ?? null,
    hosts: (value?.hostIds ?? []).map((id) => hosts.get(id) ?? id),
    resetAt: value?.resetAt ?? null,
    heldBack: listHeldBack({ store }, hosts),
  }
}

function listHeldBack({ store }: Pick<Context, 'store'>, hosts: ReadonlyMap<string, string>): Breaker['heldBack'] {
  const condemned = new Map(
    store
      .snapshot(instanceStatusKind)
      .filter(({ value }) => isRecordedAsCondemned(value.conditions))
      .map(({ id, value }) => [id, value.conditions.find(({ type }) => type === suspectedCondition)?.message ?? '']),
  )
  if (condemned.size === 0) return []
  const names = new Map(store.snapshot(loadBalancerKind).map(({ id, value }) => [id, value.name]))
  return store.snapshot(instanceKind).flatMap(({ id, value }) => {
    const reason = condemned.get(id)
    const name = names.get(value.loadBalancerId)
    if (reason === undefined || name === undefined) return []
    const { loadBalancerId, slot, hostId } = value
    return [{ instanceId: id, loadBalancerId, loadBalancer: name, slot, host: hosts.get(hostId) ?? null, reason }]
  })
}
