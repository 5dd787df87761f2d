/** The VIPs that an instance may serve, with whom it has to come to terms about each. Pure. */

import type { InstanceInstructions } from '../../agent/contract/host-instructions.ts'
import { addressOf } from '../address-space/cidr.ts'
import type { StoredObject } from '../control-plane/store.ts'
import type { FormerInstance } from '../load-balancing/life/life-values.ts'
import {
  drainingPriority,
  homePriorityAbove,
  listVipDuties,
  replacedPriority,
  type VipDuty,
} from '../load-balancing/vip-priorities.ts'
import type { InstanceValue } from '../objects.ts'
import type { Snapshot } from './snapshot.ts'

/** By balancer and slot, all that have it, had it, or are still on their way out. */
export type SlotMates = ReadonlyMap<string, readonly StoredObject<InstanceValue>[]>

export const slotKey = (loadBalancerId: string, slot: number) => `${loadBalancerId} ${slot}`

export const indexSlotMates = ({ instances }: Snapshot): SlotMates =>
  Map.groupBy(instances.values(), ({ value }) => slotKey(value.loadBalancerId, value.slot))

export const othersInSlot = (slotMates: SlotMates, { id, value }: StoredObject<InstanceValue>) =>
  (slotMates.get(slotKey(value.loadBalancerId, value.slot)) ?? []).filter((mate) => mate.id !== id)

const describeFormerDuty = (slot: number, { why }: FormerInstance): VipDuty => ({
  slot,
  priority: why === 'suspected' ? replacedPriority : drainingPriority,
  home: false,
})

export function renderVips(
  rack: { readonly snapshot: Snapshot; readonly slotMates: SlotMates; readonly uplinkPrefixLength: number },
  instance: StoredObject<InstanceValue>,
): InstanceInstructions['vips'] {
  const { loadBalancerId } = instance.value
  const ring = rack.snapshot.slots.get(loadBalancerId)?.value.slots ?? []
  const duties = new Map(
    ring.flatMap(({ slot, instanceId, former }): (readonly [string, readonly VipDuty[]])[] => [
      ...(instanceId === null ? [] : [[instanceId, listVipDuties(ring, instanceId)] as const]),
      ...(former === undefined ? [] : [[former.instanceId, [describeFormerDuty(slot, former)]] as const]),
    ]),
  )
  return (duties.get(instance.id) ?? []).flatMap(({ slot, priority, home }) => {
    const vip = ring.find((candidate) => candidate.slot === slot)?.vip
    if (vip === undefined) return []
    const servants = [...duties].flatMap(([id, own]) => (own.some((duty) => duty.slot === slot) ? [id] : []))
    const mates = rack.slotMates.get(slotKey(loadBalancerId, slot)) ?? []
    const peerIds = new Set([...servants, ...mates.map(({ id }) => id)].filter((id) => id !== instance.id))
    const peerAddresses = [...peerIds].flatMap((id) => rack.snapshot.instances.get(id)?.value.uplinkAddress ?? [])
    return [
      {
        slot,
        address: vip,
        prefixLength: rack.uplinkPrefixLength,
        virtualRouterId: slot,
        priority: home ? homePriorityAbove(othersInSlot(rack.slotMates, instance).length) : priority,
        home,
        peerAddresses: peerAddresses.toSorted((a, b) => addressOf(a) - addressOf(b)),
      },
    ]
  })
}
