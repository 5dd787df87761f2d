/** Fills in what a balancer does not say of its traffic, as one that was stored before there was such a thing. Pure. */

import * as v from 'valibot'
import { type Logging, loggingSchema } from '../contract/logs.ts'
import {
  type Limits,
  limitsSchema,
  type ProxyProtocol,
  proxyProtocolSchema,
  type StickySessions,
  type Timeouts,
  timeoutsSchema,
} from '../contract/traffic.ts'
import type { LoadBalancerValue } from '../objects.ts'

export interface SettledTraffic {
  timeouts: Timeouts
  retries: number
  slowStartSeconds: number
  stickySessions: StickySessions | null
  proxyProtocol: ProxyProtocol
  limits: Limits
  logging: Logging
}

/** Of a balancer that says nothing of it. */
export const plainTraffic: SettledTraffic = {
  timeouts: v.parse(timeoutsSchema, {}),
  retries: 3,
  slowStartSeconds: 0,
  stickySessions: null,
  proxyProtocol: v.parse(proxyProtocolSchema, {}),
  limits: v.parse(limitsSchema, {}),
  logging: v.parse(loggingSchema, {}),
}

export function settleTraffic(value: LoadBalancerValue): SettledTraffic {
  return {
    timeouts: { ...plainTraffic.timeouts, ...value.timeouts },
    retries: value.retries ?? plainTraffic.retries,
    slowStartSeconds: value.slowStartSeconds ?? plainTraffic.slowStartSeconds,
    stickySessions: value.stickySessions ?? plainTraffic.stickySessions,
    proxyProtocol: { ...plainTraffic.proxyProtocol, ...value.proxyProtocol },
    limits: { ...plainTraffic.limits, ...value.limits },
    logging: { ...plainTraffic.logging, ...value.logging },
  }
}
