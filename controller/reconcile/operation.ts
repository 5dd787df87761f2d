/** Everything that a turn may decide to do, as data. The executor in apply-operation.ts has no choice left. */

import type { HostInstructions } from '../../agent/contract/host-instructions.ts'
import { describeMigrationOperation, type MigrationOperation } from '../address-space/migration/migration-operation.ts'
import type { EventDraft, StoredObject, Write } from '../control-plane/store.ts'
import { describeLifeOperation, type LifeOperation } from '../load-balancing/life/life-operation.ts'
import type { Addition } from '../load-balancing/prepare-instances.ts'
import type {
  InstanceValue,
  LoadBalancerScalingValue,
  LoadBalancerSlotsValue,
  LoadBalancerStatusValue,
  LoadBalancerValue,
  MachineValue,
} from '../objects.ts'

export type ReconcileOperation =
  /** The host's statement from now on. */
  | { readonly kind: 'publishInstructions'; readonly statement: HostInstructions }
  /** What was found out of an object, with the events of the change. */
  | {
      readonly kind: 'recordStatus'
      readonly write: Write
      readonly events: readonly EventDraft[]
      /** Of the request that wanted what was found. */
      readonly traceparent?: string
    }
  /** Takes addresses for instances that a balancer lacks, and writes them. */
  | {
      readonly kind: 'addInstances'
      readonly loadBalancer: StoredObject<LoadBalancerValue>
      readonly slots: StoredObject<LoadBalancerSlotsValue> | null
      readonly additions: readonly Addition[]
    }
  /** A decision on how many instances a balancer is to have. */
  | {
      readonly kind: 'scale'
      readonly loadBalancer: StoredObject<LoadBalancerValue>
      readonly scaling: StoredObject<LoadBalancerScalingValue> | null
      readonly value: LoadBalancerScalingValue
      readonly events: readonly EventDraft[]
    }
  /** It is not scaled any more: what was decided means nothing. */
  | {
      readonly kind: 'forgetScaling'
      readonly loadBalancer: StoredObject<LoadBalancerValue>
      readonly scaling: StoredObject<LoadBalancerScalingValue>
    }
  /** How far slots are on their way out, or that they stay after all. */
  | {
      readonly kind: 'markSlots'
      readonly slots: StoredObject<LoadBalancerSlotsValue>
      readonly marked: LoadBalancerSlotsValue
      readonly events: readonly EventDraft[]
    }
  /** Takes slots away that are drained; their instances are to go. */
  | {
      readonly kind: 'retireInstances'
      readonly slots: StoredObject<LoadBalancerSlotsValue>
      readonly kept: LoadBalancerSlotsValue
      readonly events: readonly EventDraft[]
      readonly instances: readonly StoredObject<InstanceValue>[]
      /** RFC 3339. */
      readonly deletingSince: string
    }
  /** Its host has given it up: its addresses are free, and it is no more. */
  | {
      readonly kind: 'finishInstance'
      readonly instance: StoredObject<InstanceValue>
      readonly statusVersion: number | null
    }
  | {
      readonly kind: 'finishMachine'
      readonly machine: StoredObject<MachineValue>
      readonly statusVersion: number | null
    }
  /** With its last instances: every host has given them up. */
  | {
      readonly kind: 'finishLoadBalancer'
      readonly loadBalancer: StoredObject<LoadBalancerValue>
      readonly status: StoredObject<LoadBalancerStatusValue> | null
      readonly slots: StoredObject<LoadBalancerSlotsValue> | null
      readonly scaling: StoredObject<LoadBalancerScalingValue> | null
      readonly instances: readonly {
        readonly instance: StoredObject<InstanceValue>
        readonly statusVersion: number | null
      }[]
    }
  | { readonly kind: 'migrate'; readonly operation: MigrationOperation }
  | { readonly kind: 'live'; readonly operation: LifeOperation }

/** The traces of the requests that an operation answers, for the log. */
export function tracesOf(operation: ReconcileOperation): readonly string[] {
  switch (operation.kind) {
    case 'publishInstructions': {
      const { generation, networks, machines, instances } = operation.statement
      const changed = [...networks, ...machines, ...instances].filter((object) => object.generation === generation)
      return distinct(changed.map(({ traceparent }) => traceparent))
    }
    case 'recordStatus':
      return distinct([operation.traceparent])
    case 'addInstances':
    case 'scale':
    case 'forgetScaling':
    case 'finishLoadBalancer':
      return distinct([operation.loadBalancer.traceparent])
    case 'markSlots':
      return []
    case 'retireInstances':
      return distinct(operation.instances.map(({ traceparent }) => traceparent))
    case 'finishInstance':
      return distinct([operation.instance.traceparent])
    case 'finishMachine':
      return distinct([operation.machine.traceparent])
    case 'migrate':
      return distinct([operation.operation.migration.traceparent])
    case 'live':
      return distinct([operation.operation.slots.traceparent])
    default:
      return operation satisfies never
  }
}

const distinct = (traces: readonly (string | undefined)[]): readonly string[] => [
  ...new Set(traces.flatMap((trace) => trace ?? [])),
]

export const describeOperation = (operation: ReconcileOperation): string => {
  switch (operation.kind) {
    case 'publishInstructions':
      return `publish generation ${operation.statement.generation} for ${operation.statement.host}`
    case 'recordStatus':
      return `record ${operation.write.kind.name} ${operation.write.id}`
    case 'addInstances':
      return `add ${operation.additions.length} instances to ${operation.loadBalancer.id}`
    case 'scale':
      return `scale ${operation.loadBalancer.id} to ${operation.value.desiredCount}`
    case 'forgetScaling':
      return `forget how ${operation.loadBalancer.id} was scaled`
    case 'markSlots':
      return `mark slots of ${operation.slots.id}`
    case 'retireInstances':
      return `retire ${operation.instances.length} instances of ${operation.slots.id}`
    case 'finishInstance':
      return `finish ${operation.instance.id}`
    case 'finishMachine':
      return `finish ${operation.machine.id}`
    case 'finishLoadBalancer':
      return `finish ${operation.loadBalancer.id}`
    case 'migrate':
      return describeMigrationOperation(operation.operation)
    case 'live':
      return describeLifeOperation(operation.operation)
    default:
      return operation satisfies never
  }
}
