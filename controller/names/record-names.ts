/**
 * What is to be recorded of names: of each balancer what its name lists now, and how it stands with that, with the events
 * of the change. Pure: what a turn found in, writes out.
 */

import type { Condition } from '../contract/common.ts'
import { type EventDraft, type StoredObject, type Write, write } from '../control-plane/store.ts'
import { stampConditions } from '../reconcile/conditions.ts'
import type { LabelledName } from './desired-names.ts'
import { type LoadBalancerNameValue, loadBalancerNameKind } from './name-object.ts'
import type { Trouble } from './name-server.ts'
import { chooseAddresses } from './plan-names.ts'

/** What a turn found of one name. */
export type NameFinding =
  /** The server has it so. */
  | { readonly kind: 'listed'; readonly dnsName: string; readonly addresses: readonly string[] }
  | { readonly kind: 'unlisted' }
  /** Somebody else has it. */
  | { readonly kind: 'taken'; readonly dnsName: string }
  /** The server could not be told; it is, later. */
  | { readonly kind: 'queued'; readonly trouble: Pick<Trouble, 'reason' | 'message'> }

export interface NameRecord {
  readonly write: Write
  readonly events: readonly EventDraft[]
}

/** Null: there is nothing new to record. */
export function recordName(
  desired: LabelledName,
  before: StoredObject<LoadBalancerNameValue> | undefined,
  finding: NameFinding,
  now: number,
): NameRecord | null {
  const { loadBalancerId: id, projectId, name, label } = desired
  const listed = listedNow(finding, before?.value)
  const isSameList = before !== undefined && Bun.deepEquals(listed, listedBefore(before.value))
  const condition = describeCondition(desired, finding, before?.value, now)
  const value: LoadBalancerNameValue = {
    projectId,
    name,
    label,
    ...listed,
    listedSince: isSameList ? before.value.listedSince : new Date(now).toISOString(),
    condition,
  }
  if (before !== undefined && Bun.deepEquals(value, before.value)) return null
  const events: EventDraft[] = []
  const tell = (type: string, data: object) => events.push({ type, projectId, subject: id, data: { name, ...data } })
  const former = before?.value.dnsName ?? null
  if (former !== null && former !== listed.dnsName) tell('load-balancer.name.withdrawn', { dnsName: former })
  if (listed.dnsName !== null && !isSameList) tell('load-balancer.name.published', listed)
  const isTrouble = condition.status === 'false' && (finding.kind === 'queued' || finding.kind === 'taken')
  const isNews = before?.value.condition.status !== 'false' || before.value.condition.reason !== condition.reason
  if (isTrouble && isNews) {
    tell('load-balancer.name.delayed', {
      dnsName: desired.dnsName,
      reason: condition.reason,
      message: condition.message,
    })
  }
  return { write: write({ kind: loadBalancerNameKind, id, expect: before?.version ?? 'absent', value }), events }
}

/** A balancer that is no more, or is going: its name is out of the zone, and with the balancer its record goes too. */
export function recordFarewell(
  before: StoredObject<LoadBalancerNameValue>,
  isBalancerGone: boolean,
  now: number,
): NameRecord | null {
  const { id, version, value } = before
  const { projectId, name, dnsName } = value
  if (dnsName === null && !isBalancerGone) return null
  const events: EventDraft[] =
    dnsName === null ? [] : [{ type: 'load-balancer.name.withdrawn', projectId, subject: id, data: { name, dnsName } }]
  const after = isBalancerGone
    ? null
    : { ...value, dnsName: null, addresses: [], listedSince: new Date(now).toISOString() }
  return { write: write({ kind: loadBalancerNameKind, id, expect: version, value: after }), events }
}

/** Whether the server, as far as it has answered, lists what it should: then its being away changes nothing. */
export function isAsRecorded(desired: LabelledName, before: StoredObject<LoadBalancerNameValue> | undefined): boolean {
  if (before === undefined) return false
  const { dnsName, addresses, label } = before.value
  if (label !== desired.label || (dnsName !== null && dnsName !== desired.dnsName)) return false
  return Bun.deepEquals(chooseAddresses(desired.vips, addresses), addresses)
}

type Listed = Pick<LoadBalancerNameValue, 'dnsName' | 'addresses'>

const listedBefore = ({ dnsName, addresses }: LoadBalancerNameValue): Listed => ({ dnsName, addresses })

function listedNow(finding: NameFinding, before: LoadBalancerNameValue | undefined): Listed {
  switch (finding.kind) {
    case 'listed':
      return { dnsName: finding.dnsName, addresses: finding.addresses }
    case 'unlisted':
    case 'taken':
      return { dnsName: null, addresses: [] }
    case 'queued':
      return before === undefined ? { dnsName: null, addresses: [] } : listedBefore(before)
    default:
      return finding satisfies never
  }
}

function describeCondition(
  desired: LabelledName,
  finding: NameFinding,
  before: LoadBalancerNameValue | undefined,
  now: number,
): Condition {
  const draft = { type: 'named', ...judge(desired, finding) }
  const [condition] = stampConditions([draft], before === undefined ? [] : [before.condition], now)
  if (condition === undefined) throw new Error('BUG: a condition was lost')
  return condition
}

function judge(
  { dnsName, vips }: LabelledName,
  finding: NameFinding,
): Pick<Condition, 'status' | 'reason' | 'message'> {
  switch (finding.kind) {
    case 'listed':
      if (vips.some(({ verdict }) => verdict === 'serves')) {
        return { status: 'true', reason: 'published', message: `${dnsName} lists the VIPs that serve.` }
      }
      return { status: 'true', reason: 'kept', message: `No VIP serves; ${dnsName} lists what it listed before.` }
    case 'unlisted':
      return { status: 'false', reason: 'nothingServes', message: `${dnsName} is published once a VIP serves.` }
    case 'taken': {
      const message = `Somebody else's records have the name ${dnsName}; rename the balancer, or remove them.`
      return { status: 'false', reason: 'nameTaken', message }
    }
    case 'queued': {
      const { reason, message } = finding.trouble
      return { status: 'false', reason, message: `${message} The change of ${dnsName} is queued.` }
    }
    default:
      return finding satisfies never
  }
}
