/** Two hosts with an instance each of one balancer, three machines behind them, and a client, for the agent's own tests. */

import type { InstanceInstructions, ListenerInstructions } from '../../agent/contract/host-instructions.ts'
import type { InstanceReport } from '../../agent/contract/host-report.ts'
import { startTestHosts, type TestHost, type TestHosts, until } from './agent-hosts.ts'
import { makeTestInstance, makeTestInstructions, type TestNetwork, testId } from './agent-instructions.ts'
import type { HttpLoadResult } from './http-load.ts'

export const network: TestNetwork = {
  number: 1,
  project: 1,
  vni: 101,
  shards: ['10.1.0'],
  machines: [
    { number: 11, name: 'web-1', host: 'north', address: '10.1.0.11' },
    { number: 12, name: 'web-2', host: 'south', address: '10.1.0.12' },
    { number: 13, name: 'web-3', host: 'south', address: '10.1.0.13' },
  ],
}

export const vips = ['198.18.31.1', '198.18.31.2'] as const
const clientAddress = '198.18.31.250'

export type Member = ListenerInstructions['members'][number]

export const member = (number: 11 | 12 | 13, port = 80): Member => ({
  id: testId('mch', number),
  address: `10.1.0.${number}`,
  port,
  weight: 1,
})

/** Instance `number` (1 or 2) of the balancer: home of its own VIP, backup of the other. */
export function balancerInstance(
  number: 1 | 2,
  listeners: readonly ListenerInstructions[],
  change: Partial<InstanceInstructions> = {},
): InstanceInstructions {
  const base = makeTestInstance(number, network.number, network.project, network.shards)
  const peer = makeTestInstance(number === 1 ? 2 : 1, network.number, network.project, network.shards)
  return {
    ...base,
    vips: vips.map((address, index) => ({
      slot: index + 1,
      address,
      prefixLength: 20,
      virtualRouterId: index + 1,
      priority: index + 1 === number ? 200 : 100,
      home: index + 1 === number,
      peerAddresses: [peer.uplink.address],
    })),
    listeners: [...listeners],
    timeouts: { ...base.timeouts, drainSeconds: 2 },
    ...change,
  }
}

export interface Load {
  /** Resolves at the first answer. */
  readonly answered: Promise<void>
  end(): Promise<HttpLoadResult>
}

export interface BalancerLab {
  readonly hosts: TestHosts
  readonly north: TestHost
  readonly south: TestHost
  /** Tells both hosts, and does not wait. Without listeners there is no balancer. `ofNorth`: of that instance alone. */
  instruct(
    listeners?: readonly ListenerInstructions[],
    change?: Partial<InstanceInstructions>,
    ofNorth?: Partial<InstanceInstructions>,
  ): void
  /** Resolves when both have answered the last statement with everything converged and serving. */
  converged(): Promise<void>
  instance(host: TestHost): InstanceReport | undefined
  /** Who has this VIP in the kernel, by name. */
  holders(vip: string): Promise<string[]>
  load(mode: 'steady' | 'post' | 'probe', address: string, port?: number, connections?: number): Load
  onClient(...argv: readonly string[]): Promise<string>
  stop(): Promise<void>
}

function followLoad(child: Bun.Subprocess<'ignore', 'pipe', 'inherit'>): Load {
  let text = ''
  const start = Promise.withResolvers<void>()
  const read = async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stdout) {
      text += decoder.decode(chunk, { stream: true })
      if (text.includes('\n')) start.resolve()
    }
  }
  const ended = read()
  return {
    answered: start.promise,
    async end() {
      child.kill('SIGTERM')
      await ended
      await child.exited
      return JSON.parse(text.trim().split('\n').at(-1) ?? '') as HttpLoadResult
    },
  }
}

/** For a machine that is busy with other things. */
const patienceSeconds = 40

export const instanceOn = (host: TestHost) => testId('ins', host.name === 'north' ? 1 : 2)

export async function startBalancerLab(): Promise<BalancerLab> {
  const hosts = await startTestHosts(['north', 'south'])
  const [north, south] = hosts.hosts
  if (north === undefined || south === undefined) throw new Error('BUG: there are no hosts')
  let generation = 0

  const instance = (host: TestHost) => host.report()?.instances.find(({ id }) => id === instanceOn(host))
  const hasConverged = (host: TestHost) => {
    const report = host.report()
    if (report?.generation !== generation) return false
    const all = [...report.networks, ...report.machines, ...report.instances]
    return all.every(({ status }) => status === 'converged') && report.instances.every(({ serving }) => serving)
  }
  const untilConverged = (host: TestHost) =>
    until(`${host.name} has converged`, () => hasConverged(host), patienceSeconds).catch((cause: unknown) => {
      const log = host
        .log()
        .slice(-20)
        .map((line) => JSON.stringify(line))
      throw new Error(`${JSON.stringify(host.report())}\n${log.join('\n')}`, { cause })
    })
  const lab: BalancerLab = {
    hosts,
    north,
    south,
    instruct(listeners, change, ofNorth) {
      generation += 1
      for (const [host, number] of [
        [north, 1],
        [south, 2],
      ] as const) {
        const changed = number === 1 ? { ...change, ...ofNorth } : change
        const own = listeners && [{ ...balancerInstance(number, listeners, changed), generation }]
        host.writeInstructions(makeTestInstructions(host.name, generation, hosts.hosts, [network], own))
      }
    },
    async converged() {
      await Promise.all([untilConverged(north), untilConverged(south)])
    },
    instance,
    async holders(vip) {
      const found = await Promise.all(
        [north, south].map(async (host) => {
          const { stdout } = await host.try('ip', '-n', instanceOn(host), '-o', 'address', 'show', 'to', vip)
          return stdout.includes(vip) ? [host.name] : []
        }),
      )
      return found.flat()
    },
    load: (mode, address, port = 80, connections = mode === 'probe' ? 1 : 8) => {
      const child = hosts.spawnOnSegments(
        process.execPath,
        `${import.meta.dir}/http-load.ts`,
        mode,
        address,
        String(port),
        String(connections),
      )
      return followLoad(child)
    },
    onClient: (...argv) => hosts.onSegments(...argv),
    stop: () => hosts.stop(),
  }
  try {
    await hosts.onSegments('ip', 'address', 'add', `${clientAddress}/20`, 'dev', 'uplink0')
    for (const host of hosts.hosts) host.startAgent()
    return lab
  } catch (error) {
    await hosts.stop()
    throw error
  }
}
