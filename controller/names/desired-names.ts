/** Which names there should be, and which VIPs could be listed under each: desired state and reports in, names out. Pure. */

import type { InstanceReport } from '../../agent/contract/host-report.ts'
import type { StoredObject } from '../control-plane/store.ts'
import { isStaying } from '../load-balancing/scaling/advance-slots.ts'
import type { InstanceValue, LoadBalancerSlotsValue, LoadBalancerValue, ProjectValue } from '../objects.ts'
import { findInstanceReport } from '../observed/report-index.ts'
import type { JudgedHost } from '../reconcile/judge-hosts.ts'
import { assignLabels } from './label.ts'
import type { LoadBalancerNameValue } from './name-object.ts'
import type { DesiredName, VipVerdict } from './plan-names.ts'

type ById<Value> = ReadonlyMap<string, StoredObject<Value>>

export interface NamesSnapshot {
  readonly projects: ById<ProjectValue>
  readonly loadBalancers: ById<LoadBalancerValue>
  readonly slots: ById<LoadBalancerSlotsValue>
  readonly instances: ById<InstanceValue>
  readonly names: ById<LoadBalancerNameValue>
}

export interface LabelledName extends DesiredName {
  readonly projectId: string
  readonly name: string
  readonly label: string
}

/** @param hosts by id, as they are heard */
export function listDesiredNames(
  snapshot: NamesSnapshot,
  hosts: ReadonlyMap<string, JudgedHost>,
  zone: string,
): readonly LabelledName[] {
  const instancesOf = Map.groupBy(snapshot.instances.values(), ({ value }) => value.loadBalancerId)
  const balancersOf = Map.groupBy(snapshot.loadBalancers.values(), ({ value }) => value.projectId)
  return [...balancersOf].flatMap(([projectId, balancers]) => {
    const slug = snapshot.projects.get(projectId)?.value.slug
    if (slug === undefined) return []
    const labels = labelBalancers(balancers, snapshot.names)
    return balancers.flatMap(({ id, value: { name, deletingSince } }): LabelledName[] => {
      const label = labels.get(id)
      if (label === undefined || deletingSince !== undefined) return []
      const slots = (snapshot.slots.get(id)?.value.slots ?? []).filter(isStaying)
      const reports = (instancesOf.get(id) ?? []).map((instance) => reportOf(instance, hosts))
      const vips = slots.map(({ vip }) => ({ address: vip, verdict: judgeVip(vip, reports) }))
      return [{ loadBalancerId: id, projectId, name, label, dnsName: dnsNameOf(label, slug, zone), vips }]
    })
  })
}

/** By id. @param balancers of one project */
export function labelBalancers(
  balancers: readonly StoredObject<LoadBalancerValue>[],
  names: ById<LoadBalancerNameValue>,
): ReadonlyMap<string, string> {
  const oldestFirst = balancers.toSorted((a, b) => compare(a.createdAt, b.createdAt) || compare(a.id, b.id))
  return assignLabels(
    oldestFirst.map(({ id, value }) => ({ id, name: value.name, label: names.get(id)?.value.label ?? null })),
  )
}

/** @example dnsNameOf('web', 'shop', 'example.net') // 'web.shop.example.net' */
export const dnsNameOf = (label: string, slug: string, zone: string): string => `${label}.${slug}.${zone}`

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

/** `unheard`: its host has not been listened to for long enough to tell. Null: it says nothing, or has been silent. */
function reportOf(
  { id, value }: StoredObject<InstanceValue>,
  hosts: ReadonlyMap<string, JudgedHost>,
): InstanceReport | 'unheard' | null {
  const hearing = hosts.get(value.hostId)?.hearing
  if (hearing?.kind === 'unheard') return 'unheard'
  return hearing?.kind === 'heard' ? (findInstanceReport(hearing.report, id) ?? null) : null
}

/** A VIP serves wherever it is: while its own instance is away, a partner has it. */
function judgeVip(vip: string, reports: readonly (InstanceReport | 'unheard' | null)[]): VipVerdict {
  const holders = reports.filter((report) => report !== 'unheard' && report?.heldVips.includes(vip) === true)
  const serving = holders.filter(
    (report): report is InstanceReport => typeof report === 'object' && report?.serving === true,
  )
  if (serving.some((report) => !findsAllDown(report))) return 'serves'
  if (serving.length > 0) return 'lame'
  return reports.includes('unheard') ? 'unknown' : 'dead'
}

/** Every member that it has is down, as its own checks see them: all that it can answer is an error. */
function findsAllDown({ members }: InstanceReport): boolean {
  const statuses = Object.values(members)
  return statuses.length > 0 && statuses.every((status) => status === 'unhealthy')
}
