/** Everything that a turn may decide of the lives of instances, as data. */

import type { StoredObject } from '../../control-plane/store.ts'
import type { InstanceValue, LoadBalancerSlotsValue, LoadBalancerValue } from '../../objects.ts'
import type { FormerInstance } from './life-values.ts'

export type StoredSlots = StoredObject<LoadBalancerSlotsValue>
export type StoredInstance = StoredObject<InstanceValue>

export type LifeOperation =
  /** A new instance on that host has the slot from now on; whoever had it is its former one, or goes. */
  | {
      readonly kind: 'succeedInstance'
      readonly loadBalancer: StoredObject<LoadBalancerValue>
      readonly slots: StoredSlots
      readonly slot: number
      readonly hostId: string
      readonly former: FormerInstance
      /** One that had replaced the former one and failed as well: it goes. */
      readonly retired: StoredInstance | null
      readonly predecessor: StoredInstance
      readonly reason: string
    }
  /** It is to lose its clients, since another one is ready to have its slot. */
  | {
      readonly kind: 'drainInstance'
      readonly slots: StoredSlots
      readonly slot: number
      readonly instance: StoredInstance
    }
  /** The former one has its slot again, and the one that had it meanwhile is the former. */
  | {
      readonly kind: 'reinstateInstance'
      readonly slots: StoredSlots
      readonly slot: number
      readonly reinstated: StoredInstance
      readonly former: FormerInstance
      readonly reason: string
    }
  /** It is decided: the former one goes. Null: it has gone already. */
  | {
      readonly kind: 'dropFormer'
      readonly slots: StoredSlots
      readonly slot: number
      readonly former: StoredInstance | null
      /** RFC 3339. */
      readonly deletingSince: string
      readonly reason: string
      /** Of its clients, when it handed its slot over. */
      readonly connectionsCut: number
    }

export const describeLifeOperation = (operation: LifeOperation): string => {
  const where = `slot ${operation.slot} of ${operation.slots.id}`
  switch (operation.kind) {
    case 'succeedInstance':
      return `replace ${operation.predecessor.id} in ${where}: ${operation.reason}`
    case 'drainInstance':
      return `drain ${operation.instance.id} in ${where}`
    case 'reinstateInstance':
      return `reinstate ${operation.reinstated.id} in ${where}: ${operation.reason}`
    case 'dropFormer':
      return `drop ${operation.former?.id ?? 'the former one'} of ${where}: ${operation.reason}`
    default:
      return operation satisfies never
  }
}
