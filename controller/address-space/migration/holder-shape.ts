/**
 * What a holder's spec is to be at a step, and the writes that make it so: none where it is so already. Pure.
 *
 * What was settled before stays so: the status follows the spec's version within the same transaction, since a move
 * calls nothing into question that runs.
 */

import { type Kind, type StoredObject, type Write, write } from '../../control-plane/store.ts'
import { endpointOf, parseMemberUrl } from '../../load-balancing/members.ts'
import {
  type InstanceValue,
  instanceKind,
  type LoadBalancerValue,
  loadBalancerKind,
  loadBalancerStatusKind,
  type MachineValue,
  type MemberValue,
  machineKind,
  machineStatusKind,
} from '../../objects.ts'
import type { Snapshot } from '../../reconcile/snapshot.ts'

export interface Held {
  readonly address: string
  readonly shardId: string
}

export interface MachineShape {
  /** The first is the one that balancers and names give. */
  readonly addresses: readonly Held[]
  readonly restartsForAddress?: boolean
  readonly drained?: boolean
}

export interface InstanceShape {
  readonly network: Held
  readonly former: Held | null
}

export function shapeMachine(
  { machineStatuses }: Pick<Snapshot, 'machineStatuses'>,
  machine: StoredObject<MachineValue>,
  shape: MachineShape,
): readonly Write[] {
  const { id, version } = machine
  const { restartsForAddress, drained, ...kept } = machine.value
  const isSo =
    Bun.deepEquals(kept.addresses, shape.addresses) &&
    (restartsForAddress ?? false) === (shape.restartsForAddress ?? false) &&
    (drained ?? false) === (shape.drained ?? false)
  if (isSo) return []
  const value: MachineValue = {
    ...kept,
    addresses: shape.addresses,
    ...(shape.restartsForAddress === true && { restartsForAddress: true }),
    ...(shape.drained === true && { drained: true }),
  }
  return [
    write({ kind: machineKind, id, expect: version, value }),
    ...followStatus(machineStatusKind, machineStatuses.get(id), version),
  ]
}

export function shapeInstance(instance: StoredObject<InstanceValue>, shape: InstanceShape): readonly Write[] {
  const { id, version } = instance
  const { formerNetworkAddress, ...kept } = instance.value
  const isSo = kept.networkAddress === shape.network.address && formerNetworkAddress?.address === shape.former?.address
  if (isSo) return []
  const value: InstanceValue = {
    ...kept,
    networkAddress: shape.network.address,
    networkShardId: shape.network.shardId,
    ...(shape.former !== null && { formerNetworkAddress: shape.former }),
  }
  return [write({ kind: instanceKind, id, expect: version, value })]
}

/** As it is, at its next version. */
export function sealMachine(
  { machineStatuses }: Pick<Snapshot, 'machineStatuses'>,
  { id, version, value }: StoredObject<MachineValue>,
): readonly Write[] {
  return [
    write({ kind: machineKind, id, expect: version, value }),
    ...followStatus(machineStatusKind, machineStatuses.get(id), version),
  ]
}

export const sealInstance = ({ id, version, value }: StoredObject<InstanceValue>): readonly Write[] => [
  write({ kind: instanceKind, id, expect: version, value }),
]

/** Members that name one address, by itself or in a URL, go to another instead; none: the balancer has no such member. */
export function shapeMembers(
  snapshot: Pick<Snapshot, 'loadBalancerStatuses'>,
  loadBalancer: StoredObject<LoadBalancerValue>,
  before: string,
  after: string,
): readonly Write[] {
  const { value } = loadBalancer
  const members = value.members.map((member) => readdress(member, value.trafficType, before, after))
  if (members.every((member, i) => member === value.members[i])) return []
  return writeBalancer(snapshot, loadBalancer, { ...value, members })
}

/** As it is, at its next version, where a member names the address; none: no member does. */
export function sealMembers(
  snapshot: Pick<Snapshot, 'loadBalancerStatuses'>,
  loadBalancer: StoredObject<LoadBalancerValue>,
  address: string,
): readonly Write[] {
  const { members, trafficType } = loadBalancer.value
  const isNamed = members.some((member) => member.machineId === null && namedAddressOf(member, trafficType) === address)
  return isNamed ? writeBalancer(snapshot, loadBalancer, loadBalancer.value) : []
}

const writeBalancer = (
  { loadBalancerStatuses }: Pick<Snapshot, 'loadBalancerStatuses'>,
  { id, version }: StoredObject<LoadBalancerValue>,
  value: LoadBalancerValue,
): readonly Write[] => [
  write({ kind: loadBalancerKind, id, expect: version, value }),
  ...followStatus(loadBalancerStatusKind, loadBalancerStatuses.get(id), version),
]

function readdress(
  member: MemberValue,
  trafficType: LoadBalancerValue['trafficType'],
  before: string,
  after: string,
): MemberValue {
  if (member.machineId !== null || namedAddressOf(member, trafficType) !== before) return member
  if (member.url === null) return { ...member, address: after }
  const { protocol, port } = new URL(member.url)
  return { ...member, url: `${protocol}//${after}${port === '' ? '' : `:${port}`}${keptDefaultPort(member.url, port)}` }
}

/** A URL that says its scheme's own port goes on saying it: it stands above the listener's. */
const keptDefaultPort = (url: string, port: string) => (port === '' && /:\d+\/?$/.test(url) ? ':80' : '')

/** Null: it names no address. */
function namedAddressOf(member: MemberValue, trafficType: LoadBalancerValue['trafficType']): string | null {
  if (member.url !== null && !parseMemberUrl(member.url, trafficType).ok) return null
  return endpointOf({ ...member, machineId: null }, trafficType, () => undefined)?.address ?? null
}

/** The members of a balancer that are a machine, by its id or by one of its addresses. */
export function listMembersOf(
  { value }: StoredObject<LoadBalancerValue>,
  machineId: string,
  addresses: readonly string[],
): readonly string[] {
  return value.members.flatMap((member) => {
    const named = namedAddressOf(member, value.trafficType)
    return member.machineId === machineId || (named !== null && addresses.includes(named)) ? [member.id] : []
  })
}

function followStatus<Value extends { readonly observedGeneration: number }>(
  kind: Kind<Value>,
  status: StoredObject<Value> | undefined,
  version: number,
): readonly Write[] {
  if (status === undefined || status.value.observedGeneration !== version) return []
  const value = { ...status.value, observedGeneration: version + 1 }
  return [write({ kind, id: status.id, expect: status.version, value })]
}
