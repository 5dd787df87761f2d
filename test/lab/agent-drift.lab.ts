/**
 * The agent puts back within a second what others take away. Needs root, and makes everything within namespaces of its
 * own: bun test ./test/lab/agent-drift.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { gatewayDevice, linkName } from '../../agent/kernel/names.ts'
import { until } from './agent-hosts.ts'
import { testId } from './agent-instructions.ts'
import { type AgentLab, instance, startAgentLab } from './agent-lab.ts'

setDefaultTimeout(90_000)

let lab: AgentLab

beforeAll(async () => {
  lab = await startAgentLab()
})

afterAll(async () => {
  await lab?.stop()
})

describe('drift is repaired within a second', () => {
  const machine = testId('mch', 11)
  const project = testId('prj', 1)
  const network = testId('net', 1)
  const vxlan = linkName('vxlan', network)
  const gateway = gatewayDevice(network)
  const drifts: [string, string[], () => Promise<boolean>][] = [
    [
      'the link of a machine',
      ['link', 'delete', linkName('machine', machine)],
      async () =>
        (await lab.onMachine(lab.north, 11, 'ping', '-q', '-c', '1', '-W', '0.1', '10.1.1.13')).exitCode === 0,
    ],
    [
      'the address of a machine',
      ['-n', machine, 'address', 'delete', '10.1.0.11/24', 'dev', 'eth0'],
      async () => (await lab.north.run('ip', '-n', machine, 'route')).includes('default via 10.1.0.1'),
    ],
    [
      'the default route of a machine',
      ['-n', machine, 'route', 'delete', 'default'],
      async () => (await lab.north.run('ip', '-n', machine, 'route')).includes('default via 10.1.0.1'),
    ],
    [
      'the address of a gateway',
      ['-n', project, 'address', 'delete', '10.1.1.1/24', 'dev', gateway],
      async () => (await lab.north.run('ip', '-n', project, 'address')).includes('10.1.1.1/24'),
    ],
    [
      'a neighbour entry of a gateway',
      ['-n', project, 'neighbour', 'delete', '10.1.1.13', 'dev', gateway],
      async () => (await lab.north.run('ip', '-n', project, 'neighbour')).includes('10.1.1.13 dev'),
    ],
    [
      'the forwarding of a project',
      ['netns', 'exec', project, 'sysctl', '-qw', 'net.ipv4.ip_forward=0'],
      async () =>
        (await lab.north.run('ip', 'netns', 'exec', project, 'sysctl', '-n', 'net.ipv4.ip_forward')).trim() === '1',
    ],
    [
      'the VXLAN',
      ['link', 'delete', vxlan],
      async () =>
        (await lab.onMachine(lab.north, 11, 'ping', '-q', '-c', '1', '-W', '0.1', '10.1.0.12')).exitCode === 0,
    ],
    [
      'the bridge',
      ['link', 'delete', linkName('bridge', network)],
      async () =>
        (await lab.onMachine(lab.north, 11, 'ping', '-q', '-c', '1', '-W', '0.1', '10.1.0.12')).exitCode === 0,
    ],
    [
      'the namespace of a machine, whose workloads live on in what is left of it',
      ['netns', 'delete', machine],
      async () =>
        (await lab.onMachine(lab.north, 11, 'ping', '-q', '-c', '1', '-W', '0.1', '10.1.1.13')).exitCode === 0,
    ],
    [
      'the namespace of a project',
      ['netns', 'delete', project],
      async () =>
        (await lab.onMachine(lab.north, 11, 'ping', '-q', '-c', '1', '-W', '0.1', '10.1.1.13')).exitCode === 0,
    ],
    [
      'the uplink leg of an instance',
      ['-n', instance.id, 'link', 'delete', 'uplink'],
      async () => (await lab.north.try('ip', '-n', instance.id, 'route')).stdout.includes('default via 198.18.16.1'),
    ],
  ]
  test.each(drifts)('%s', async (_, argv, isRepaired) => {
    const seconds = await measureRepair(() => lab.north.run('ip', ...argv), isRepaired)
    expect(seconds).toBeLessThan(1)
    await until('the workload answers, if it was started anew', doesAnswer)
  })

  test('an entry of the forwarding table', async () => {
    const entry = [`02:00:00:00:00:0c`, 'dev', vxlan, 'dst', '198.18.0.2', 'self']
    const seconds = await measureRepair(
      () => lab.north.run('bridge', 'fdb', 'delete', ...entry),
      async () =>
        (await lab.north.run('bridge', 'fdb', 'show', 'dev', vxlan)).includes('02:00:00:00:00:0c dst 198.18.0.2'),
    )
    expect(seconds).toBeLessThan(1)
  })

  test('a workload that died is started again, and answers when it is ready', async () => {
    const processes = async () => (await lab.north.try('pgrep', '-f', 'workload web .*--name=web-1')).stdout.trim()
    const before = await processes()
    const seconds = await measureRepair(
      async () => {
        await lab.north.run('kill', '-9', before)
        await until('it is dead', async () => !(await processes()).includes(before))
      },
      async () => (await processes()) !== '',
    )
    expect(seconds).toBeLessThan(1)
    await until('it answers', doesAnswer)
  })

  test('our bridge rules, in the slow round', async () => {
    await lab.north.run('nft', 'delete', 'table', 'bridge', 'sluice')
    const isThere = async () => (await lab.north.try('nft', 'list', 'table', 'bridge', 'sluice')).exitCode === 0
    await until('the rules are back', isThere, 60)
  })

  async function doesAnswer(): Promise<boolean> {
    const answer = await lab.onMachine(lab.north, 11, 'curl', '-sf', '--max-time', '1', 'http://10.1.0.11/')
    return answer.exitCode === 0
  }

  async function measureRepair(harm: () => Promise<unknown>, isRepaired: () => Promise<boolean>): Promise<number> {
    await until('it was well before', isRepaired)
    await harm()
    const startedAt = performance.now()
    await until('it is repaired', isRepaired)
    return (performance.now() - startedAt) / 1000
  }
})
