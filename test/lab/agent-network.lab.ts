/**
 * The agent alone on three hosts, told by files what to be: networks over VXLAN, DHCP and names, machines, removal, and
 * its own death. Needs root, and makes everything within namespaces of its own:
 *   bun test ./test/lab/agent-network.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { linkName } from '../../agent/kernel/names.ts'
import { listFolder, until } from './agent-hosts.ts'
import { makeTestInstance, testId } from './agent-instructions.ts'
import { type AgentLab, instance, networks, startAgentLab } from './agent-lab.ts'

setDefaultTimeout(90_000)

const vip = '198.18.30.1/20'

let lab: AgentLab

beforeAll(async () => {
  lab = await startAgentLab()
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
    const host = lab.hosts.hosts.find(({ name }) => name === machine?.host)
    expect(to).toBeGreaterThan(0)
    if (host === undefined) throw new Error(`BUG: nobody has machine ${from}`)
    const { stdout } = await lab.onMachine(host, from, 'ping', '-q', '-c', '50', '-i', '0.01', '-W', '1', address)
    expect(stdout).toContain('50 packets transmitted, 50 received')
  })

  test('no ICMP redirect has taught a machine a way round its gateway', async () => {
    const { stdout } = await lab.onMachine(lab.north, 11, 'ip', 'route', 'get', '10.1.1.13')
    expect(stdout).toContain('via 10.1.0.1')
  })

  test('the workloads answer by name, host and address', async () => {
    const web = await lab.onMachine(lab.north, 11, 'curl', '-s', '--max-time', '3', 'http://10.1.1.13/')
    expect(web.stdout).toBe('web-3 south 10.1.1.13\n')
  })

  test('a gateway is asked on its own host alone: no ARP for it crosses', async () => {
    const far = lab.hosts.hosts[1]
    if (far === undefined) throw new Error('BUG: there is no second host')
    const countRx = async () => {
      const vxlan = linkName('vxlan', testId('net', 1))
      const [link] = JSON.parse(await far.run('ip', '-s', '-j', 'link', 'show', vxlan))
      return Number(link.stats64.rx.packets)
    }
    await lab.onMachine(lab.north, 11, 'ip', 'neigh', 'flush', 'dev', 'eth0')
    const before = await countRx()
    const { stdout } = await lab.onMachine(lab.north, 11, 'ping', '-q', '-c', '1', '-W', '1', '10.1.0.1')
    expect(stdout).toContain('1 received')
    expect(await countRx()).toBe(before)
  })
})

describe('two projects with the same addresses', () => {
  test('each sees its own', async () => {
    const one = await lab.onMachine(lab.north, 11, 'curl', '-s', '--max-time', '3', 'http://10.1.0.12/')
    const other = await lab.onMachine(lab.north, 21, 'curl', '-s', '--max-time', '3', 'http://10.1.0.22/')
    expect([one.stdout, other.stdout]).toEqual(['web-2 south 10.1.0.12\n', 'other-2 south 10.1.0.22\n'])
  })

  test.each([
    [21, '10.1.0.12'],
    [21, '10.1.1.13'],
    [21, '10.3.0.11'],
    [11, '10.1.0.22'],
  ])('machine %d does not reach %s, which is in the other project', async (from, address) => {
    const { stdout } = await lab.onMachine(lab.north, from, 'ping', '-q', '-c', '3', '-i', '0.05', '-W', '1', address)
    expect(stdout).toContain(' 0 received')
  })
})

describe('DHCP and names', () => {
  test.each([
    [11, '10.1.0.11 255.255.255.0 10.1.0.1 10.1.0.1 network-1.test web-1'],
    [31, '10.3.0.11 255.255.255.0 10.3.0.1 10.3.0.1 network-3.test back-1'],
  ])('machine %d is told its reservation by its own gateway', async (number, expected) => {
    const script = `${lab.hosts.folder}/udhcpc.sh`
    const answer = `${lab.hosts.folder}/udhcpc-${number}`
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
    const { exitCode, stderr } = await lab.onMachine(lab.north, number, ...client)
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 })
    expect(readFileSync(answer, 'utf8').trim()).toBe(expected)
  })

  test('a machine on another host is found by its name, one of another project is not', async () => {
    const [near, whole, foreign] = await Promise.all(
      ['web-3', 'web-3.network-1.test', 'other-2.network-2.test'].map((name) =>
        lab.onMachine(lab.north, 11, 'getent', 'ahostsv4', name),
      ),
    )
    expect(near?.stdout).toContain('10.1.1.13')
    expect(whole?.stdout).toContain('10.1.1.13')
    expect(foreign?.stdout).toBe('')
  })

  test('a machine that is new elsewhere is known here without a restart of dnsmasq', async () => {
    const dnsmasqPid = async () => (await lab.north.run('pgrep', '-f', `dnsmasq.*${testId('prj', 1)}`)).trim()
    const before = await dnsmasqPid()
    const [first, ...others] = networks
    if (first === undefined) throw new Error('BUG: there are no networks')
    const more = { number: 15, name: 'web-5', host: 'west', address: '10.1.0.15' }
    await lab.instructAll([{ ...first, machines: [...first.machines, more] }, ...others])
    const found = await lab.onMachine(lab.north, 11, 'getent', 'ahostsv4', 'web-5.network-1.test')
    expect(found.stdout).toContain('10.1.0.15')
    expect(await dnsmasqPid()).toBe(before)
    await lab.instructAll(networks)
  })
})

describe('what others put there', () => {
  test('VIPs on the uplink stay, and are no drift', async () => {
    await lab.north.run('ip', '-n', instance.id, 'address', 'add', vip, 'dev', 'uplink')
    const { log } = await lab.north.runOnce()
    expect(log.filter(({ msg }) => msg === 'applied')).toEqual([])
    expect(await lab.north.run('ip', '-n', instance.id, 'address')).toContain(vip)
  })

  test('the foreign stays when all of ours goes, with its processes and files', async () => {
    await lab.north.run('ip', 'link', 'add', 'foreign0', 'type', 'bridge')
    await lab.north.run('ip', 'netns', 'add', 'foreign')
    await lab.north.run('ip', 'link', 'add', 'foreign1', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', 'foreign')
    await lab.north.run('ip', 'link', 'set', 'foreign1', 'alias', 'sluice: not an id', 'up')
    await lab.north.run('nft', 'add', 'table', 'bridge', 'foreign')
    const foreign = lab.north.spawn('ip', 'netns', 'exec', 'foreign', 'sleep', '300')
    const dnsmasq = lab.north.spawn(
      'dnsmasq',
      '--keep-in-foreground',
      '--port=5353',
      '--conf-file=/dev/null',
      '--pid-file',
    )

    await lab.instructAll([], [])

    expect((await lab.north.run('ip', 'netns', 'list')).trim().split(' ')[0]).toBe('foreign')
    const links = (await lab.north.run('ip', '-br', 'link')).split('\n').flatMap((line) => line.split(/[@ ]/)[0] || [])
    expect(links.sort()).toEqual(['foreign0', 'foreign1', 'lo', 'und0', 'up0'])
    expect(await lab.north.run('nft', 'list', 'tables')).toBe('table bridge foreign\n')
    expect([foreign.exitCode, dnsmasq.exitCode]).toEqual([null, null])
    const processes = await lab.north.run('ps', '-eo', 'args')
    expect(
      processes.split('\n').filter((line) => line.includes('workload') || line.includes(testId('prj', 1))),
    ).toEqual([])
    expect(listFolder(`${lab.north.folder}/run/objects`)).toEqual([])
    expect((await lab.north.run('ls', '/etc/netns')).trim()).toBe('')
  })
})

describe('the agent', () => {
  test('has nothing left to do in a second look', async () => {
    await lab.instructAll(networks)
    for (const host of lab.hosts.hosts) {
      const { report, log } = await host.runOnce()
      expect(log.filter(({ msg }) => msg !== 'agent runs')).toEqual([])
      expect(lab.hasConverged(report)).toBe(true)
    }
  })

  test('names what failed, and does the rest', async () => {
    const [first, ...others] = networks
    if (first === undefined) throw new Error('BUG: there are no networks')
    const more = { number: 17, name: 'web-7', host: 'north', address: '10.1.0.17' }
    const refused = '10.1.0.7/24'
    const broken = {
      ...makeTestInstance(2, 1, 1, ['10.1.0']),
      network: { ...instance.network, onLinkCidrs: [refused] },
    }
    const wanted = [{ ...first, machines: [...first.machines, more] }, ...others]
    const generation = lab.instructNorth(wanted, [instance, broken])
    const report = await until('the failure is reported', () => {
      const now = lab.north.report()
      return now?.generation === generation && now.instances.some(({ status }) => status === 'failed') && now
    })
    expect(report.instances.find(({ id }) => id === broken.id)?.reason).toContain(refused)
    expect(report.instances.find(({ id }) => id === instance.id)?.status).toBe('converged')
    expect(report.machines.find(({ id }) => id === testId('mch', 17))?.status).toBe('converged')
    await lab.instructAll(networks)
  })

  test('refuses an older statement', async () => {
    lab.instructNorth([], [], 'older')
    await until('it was refused', () => lab.north.log().some(({ outcome }) => outcome === 'older'))
    expect(lab.north.report()?.machines.length).toBeGreaterThan(0)
    await lab.instructAll(networks)
  })

  test('is killed and started again: its daemons live on, and are known again', async () => {
    const daemons = async () => (await lab.north.run('pgrep', '-f', 'workload|dnsmasq --conf')).trim()
    const before = await daemons()
    await lab.north.killAgent()
    expect(await daemons()).toBe(before)
    const sequence = lab.north.report()?.sequence ?? 0
    lab.north.startAgent()
    await until('the new agent has reported', () => {
      const report = lab.north.report()
      return report !== undefined && report.sequence < Math.max(sequence, 2) && lab.hasConverged(report)
    })
    expect(await daemons()).toBe(before)
    expect(existsSync(`${lab.north.folder}/state/instructions.json`)).toBe(true)
  })
})
