/** How traffic is treated where instructions say nothing of it. Pure. */

import type { TrafficInstructions } from '../agent/contract/traffic-instructions.ts'

export const plainTraffic: TrafficInstructions = {
  requestSeconds: 10,
  keepAliveSeconds: 30,
  queueSeconds: 5,
  tunnelSeconds: 3600,
  retries: 3,
  slowStartSeconds: 0,
  sendProxy: 'none',
  acceptProxyFrom: [],
  limits: {},
  nameServers: [],
}
