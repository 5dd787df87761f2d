/**
 * Takes what new instances need (a VIP for each new slot, an address of their own on the uplink, one on the network) and
 * says what is to be written for them. Whoever asks writes it: the service with a new balancer, the loop for one that
 * lacks instances. Every id follows from balancer, slot and the version of the slots, so a repetition carries on.
 */

import type { AddressAllocator } from '../address-space/allocator.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import { createNamedId } from '../control-plane/shard-key.ts'
import { type EventDraft, type StoredObject, StoreUnavailableError, type Write, write } from '../control-plane/store.ts'
import {
  type InstanceStatusValue,
  type InstanceValue,
  instanceKind,
  instanceStatusKind,
  type LoadBalancerSlotsValue,
  type LoadBalancerValue,
  loadBalancerKind,
  loadBalancerSlotsKind,
} from '../objects.ts'
import type { ControllerContext } from '../services.ts'
import type { FormerInstance } from './life/life-values.ts'
import type { UplinkAddresses } from './uplink-addresses.ts'

export interface Addition {
  readonly slot: number
  /** Null: the slot is new and needs one. */
  readonly vip: string | null
  readonly hostId: string
  /** Who has the slot until then, or had it. */
  readonly former?: FormerInstance | undefined
}

export interface InstanceRequest {
  readonly loadBalancerId: string
  readonly loadBalancer: LoadBalancerValue
  /** Null: the balancer is new. */
  readonly slots: StoredObject<LoadBalancerSlotsValue> | null
  readonly additions: readonly Addition[]
}

export interface PreparedInstances {
  readonly slots: LoadBalancerSlotsValue
  readonly writes: readonly Write[]
  readonly events: readonly EventDraft[]
}

export interface InstanceMeans {
  readonly uplink: UplinkAddresses
  readonly allocator: AddressAllocator
}

export async function prepareInstances(
  means: InstanceMeans,
  request: InstanceRequest,
): Promise<Outcome<PreparedInstances>> {
  const { additions } = request
  const ids = additions.map(({ slot }) => instanceIdOf(request, slot))
  const [vips, ...legs] = await Promise.all([
    takeVips(means, request),
    ...ids.map((id) => takeLegs(means, request, id)),
  ])
  if (!vips.ok) return vips
  const spare = [...vips.value]
  const placed: PlacedInstance[] = []
  for (const [i, addition] of additions.entries()) {
    const taken = legs[i]
    const id = ids[i]
    if (taken === undefined || id === undefined) throw new Error('BUG: an instance without its legs')
    if (!taken.ok) return taken
    const vip = addition.vip ?? spare.shift()
    if (vip === undefined) throw new Error('BUG: a slot without a VIP')
    placed.push({ id, vip, addition, legs: taken.value })
  }
  return succeed(describe(request, placed))
}

/**
 * Gives back what was taken for a balancer that was refused. Not when it is there after all, since a repetition of the
 * same request takes the very same for the very same ids.
 */
export async function giveBackInstances(
  context: Pick<ControllerContext, 'store'>,
  means: InstanceMeans,
  request: InstanceRequest,
): Promise<void> {
  const { loadBalancerId } = request
  try {
    if ((await context.store.get(loadBalancerKind, loadBalancerId, { latest: true })) !== null) return
  } catch (error) {
    // The sweep does it later.
    if (error instanceof StoreUnavailableError) return
    throw error
  }
  const ids = request.additions.map(({ slot }) => instanceIdOf(request, slot))
  await Promise.all([
    means.uplink.giveBack(loadBalancerId),
    ...ids.flatMap((id) => [means.uplink.giveBack(id), means.allocator.releaseAddresses(id)]),
  ])
}

interface Legs {
  readonly uplinkAddress: string
  readonly networkAddress: string
  readonly networkShardId: string
}

interface PlacedInstance {
  readonly id: string
  readonly vip: string
  readonly addition: Addition
  readonly legs: Legs
}

const instanceIdOf = ({ loadBalancerId, slots }: InstanceRequest, slot: number) =>
  createNamedId(instanceKind.prefix, loadBalancerId, loadBalancerId, String(slot), String(slots?.version ?? 0))

async function takeVips(means: InstanceMeans, request: InstanceRequest): Promise<Outcome<readonly string[]>> {
  const count = request.additions.filter(({ vip }) => vip === null).length
  const inUse = request.slots?.value.slots.map(({ vip }) => vip) ?? []
  return means.uplink.take({ owner: { kind: loadBalancerKind, id: request.loadBalancerId }, count, inUse })
}

async function takeLegs(means: InstanceMeans, request: InstanceRequest, id: string): Promise<Outcome<Legs>> {
  const [uplink, network] = await Promise.all([
    means.uplink.take({ owner: { kind: instanceKind, id }, count: 1 }),
    means.allocator.allocateAddress({ networkId: request.loadBalancer.networkId, ownerId: id }),
  ])
  if (!uplink.ok) return uplink
  if (!network.ok) return network
  const [uplinkAddress] = uplink.value
  if (uplinkAddress === undefined) throw new Error('BUG: an instance without an address on the uplink')
  return succeed({ uplinkAddress, networkAddress: network.value.address, networkShardId: network.value.shardId })
}

function describe(request: InstanceRequest, placed: readonly PlacedInstance[]): PreparedInstances {
  const { loadBalancerId, loadBalancer } = request
  const before = (request.slots?.value.slots ?? []).filter(({ slot }) => !placed.some((p) => p.addition.slot === slot))
  const added = placed.map(({ id, vip, addition }) => ({
    slot: addition.slot,
    vip,
    instanceId: id,
    ...(addition.former !== undefined && { former: addition.former }),
  }))
  const slots = { slots: [...before, ...added].toSorted((a, b) => a.slot - b.slot) }
  const writes = placed.flatMap(({ id, addition, legs }): Write[] => {
    const value: InstanceValue = {
      loadBalancerId,
      projectId: loadBalancer.projectId,
      networkId: loadBalancer.networkId,
      slot: addition.slot,
      hostId: addition.hostId,
      driver: loadBalancer.driver ?? 'netns',
      ...legs,
    }
    const status: InstanceStatusValue = { status: 'placing', conditions: [], observedGeneration: 0 }
    return [
      write({ kind: instanceKind, id, expect: 'absent', value }),
      write({ kind: instanceStatusKind, id, expect: 'absent', value: status }),
    ]
  })
  const events = placed.map(
    ({ id, addition }): EventDraft => ({
      type: 'load-balancer.instance.placed',
      projectId: loadBalancer.projectId,
      subject: id,
      data: { loadBalancerId, slot: addition.slot, hostId: addition.hostId },
    }),
  )
  const slotsWrite = write({
    kind: loadBalancerSlotsKind,
    id: loadBalancerId,
    expect: request.slots?.version ?? 'absent',
    value: slots,
  })
  return { slots, writes: [slotsWrite, ...writes], events }
}
