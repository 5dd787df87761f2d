/**
 * The agent alone on three hosts, told by files what to be: networks over VXLAN, DHCP and names, machines, repair and
 * removal. Needs root, and makes everything within namespaces of its own:
 *   bun test ./test/lab/agent-network.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { HostReport } from '../../agent/contract/host-report.ts'
import { gatewayDevice, linkName } from '../../agent/kernel/names.ts'
import { listFolder, startTestHosts, type TestHost, type TestHosts, until } from './agent-hosts.ts'
import { makeTestInstance, makeTestInstructions, type TestNetwork, testId } from './agent-instructions.ts'

setDefaultTimeout(60_000)

/** Two projects with the very same addresses, and a third network beside the first. */
const networks: TestNetwork[] = [
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
const instance = makeTestInstance(1, 1, 1, ['10.1.0', '10.1.1'])
const vip = '198.18.30.1/20'

let lab: TestHosts
let north: TestHost
let generation = 0

/** Every host gets what it needs of these; resolves when all have answered with everything converged. */
async function instructAll(wanted: readonly TestNetwork[], instances = [instance]): Promise<void> {
  generation += 1
  for (const host of lab.hosts) {
    const own = host === north ? instances : []
    host.writeInstructions(makeTestInstructions(host.name, generation, lab.hosts, wanted, own))
  }
  await Promise.all(lab.hosts.map((host) => until(`${host.name} has converged`, () => hasConverged(host.report()))))
}

function hasConverged(report: HostReport | undefined): boolean {
  if (report?.generation !== generation) return false
  return [...report.networks, ...report.machines, ...report.instances].every(({ status }) => status === 'converged')
}

const onMachine = (host: TestHost, number: number, ...argv: readonly string[]) =>
  host.try('ip', 'netns', 'exec', testId('mch', number), ...argv)

const applied = (host: TestHost) => host.log().filter(({ msg }) => msg === 'applied' || msg === 'apply failed')

beforeAll(async () => {
  lab = await startTestHosts(['north', 'south', 'west'])
  const [first] = lab.hosts
  if (first === undefined) throw new Error('BUG: there are no hosts')
  north = first
  for (const host of lab.hosts) host.startAgent()
  await instructAll(networks)
})

afterAll(async () => {
  await lab?.stop()
})

describe('a network over three hosts', () => {
  const pairs: [string, number, number, string][] = [
    ['the same shard, another host', 11, 12, '10.1.0.12'],
    ['another shard, another host', 11, 13, '10.1.1.13'],
    ['another shard, back', 13, 11, '10.1.0.11'],
    ['another shard, a third host', 12, 14, '10.1.1.14'],
    ['another network of the project, the same host', 11, 31, '10.3.0.11'],
  ]
  test.each(pairs)('ping without loss to %s', async (_, from, to, address) => {
    const machine = networks.flatMap(({ machines }) => machines).find(({ number }) => number === from)
    const host = lab.hosts.find(({ name }) => name === machine?.host)
    expect(to).toBeGreaterThan(0)
    if (host === undefined) throw new Error(`BUG: nobody has machine ${from}`)
    const { stdout } = await onMachine(host, from, 'ping', '-q', '-c', '50', '-i', '0.01', '-W', '1', address)
    expect(stdout).toContain('50 packets transmitted, 50 received')
  })

  test('no ICMP redirect has taught a machine a way round its gateway', async () => {
    const { stdout } = await onMachine(north, 11, 'ip', 'route', 'get', '10.1.1.13')
    expect(stdout).toContain('via 10.1.0.1')
  })

  test('the workloads answer by name, host and address', async () => {
    const web = await onMachine(north, 11, 'curl', '-s', '--max-time', '3', 'http://10.1.1.13/')
    expect(web.stdout).toBe('web-3 south 10.1.1.13\n')
  })

  test('a gateway is asked on its own host alone: no ARP for it crosses', async () => {
    const far = lab.hosts[1]
    if (far === undefined) throw new Error('BUG: there is no second host')
    const countRx = async () => {
      const vxlan = linkName('vxlan', testId('net', 1))
      const [link] = JSON.parse(await far.run('ip', '-s', '-j', 'link', 'show', vxlan))
      return Number(link.stats64.rx.packets)
    }
    await onMachine(north, 11, 'ip', 'neigh', 'flush', 'dev', 'eth0')
    const before = await countRx()
    const { stdout } = await onMachine(north, 11, 'ping', '-q', '-c', '1', '-W', '1', '10.1.0.1')
    expect(stdout).toContain('1 received')
    expect(await countRx()).toBe(before)
  })
})

describe('two projects with the same addresses', () => {
  test('each sees its own', async () => {
    const one = await onMachine(north, 11, 'curl', '-s', '--max-time', '3', 'http://10.1.0.12/')
    const other = await onMachine(north, 21, 'curl', '-s', '--max-time', '3', 'http://10.1.0.22/')
    expect([one.stdout, other.stdout]).toEqual(['web-2 south 10.1.0.12\n', 'other-2 south 10.1.0.22\n'])
  })

  test.each([
    [21, '10.1.0.12'],
    [21, '10.1.1.13'],
    [21, '10.3.0.11'],
    [11, '10.1.0.22'],
  ])('machine %d does not reach %s, which is in the other project', async (from, address) => {
    const { stdout } = await onMachine(north, from, 'ping', '-q', '-c', '3', '-i', '0.05', '-W', '1', address)
    expect(stdout).toContain(' 0 received')
  })
})

describe('DHCP and names', () => {
  test.each([
    [11, '10.1.0.11 255.255.255.0 10.1.0.1 10.1.0.1 network-1.test web-1'],
    [31, '10.3.0.11 255.255.255.0 10.3.0.1 10.3.0.1 network-3.test back-1'],
  ])('machine %d is told its reservation by its own gateway', async (number, expected) => {
    const script = `${lab.folder}/udhcpc.sh`
    const answer = `${lab.folder}/udhcpc-${number}`
    const words = '$ip $subnet $router $dns $domain $hostname'
    writeFileSync(script, `#!/bin/sh\n[ "$1" = bound ] && echo "${words}" > ${answer}\nexit 0\n`)
    chmodSync(script, 0o755)
    const client = [
      'busybox',
      'udhcpc',
      '-i',
      'eth0',
      '-f',
      '-n',
      '-q',
      '-t',
      '5',
      '-T',
      '1',
      '-O',
      'hostname',
      '-s',
      script,
    ]
    const { exitCode, stderr } = await onMachine(north, number, ...client)
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 })
    expect(readFileSync(answer, 'utf8').trim()).toBe(expected)
  })

  test('a machine on another host is found by its name, one of another project is not', async () => {
    const [near, whole, foreign] = await Promise.all(
      ['web-3', 'web-3.network-1.test', 'other-2.network-2.test'].map((name) =>
        onMachine(north, 11, 'getent', 'ahostsv4', name),
      ),
    )
    expect(near?.stdout).toContain('10.1.1.13')
    expect(whole?.stdout).toContain('10.1.1.13')
    expect(foreign?.stdout).toBe('')
  })

  test('a machine that is new elsewhere is known here without a restart of dnsmasq', async () => {
    const dnsmasqPid = async () => (await north.run('pgrep', '-f', `dnsmasq.*${testId('prj', 1)}`)).trim()
    const before = await dnsmasqPid()
    const [first, ...others] = networks
    if (first === undefined) throw new Error('BUG: there are no networks')
    const more = { number: 15, name: 'web-5', host: 'west', address: '10.1.0.15' }
    await instructAll([{ ...first, machines: [...first.machines, more] }, ...others])
    const found = await onMachine(north, 11, 'getent', 'ahostsv4', 'web-5.network-1.test')
    expect(found.stdout).toContain('10.1.0.15')
    expect(await dnsmasqPid()).toBe(before)
    await instructAll(networks)
  })
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
      async () => (await onMachine(north, 11, 'ping', '-q', '-c', '1', '-W', '0.1', '10.1.1.13')).exitCode === 0,
    ],
    [
      'the address of a machine',
      ['-n', machine, 'address', 'delete', '10.1.0.11/24', 'dev', 'eth0'],
      async () => (await north.run('ip', '-n', machine, 'route')).includes('default via 10.1.0.1'),
    ],
    [
      'the default route of a machine',
      ['-n', machine, 'route', 'delete', 'default'],
      async () => (await north.run('ip', '-n', machine, 'route')).includes('default via 10.1.0.1'),
    ],
    [
      'the address of a gateway',
      ['-n', project, 'address', 'delete', '10.1.1.1/24', 'dev', gateway],
      async () => (await north.run('ip', '-n', project, 'address')).includes('10.1.1.1/24'),
    ],
    [
      'a neighbour entry of a gateway',
      ['-n', project, 'neighbour', 'delete', '10.1.1.13', 'dev', gateway],
      async () => (await north.run('ip', '-n', project, 'neighbour')).includes('10.1.1.13 dev'),
    ],
    [
      'the forwarding of a project',
      ['netns', 'exec', project, 'sysctl', '-qw', 'net.ipv4.ip_forward=0'],
      async () =>
        (await north.run('ip', 'netns', 'exec', project, 'sysctl', '-n', 'net.ipv4.ip_forward')).trim() === '1',
    ],
    [
      'the VXLAN',
      ['link', 'delete', vxlan],
      async () => (await onMachine(north, 11, 'ping', '-q', '-c', '1', '-W', '0.1', '10.1.0.12')).exitCode === 0,
    ],
    [
      'the bridge',
      ['link', 'delete', linkName('bridge', network)],
      async () => (await onMachine(north, 11, 'ping', '-q', '-c', '1', '-W', '0.1', '10.1.0.12')).exitCode === 0,
    ],
    [
      'the namespace of a machine, whose workloads live on in what is left of it',
      ['netns', 'delete', machine],
      async () => (await onMachine(north, 11, 'curl', '-sf', '--max-time', '1', 'http://10.1.0.11/')).exitCode === 0,
    ],
    [
      'the namespace of a project',
      ['netns', 'delete', project],
      async () => (await onMachine(north, 11, 'ping', '-q', '-c', '1', '-W', '0.1', '10.1.1.13')).exitCode === 0,
    ],
    [
      'the uplink leg of an instance',
      ['-n', instance.id, 'link', 'delete', 'uplink'],
      async () => (await north.try('ip', '-n', instance.id, 'route')).stdout.includes('default via 198.18.16.1'),
    ],
  ]
  test.each(drifts)('%s', async (_, argv, isRepaired) => {
    const seconds = await measureRepair(() => north.run('ip', ...argv), isRepaired)
    expect(seconds).toBeLessThan(1)
  })

  test('an entry of the forwarding table', async () => {
    const entry = [`02:00:00:00:00:0c`, 'dev', vxlan, 'dst', '198.18.0.2', 'self']
    const seconds = await measureRepair(
      () => north.run('bridge', 'fdb', 'delete', ...entry),
      async () => (await north.run('bridge', 'fdb', 'show', 'dev', vxlan)).includes('02:00:00:00:00:0c dst 198.18.0.2'),
    )
    expect(seconds).toBeLessThan(1)
  })

  test('a workload that died', async () => {
    const pattern = 'workload web .*--name=web-1'
    const pid = (await north.run('pgrep', '-f', pattern)).trim()
    const seconds = await measureRepair(
      () => north.run('kill', '-9', pid),
      async () => (await onMachine(north, 11, 'curl', '-sf', '--max-time', '1', 'http://10.1.0.11/')).exitCode === 0,
    )
    expect(seconds).toBeLessThan(1)
  })

  test('our bridge rules, in the slow round', async () => {
    await north.run('nft', 'delete', 'table', 'bridge', 'sluice')
    const isThere = async () => (await north.try('nft', 'list', 'table', 'bridge', 'sluice')).exitCode === 0
    await until('the rules are back', isThere, 60)
  })

  async function measureRepair(harm: () => Promise<unknown>, isRepaired: () => Promise<boolean>): Promise<number> {
    await until('it was well before', isRepaired)
    await harm()
    const startedAt = performance.now()
    await until('it is repaired', isRepaired)
    return (performance.now() - startedAt) / 1000
  }
})

describe('what others put there', () => {
  test('VIPs on the uplink stay, and are no drift', async () => {
    await north.run('ip', '-n', instance.id, 'address', 'add', vip, 'dev', 'uplink')
    const before = applied(north).length
    await north.killAgent()
    north.startAgent()
    await until('the new agent has reported', () => north.log().length > 0 && hasConverged(north.report()))
    const { log } = await north.runOnce()
    expect(log.filter(({ msg }) => msg === 'applied')).toEqual([])
    expect(await north.run('ip', '-n', instance.id, 'address')).toContain(vip)
    expect(before).toBeGreaterThan(0)
  })

  test('the foreign stays when all of ours goes, with its processes and files', async () => {
    await north.run('ip', 'link', 'add', 'foreign0', 'type', 'bridge')
    await north.run('ip', 'netns', 'add', 'foreign')
    await north.run('ip', 'link', 'add', 'foreign1', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', 'foreign')
    await north.run('ip', 'link', 'set', 'foreign1', 'alias', 'sluice: not an id', 'up')
    await north.run('nft', 'add', 'table', 'bridge', 'foreign')
    const foreign = north.spawn('ip', 'netns', 'exec', 'foreign', 'sleep', '300')
    const dnsmasq = north.spawn('dnsmasq', '--keep-in-foreground', '--port=5353', '--conf-file=/dev/null', '--pid-file')

    await instructAll([], [])

    expect((await north.run('ip', 'netns', 'list')).trim().split(' ')[0]).toBe('foreign')
    const links = (await north.run('ip', '-br', 'link')).split('\n').flatMap((line) => line.split(/[@ ]/)[0] || [])
    expect(links.sort()).toEqual(['foreign0', 'foreign1', 'lo', 'und0', 'up0'])
    expect(await north.run('nft', 'list', 'tables')).toBe('table bridge foreign\n')
    expect([foreign.exitCode, dnsmasq.exitCode]).toEqual([null, null])
    const processes = await north.run('ps', '-eo', 'args')
    expect(
      processes.split('\n').filter((line) => line.includes('workload') || line.includes(testId('prj', 1))),
    ).toEqual([])
    expect(listFolder(`${north.folder}/run/objects`)).toEqual([])
    expect((await north.run('ls', '/etc/netns')).trim()).toBe('')
  })
})

describe('the agent', () => {
  test('has nothing left to do in a second look', async () => {
    await instructAll(networks)
    for (const host of lab.hosts) {
      const { report, log } = await host.runOnce()
      expect(log.filter(({ msg }) => msg !== 'agent runs')).toEqual([])
      expect(hasConverged(report)).toBe(true)
    }
  })

  test('names what failed, and does the rest', async () => {
    const [first, ...others] = networks
    if (first === undefined) throw new Error('BUG: there are no networks')
    const more = { number: 17, name: 'web-7', host: 'north', address: '10.1.0.17' }
    generation += 1
    const broken = {
      ...makeTestInstance(2, 1, 1, ['10.1.0']),
      network: { ...instance.network, onLinkCidrs: ['10.1.0.7/24'] },
    }
    north.writeInstructions(
      makeTestInstructions(
        'north',
        generation,
        lab.hosts,
        [{ ...first, machines: [...first.machines, more] }, ...others],
        [instance, broken],
      ),
    )
    const report = await until('the failure is reported', () => {
      const now = north.report()
      return now?.generation === generation && now.instances.some(({ status }) => status === 'failed') && now
    })
    expect(report.instances.find(({ id }) => id === broken.id)?.reason).toContain('10.1.0.7/24')
    expect(report.machines.find(({ id }) => id === testId('mch', 17))?.status).toBe('converged')
    generation += 1
    north.writeInstructions(makeTestInstructions('north', generation, lab.hosts, networks, [instance]))
    await until('north has converged', () => hasConverged(north.report()))
  })

  test('refuses an older statement', async () => {
    const older = makeTestInstructions('north', generation - 1, lab.hosts, [])
    north.writeInstructions(older)
    await until('it was refused', () => north.log().some(({ outcome }) => outcome === 'older'))
    expect(north.report()?.machines.length).toBeGreaterThan(0)
    north.writeInstructions(makeTestInstructions('north', generation, lab.hosts, networks, [instance]))
  })

  test('is killed and started again: its daemons live on, and are known again', async () => {
    const daemons = async () => (await north.run('pgrep', '-f', 'workload|dnsmasq --conf')).trim()
    const before = await daemons()
    await north.killAgent()
    expect(await daemons()).toBe(before)
    const sequence = north.report()?.sequence ?? 0
    north.startAgent()
    await until('the new agent has reported', () => {
      const report = north.report()
      return report !== undefined && report.sequence < Math.max(sequence, 2) && hasConverged(report)
    })
    expect(await daemons()).toBe(before)
    expect(existsSync(`${north.folder}/state/instructions.json`)).toBe(true)
  })
})
