/** What is kept of a balancer's name: its label, and what the name server was told last and took. */

import type { Condition } from '../contract/common.ts'
import { defineKind } from '../control-plane/store.ts'

/** How names are kept; the controller has none of these where it keeps no names. */
export interface NameSettings {
  readonly zone: string
  readonly ttlSeconds: number
  /** How often it is looked whether the zone still is as it should be. */
  readonly sweepSeconds: number
  /** Of this installation, where several share a zone. */
  readonly owner: string
}

export interface LoadBalancerNameValue {
  readonly projectId: string
  /** What the balancer is called, for the events of a name that outlives it. */
  readonly name: string
  readonly label: string
  /** In the zone now, as far as the server has answered; null: it is not. */
  readonly dnsName: string | null
  readonly addresses: readonly string[]
  /** Since when these are listed and no others: a TTL later no client uses another. RFC 3339. */
  readonly listedSince: string
  readonly condition: Condition
}

/** Of one entity group with the balancer, whose id it has. */
export const loadBalancerNameKind = defineKind<LoadBalancerNameValue>({
  name: 'load-balancer-name',
  prefix: 'lb',
  dataType: 'load-balancer',
})
