/** How a balancer's members fare, merged from what its instances report. Pure. */

import type { InstanceReport, MemberStatus } from '../../agent/contract/host-report.ts'

/**
 * By member id. A member is `healthy` when some instance finds it so and none finds otherwise, on every port: an
 * instance that can't reach it is trouble that the operator should see. Instances that don't serve have no say. Where those
 * that serve can't tell at the moment, as a check is under way, it stays as it was `before`.
 */
export function mergeMembers(
  memberIds: readonly string[],
  reports: readonly Pick<InstanceReport, 'serving' | 'members'>[],
  before: Readonly<Record<string, MemberStatus>> = {},
): Readonly<Record<string, MemberStatus>> {
  const found = new Map<string, Set<MemberStatus>>()
  for (const { serving, members } of reports) {
    if (!serving) continue
    for (const [key, status] of Object.entries(members)) {
      const id = key.slice(0, key.lastIndexOf(':'))
      found.set(id, (found.get(id) ?? new Set()).add(status))
    }
  }
  return Object.fromEntries(
    memberIds.map((id) => {
      const statuses = found.get(id)
      if (statuses === undefined) return [id, 'unknown']
      const worst = worstOf(statuses)
      return [id, worst === 'unknown' ? (before[id] ?? worst) : worst]
    }),
  )
}

function worstOf(statuses: ReadonlySet<MemberStatus>): MemberStatus {
  return (['unhealthy', 'draining', 'healthy'] as const).find((status) => statuses.has(status)) ?? 'unknown'
}
