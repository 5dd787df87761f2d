/** The switches of prefetching, as an object of the store: one for all controllers. */

import { createNamedId } from '../../control-plane/shard-key.ts'
import { defineKind, type Store } from '../../control-plane/store.ts'
import { systemClient } from '../../objects.ts'

export interface PrefetchSettingValue {
  /** False: nothing is read ahead or kept, and all is read anew. */
  readonly isOn: boolean
  /** False: nothing of what users do is written down, and so nothing is learned. */
  readonly logsActions: boolean
}

export const prefetchSettingKind = defineKind<PrefetchSettingValue>({
  name: 'prefetch-setting',
  prefix: 'pfs',
  dataType: 'prefetch',
})
export const prefetchSettingId = createNamedId(prefetchSettingKind.prefix, systemClient, 'prefetch')
export const firstSetting: PrefetchSettingValue = { isOn: true, logsActions: true }

/** As memory has it. */
export const readPrefetchSetting = (store: Pick<Store, 'snapshot'>): PrefetchSettingValue =>
  store.snapshot(prefetchSettingKind).find(({ id }) => id === prefetchSettingId)?.value ?? firstSetting
