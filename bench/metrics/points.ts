/**
 * Points as hosts would send them, of balancers that nobody runs: traffic that follows the day, with noise, members of
 * different weight, answers of which a few are errors, and much that never changes. Pure; the same for the same arguments.
 */

import { instanceName, listenerName, memberName, ownPlugins } from '../../agent/contract/point-names.ts'
import { type PointType, pointTypes } from '../../agent/contract/point-types.ts'
import { type Point, pointIntervalSeconds } from '../../agent/contract/points.ts'

export interface Fleet {
  readonly balancers: number
  readonly members: number
  readonly hosts: readonly string[]
}

const id = (kind: string, number: number) => `${kind}_${String(number).padStart(25, '0')}`
export const balancerId = (balancer: number) => id('lb', balancer)
export const projectId = id('prj', 1)
const instancesOfBalancer = 2

/** What one host says at one time; each balancer has an instance on two of the hosts. */
export interface FleetHost {
  readonly host: string
  /** `tick` counts intervals; counters go on from one to the next, so that all are to be asked for in their order. */
  say(tick: number, timeSeconds: number): Point[]
}

export function createFleet(fleet: Fleet): readonly FleetHost[] {
  return fleet.hosts.map((host, index) => {
    const instances = Array.from({ length: fleet.balancers * instancesOfBalancer }, (_, i) => i)
      .filter((i) => (Math.floor(i / instancesOfBalancer) + (i % instancesOfBalancer)) % fleet.hosts.length === index)
      .map((i) => createInstance(fleet, host, i))
    return { host, say: (tick, timeSeconds) => instances.flatMap((say) => say(tick, timeSeconds)) }
  })
}

function createInstance({ members }: Fleet, host: string, number: number) {
  const balancer = Math.floor(number / instancesOfBalancer)
  const ids = { projectId, loadBalancerId: balancerId(balancer), instanceId: id('lbi', number) }
  const random = createRandom(number + 1)
  const peak = 10 ** (1 + 2 * random())
  const memberIds = Array.from({ length: members }, (_, i) => id('mbr', balancer * 1000 + i))
  const counters = new Map<string, number>()
  const count = (name: string, increase: number) => {
    const next = (counters.get(name) ?? 0) + Math.max(0, Math.round(increase))
    counters.set(name, next)
    return next
  }

  return (_tick: number, timeSeconds: number): Point[] => {
    const make = (
      plugin: string,
      type: PointType,
      typeInstance: string,
      values: Readonly<Record<string, number>>,
    ): Point => ({
      host,
      plugin,
      pluginInstance: instanceName(ids),
      type,
      typeInstance,
      timeSeconds,
      intervalSeconds: pointIntervalSeconds,
      values: pointTypes[type].map(({ name }) => values[name] ?? 0),
    })
    const day = (timeSeconds % 86_400) / 86_400
    const rate = peak * (0.55 - 0.45 * Math.cos(2 * Math.PI * day)) * (0.85 + 0.3 * random())
    const requests = rate * pointIntervalSeconds
    const errors = random() < 0.02 ? 1 : 0
    const latency = () => Math.round(20 + 15 * random() + rate / 10) / 1000
    const traffic = (name: string, share: number) => ({
      connections: Math.round((rate * share) / 20 + 2 * random()),
      connections_total: count(`${name} connections`, (requests * share) / 3),
      requests_total: count(`${name} requests`, requests * share),
      received_bytes: count(`${name} received`, requests * share * (380 + 40 * random())),
      sent_bytes: count(`${name} sent`, requests * share * (5200 + 900 * random())),
    })
    const answers = (name: string, share: number) => ({
      responses_2xx: count(`${name} 2xx`, requests * share * 0.97),
      responses_4xx: count(`${name} 4xx`, requests * share * 0.02),
      responses_5xx: count(`${name} 5xx`, errors * share),
    })
    const waits = () => ({ response_time: latency(), total_time: latency(), connect_time: 0.001 })
    return [
      make(ownPlugins.haproxy, 'haproxy_process', '', {
        ...traffic('process', 1),
        cpu: count('cpu', requests * 60),
        threads: 2,
        resident: 9_437_184 + 4096 * Math.floor(8 * random()),
        idle: Math.round(100 - rate / 20) / 100,
        uptime: Math.floor(timeSeconds % 1e6),
        worker: 4711,
      }),
      make(ownPlugins.haproxy, 'haproxy_listener', listenerName(80), {
        ...traffic('listener', 1),
        ...answers('listener', 1),
        ...waits(),
        healthy_members: members,
      }),
      ...memberIds.map((member, i) =>
        make(ownPlugins.haproxy, 'haproxy_member', memberName(80, member, 'a'), {
          ...traffic(`member ${i}`, 1 / members),
          ...answers(`member ${i}`, 1 / members),
          ...waits(),
          healthy: 1,
          check_time: 0.001,
          weight: 100,
        }),
      ),
      make(ownPlugins.keepalived, 'keepalived_process', '', {
        running: 1,
        vips: 2,
        held_vips: 1,
        cpu: count('vrrp', 2000),
      }),
      ...['uplink', 'network'].map((device) =>
        make(ownPlugins.instance, 'device', device, {
          rx_bytes: count(`${device} rx`, requests * (5800 + 900 * random())),
          tx_bytes: count(`${device} tx`, requests * (5800 + 900 * random())),
          rx_packets: count(`${device} rx packets`, requests * 9),
          tx_packets: count(`${device} tx packets`, requests * 8),
        }),
      ),
      make(ownPlugins.instance, 'sockets', '', {
        tcp_in_use: Math.round(rate / 8),
        tcp_time_wait: Math.round(rate * 3),
      }),
      make(ownPlugins.instance, 'connection_tracking', '', { entries: Math.round(rate * 5) }),
    ]
  }
}

/** Mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const countValues = (points: readonly Point[]): number =>
  points.reduce((sum, { values }) => sum + values.length, 0)
