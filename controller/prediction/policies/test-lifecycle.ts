/** The service of policies over a store that is given, of microshards that nobody uses. Only tests use it. */

import type { Store } from '../../control-plane/store.ts'
import type { LifecycleService } from './open-lifecycle-manager.ts'
import { createPoliciesService } from './policies-service.ts'

export const createTestLifecycle = (store: Pick<Store, 'snapshot' | 'transact'>): LifecycleService => ({
  ...createPoliciesService({ store }),
  measure: async () => ({ at: new Date(0).toISOString(), items: [], nodes: [] }),
})
