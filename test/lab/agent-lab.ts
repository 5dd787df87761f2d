/** Three hosts with an agent each, told by files what to be, for the tests of the agent alone. */

import type { InstanceInstructions } from '../../agent/contract/host-instructions.ts'
import type { HostReport } from '../../agent/contract/host-report.ts'
import { startTestHosts, type TestHost, type TestHosts, until } from './agent-hosts.ts'
import { makeTestInstance, makeTestInstructions, type TestNetwork, testId } from './agent-instructions.ts'

/** Two projects with the very same addresses, and a third network beside the first. */
export const networks: readonly TestNetwork[] = [
  {
    number: 1,
    project: 1,
    vni: 101,
    shards: ['10.1.0', '10.1.1'],
    machines: [
      { number: 11, name: 'web-1', host: 'north', address: '10.1.0.11' },
      { number: 12, name: 'web-2', host: 'south', address: '10.1.0.12' },
      { number: 13, name: 'web-3', host: 'south', address: '10.1.1.13' },
      { number: 14, name: 'web-4', host: 'west', address: '10.1.1.14' },
    ],
  },
  {
    number: 2,
    project: 2,
    vni: 102,
    shards: ['10.1.0'],
    machines: [
      { number: 21, name: 'other-1', host: 'north', address: '10.1.0.11' },
      { number: 22, name: 'other-2', host: 'south', address: '10.1.0.22' },
    ],
  },
  {
    number: 3,
    project: 1,
    vni: 103,
    shards: ['10.3.0'],
    machines: [{ number: 31, name: 'back-1', host: 'north', address: '10.3.0.11' }],
  },
]
export const instance = makeTestInstance(1, 1, 1, ['10.1.0', '10.1.1'])

export interface AgentLab {
  readonly hosts: TestHosts
  readonly north: TestHost
  /** Every host gets what it needs of these; resolves when all have answered with everything converged. */
  instructAll(wanted: readonly TestNetwork[], instances?: readonly InstanceInstructions[]): Promise<void>
  /** Tells north alone, and gives the statement's generation at once; an older one has that of a moment before. */
  instructNorth(
    wanted: readonly TestNetwork[],
    instances: readonly InstanceInstructions[],
    age?: 'newer' | 'older',
  ): number
  /** The report answers the last statement, and all in it is well. */
  hasConverged(report: HostReport | undefined): boolean
  onMachine(
    host: TestHost,
    number: number,
    ...argv: readonly string[]
  ): Promise<{ exitCode: number; stdout: string; stderr: string }>
  stop(): Promise<void>
}

/** Resolves when all hosts have converged on the networks above. */
export async function startAgentLab(): Promise<AgentLab> {
  const hosts = await startTestHosts(['north', 'south', 'west'])
  const [north] = hosts.hosts
  if (north === undefined) throw new Error('BUG: there are no hosts')
  let generation = 0

  const hasConverged = (report: HostReport | undefined) => {
    if (report?.generation !== generation) return false
    return [...report.networks, ...report.machines, ...report.instances].every(({ status }) => status === 'converged')
  }
  const untilConverged = (host: TestHost) =>
    until(`${host.name} has converged`, () => hasConverged(host.report())).catch((cause: unknown) => {
      const log = host
        .log()
        .slice(-20)
        .map((line) => JSON.stringify(line))
      throw new Error(`${JSON.stringify(host.report())}\n${log.join('\n')}`, { cause })
    })
  const lab: AgentLab = {
    hosts,
    north,
    async instructAll(wanted, instances = [instance]) {
      generation += 1
      for (const host of hosts.hosts) {
        const own = host === north ? instances : []
        host.writeInstructions(makeTestInstructions(host.name, generation, hosts.hosts, wanted, own))
      }
      await Promise.all(hosts.hosts.map((host) => untilConverged(host)))
    },
    instructNorth(wanted, instances, age = 'newer') {
      if (age === 'newer') generation += 1
      const said = age === 'newer' ? generation : generation - 1
      north.writeInstructions(makeTestInstructions('north', said, hosts.hosts, wanted, instances))
      return said
    },
    hasConverged,
    onMachine: (host, number, ...argv) => host.try('ip', 'netns', 'exec', testId('mch', number), ...argv),
    stop: () => hosts.stop(),
  }
  try {
    for (const host of hosts.hosts) host.startAgent()
    await lab.instructAll(networks)
    return lab
  } catch (error) {
    await hosts.stop()
    throw error
  }
}
