/** The instances that the golden files of haproxy and keepalived are rendered from, and that tests vary. */

import type { InstanceInstructions } from '../../agent/contract/host-instructions.ts'
import { plainTraffic } from '../plain-traffic.ts'

/** The first of two instances of a balancer for HTTP: home of VIP 1, backup of VIP 2. */
export const httpInstance: InstanceInstructions = {
  id: 'lbi_0123456789abcdefghjkmnpqr',
  generation: 1,
  loadBalancerId: 'lb_0123456789abcdefghjkmnpqr',
  projectId: 'prj_0123456789abcdefghjkmnpqr',
  networkId: 'net_0123456789abcdefghjkmnpqr',
  driver: 'netns',
  slot: 1,
  uplink: { mac: '02:00:00:00:00:01', address: '198.18.1.11', prefixLength: 20, gateway: '198.18.15.254' },
  network: { mac: '02:00:00:00:00:02', address: '198.18.16.201', onLinkCidrs: ['198.18.16.0/22'] },
  vips: [
    {
      slot: 1,
      address: '198.18.1.101',
      prefixLength: 20,
      virtualRouterId: 1,
      priority: 200,
      home: true,
      peerAddresses: ['198.18.1.12'],
    },
    {
      slot: 2,
      address: '198.18.1.102',
      prefixLength: 20,
      virtualRouterId: 2,
      priority: 100,
      home: false,
      peerAddresses: ['198.18.1.12'],
    },
  ],
  advertIntervalSeconds: 0.05,
  preemptDelaySeconds: 5,
  trafficType: 'http',
  algorithm: 'round-robin',
  forwardedFor: true,
  timeouts: { connectSeconds: 2, clientSeconds: 30, serverSeconds: 30, drainSeconds: 10 },
  healthCheck: {
    protocol: 'http',
    method: 'GET',
    path: "/health?of=it's",
    hostHeader: 'web.example',
    expectedStatus: '200-399',
    intervalSeconds: 5,
    timeoutSeconds: 5,
    healthyThreshold: 2,
    unhealthyThreshold: 2,
  },
  listeners: [
    {
      port: 80,
      members: [
        { id: 'mem_00000000000000000000000a1', address: '198.18.16.11', port: 8080, weight: 1 },
        { id: 'mem_00000000000000000000000a2', address: '198.18.16.12', port: 8081, weight: 3 },
      ],
    },
    { port: 8443, members: [] },
  ],
}

/** One that is alone, for TCP, checked on a port of its own. */
export const tcpInstance: InstanceInstructions = {
  ...httpInstance,
  vips: httpInstance.vips.slice(0, 1).map((vip) => ({ ...vip, peerAddresses: [] })),
  preemptDelaySeconds: 0,
  trafficType: 'tcp',
  algorithm: 'least-connections',
  forwardedFor: false,
  healthCheck: {
    protocol: 'tcp',
    port: 9000,
    intervalSeconds: 0.5,
    timeoutSeconds: 0.5,
    healthyThreshold: 1,
    unhealthyThreshold: 3,
  },
  listeners: [
    { port: 5432, members: [{ id: 'mem_00000000000000000000000a1', address: '198.18.16.11', port: 5432, weight: 1 }] },
  ],
}

/** One for HTTP that says everything of its traffic: cookies, PROXY headers, limits, a member by name, while it drains. */
export const cookieInstance: InstanceInstructions = {
  ...httpInstance,
  algorithm: 'source',
  draining: true,
  timeouts: { ...httpInstance.timeouts, drainSeconds: 300 },
  traffic: {
    ...plainTraffic,
    retries: 1,
    slowStartSeconds: 30,
    stickySessions: { by: 'cookie', cookieName: 'SLUICE' },
    sendProxy: 'v2',
    acceptProxyFrom: ['198.18.0.0/20', '192.0.2.7/32'],
    limits: { connections: 2000, memberConnections: 100, memberQueue: 50, sourceRate: 20, requestBodyBytes: 1_048_576 },
    nameServers: ['198.18.16.1'],
  },
  healthCheck: {
    protocol: 'https',
    method: 'GET',
    path: '/health',
    hostHeader: 'web.example',
    expectedStatus: '200',
    expectedBody: "it's fine",
    serverName: 'web.example',
    intervalSeconds: 5,
    timeoutSeconds: 5,
    healthyThreshold: 2,
    unhealthyThreshold: 2,
  },
  listeners: [
    {
      port: 80,
      members: [{ id: 'mem_00000000000000000000000a1', address: '198.18.16.11', port: 8080, weight: 1 }],
      namedMembers: [{ id: 'mem_00000000000000000000000a3', host: 'web-3.shop.internal', port: 8080, weight: 2 }],
    },
  ],
}

/** One for TCP whose clients stay with their members by their addresses, which it tells its mate. */
export const sourceInstance: InstanceInstructions = {
  ...tcpInstance,
  traffic: {
    ...plainTraffic,
    stickySessions: {
      by: 'source',
      idleSeconds: 1800,
      mates: [{ id: 'lbi_0123456789abcdefghjkmnpqs', address: '198.18.16.202' }],
    },
    sendProxy: 'v1',
    limits: { sourceRate: 10 },
  },
}

/** The one that says everything of its traffic, and writes down each tenth request. */
export const loggingInstance: InstanceInstructions = {
  ...cookieInstance,
  accessLog: { oneOf: 10, clientAddress: 'shortened' },
}
