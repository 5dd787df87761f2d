/** What the store keeps of a host's libvirt: how it is reached, and how its last sync went. Both have the host's id. */

import type { Hypervisor, HypervisorSettings } from '../contract/hypervisor.ts'
import { defineKind } from '../control-plane/store.ts'

const dataType = 'host'

export interface HypervisorValue extends HypervisorSettings {
  /** The host's name, which is its stack's as well. */
  readonly host: string
  /** Addresses that a person lets the next plan destroy or replace. */
  readonly allowed: readonly string[]
  /** It gives up everything of ours, and is then forgotten. */
  readonly isLeaving?: boolean
}
export const hypervisorKind = defineKind<HypervisorValue>({ name: 'hypervisor', prefix: 'hst', dataType })

export type HypervisorStatusValue = Pick<
  Hypervisor,
  'status' | 'trouble' | 'refused' | 'escalationId' | 'capacity' | 'pools' | 'networks' | 'domains' | 'syncedAt'
>
export const hypervisorStatusKind = defineKind<HypervisorStatusValue>({
  name: 'hypervisor-status',
  prefix: 'hst',
  dataType,
})

export const unknownStatus: HypervisorStatusValue = {
  status: 'pending',
  trouble: null,
  refused: [],
  escalationId: null,
  capacity: null,
  pools: [],
  networks: [],
  domains: [],
  syncedAt: null,
}
