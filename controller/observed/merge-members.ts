/** How a balancer's members fare, merged from what its instances report. Pure. */

import type { InstanceReport, MemberStatus } from '../../agent/contract/host-report.ts'
import type { RecordedMemberStatus } from '../objects.ts'

/**
 * By member id. A member is `healthy` when every instance that serves finds it so, on every port: one that can't reach it
 * is trouble that the operator should see. Instances that don't serve have no say. Where one that serves can't tell yet,
 * as its first check is under way or it has not heard of the member, and none finds fault, it stays as it was `before`.
 */
export function mergeMembers(
  memberIds: readonly string[],
  reports: readonly Pick<InstanceReport, 'serving' | 'members'>[],
  before: Readonly<Record<string, RecordedMemberStatus>> = {},
): Readonly<Record<string, MemberStatus>> {
  const found = new Map(memberIds.map((id) => [id, new Set<MemberStatus>()]))
  for (const { members } of reports.filter(({ serving }) => serving)) {
    const unheardOf = new Set(memberIds)
    for (const [key, status] of Object.entries(members)) {
      const id = key.slice(0, key.lastIndexOf(':'))
      unheardOf.delete(id)
      found.get(id)?.add(status)
    }
    for (const id of unheardOf) found.get(id)?.add('unknown')
  }
  return Object.fromEntries(
    [...found].map(([id, statuses]) => {
      if (statuses.size === 0) return [id, 'unknown']
      const worst = fromWorst.find((status) => statuses.has(status)) ?? 'unknown'
      const last = before[id]
      // One that has been taken in again after it had drained begins anew.
      return [id, worst === 'unknown' && last !== 'drained' ? (last ?? worst) : worst]
    }),
  )
}

const fromWorst = [
  'unhealthy',
  'unresolved',
  'draining',
  'unknown',
  'healthy',
] as const satisfies readonly MemberStatus[]

/** Whether any instance, serving or not, has something left of a member. */
export const isHeardOf = (memberId: string, reports: readonly Pick<InstanceReport, 'members'>[]) =>
  reports.some(({ members }) => Object.keys(members).some((key) => key.startsWith(`${memberId}:`)))
