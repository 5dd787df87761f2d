/**
 * Does what the plan of lives says: each operation is one transaction of the balancer's own objects, on the slots as the
 * plan saw them. Writes the store, and takes addresses for new instances.
 */

import { type ApplyOutcome, applyTransaction, failed } from '../../control-plane/apply-outcome.ts'
import { type EventDraft, type Store, type Write, write } from '../../control-plane/store.ts'
import { instanceKind, loadBalancerSlotsKind, type SlotValue } from '../../objects.ts'
import { type InstanceMeans, prepareInstances } from '../prepare-instances.ts'
import type { LifeOperation, StoredInstance, StoredSlots } from './life-operation.ts'
import type { FormerInstance } from './life-values.ts'

export interface LifeContext extends InstanceMeans {
  readonly store: Pick<Store, 'transact'>
}

type OperationOf<KindName extends LifeOperation['kind']> = Extract<LifeOperation, { kind: KindName }>

export async function applyLife(context: LifeContext, operation: LifeOperation): Promise<ApplyOutcome> {
  switch (operation.kind) {
    case 'succeedInstance':
      return succeedInstance(context, operation)
    case 'drainInstance':
      return applyTransaction(context, {
        writes: [touchSlots(operation), changeInstance(operation.instance, { draining: true })],
      })
    case 'reinstateInstance':
      return applyTransaction(context, {
        writes: [
          changeSlot(operation, { instanceId: operation.reinstated.id, former: operation.former }),
          ...(operation.reinstated.value.draining === true
            ? [changeInstance(operation.reinstated, { draining: false })]
            : []),
        ],
        events: [
          tell('reinstated', operation.reinstated, {
            hostId: operation.reinstated.value.hostId,
            insteadOf: operation.former.instanceId,
            reason: operation.reason,
          }),
        ],
      })
    case 'dropFormer':
      return applyTransaction(context, {
        writes: [
          changeSlot(operation, { former: null }),
          ...(operation.former === null ? [] : [retire(operation.former, operation.deletingSince)]),
        ],
        events:
          operation.former === null
            ? []
            : [
                tell('retired', operation.former, {
                  reason: operation.reason,
                  ...(operation.connectionsCut > 0 && { connectionsCut: operation.connectionsCut }),
                }),
              ],
      })
    default:
      return operation satisfies never
  }
}

async function succeedInstance(context: LifeContext, operation: OperationOf<'succeedInstance'>): Promise<ApplyOutcome> {
  const { loadBalancer, slots, slot, hostId, former, retired, predecessor, reason } = operation
  const vip = slots.value.slots.find((one) => one.slot === slot)?.vip
  if (vip === undefined) throw new Error('BUG: a slot is succeeded that is not there')
  const prepared = await prepareInstances(context, {
    loadBalancerId: loadBalancer.id,
    loadBalancer: loadBalancer.value,
    slots,
    additions: [{ slot, vip, hostId, former }],
  })
  // What was taken stays taken for the next turn, or is swept.
  if (!prepared.ok) return failed(prepared.problem.detail)
  const { writes, events, slots: after } = prepared.value
  const replacementId = after.slots.find((one) => one.slot === slot)?.instanceId ?? null
  return applyTransaction(context, {
    writes: [...writes, ...(retired === null ? [] : [retire(retired, former.since)])],
    events: [...events, tell('replaced', predecessor, { replacementId, hostId, reason })],
    ...(loadBalancer.traceparent === undefined ? {} : { traceparent: loadBalancer.traceparent }),
  })
}

function changeSlot(
  { slots, slot }: { readonly slots: StoredSlots; readonly slot: number },
  change: { readonly instanceId?: string; readonly former: FormerInstance | null },
): Write {
  const changed = slots.value.slots.map((one): SlotValue => {
    if (one.slot !== slot) return one
    const { former: _, ...kept } = one
    return {
      ...kept,
      ...(change.instanceId !== undefined && { instanceId: change.instanceId }),
      ...(change.former !== null && { former: change.former }),
    }
  })
  return write({ kind: loadBalancerSlotsKind, id: slots.id, expect: slots.version, value: { slots: changed } })
}

/** As they are, so that who planned with what was so before is overtaken. */
const touchSlots = ({ slots }: { readonly slots: StoredSlots }): Write =>
  write({ kind: loadBalancerSlotsKind, id: slots.id, expect: slots.version, value: slots.value })

function changeInstance({ id, version, value }: StoredInstance, { draining }: { readonly draining: boolean }): Write {
  const { draining: _, ...kept } = value
  return write({ kind: instanceKind, id, expect: version, value: { ...kept, ...(draining && { draining }) } })
}

const retire = ({ id, version, value }: StoredInstance, deletingSince: string): Write =>
  write({ kind: instanceKind, id, expect: version, value: { ...value, deletingSince } })

const tell = (
  participle: 'replaced' | 'reinstated' | 'retired',
  { id, value }: StoredInstance,
  data: Readonly<Record<string, unknown>>,
): EventDraft => ({
  type: `load-balancer.instance.${participle}`,
  projectId: value.projectId,
  subject: id,
  data: { loadBalancerId: value.loadBalancerId, slot: value.slot, ...data },
})
