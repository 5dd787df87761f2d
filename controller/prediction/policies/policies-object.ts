/** The policies as they are kept, one object for the rack, and what was decided last, which every controller can show. */

import type { Explanation, MicroshardPolicies } from '../../contract/microshard-policies.ts'
import { createNamedId } from '../../control-plane/shard-key.ts'
import { defineKind } from '../../control-plane/store.ts'
import { systemClient } from '../../objects.ts'

export const microshardPoliciesKind = defineKind<MicroshardPolicies>({
  name: 'microshard-policies',
  prefix: 'mpo',
  dataType: 'microshard-policies',
})
export const microshardPoliciesId = createNamedId(microshardPoliciesKind.prefix, systemClient, 'microshard policies')

export type LifecycleStatusValue = Omit<Explanation, 'mode' | 'rules'> & {
  /** Names of the rules that are met. */
  readonly met: readonly string[]
}
export const lifecycleStatusKind = defineKind<LifecycleStatusValue>({
  name: 'lifecycle-status',
  prefix: 'mls',
  dataType: 'microshard-policies',
})
export const lifecycleStatusId = createNamedId(lifecycleStatusKind.prefix, systemClient, 'lifecycle status')
