/**
 * Addresses that move while they are in use, on two hosts with agents alone: a machine gets another address, uses it and
 * loses the first; one is restarted for its address; and the leg of a balancer's instance changes under load. Needs root,
 * and makes everything within namespaces of its own: bun test ./test/lab/agent-addresses.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import type { InstanceInstructions } from '../../agent/contract/host-instructions.ts'
import type { AddressReport, HostReport } from '../../agent/contract/host-report.ts'
import { gatewayDevice } from '../../agent/kernel/names.ts'
import { type TestHost, until as untilOrLate } from './agent-hosts.ts'
import { makeTestInstructions, type TestMachine, type TestNetwork, testId } from './agent-instructions.ts'
import { type BalancerLab, balancerInstance, instanceOn, startBalancerLab, vips } from './balancer-lab.ts'
import type { EchoResult } from './echo-client.ts'

setDefaultTimeout(150_000)

/** For a machine that is busy with other things; what it takes otherwise is printed. */
const patienceSeconds = 40
const soonMilliseconds = 1000
const until: typeof untilOrLate = (what, condition) => untilOrLate(what, condition, patienceSeconds)
const say = (what: string, milliseconds: number) => {
  process.stderr.write(`    ${what}: ${milliseconds.toFixed(0)} ms\n`)
}

const shards = ['10.1.0', '10.1.1']
const [oldAddress, newAddress] = ['10.1.0.11', '10.1.1.11']
const mover: TestMachine = { number: 11, name: 'web-1', host: 'north', address: oldAddress }
const neighbour: TestMachine = { number: 12, name: 'web-2', host: 'south', address: '10.1.0.12' }
const stranger: TestMachine = { number: 13, name: 'web-3', host: 'south', address: '10.1.1.13' }
const machineOf = (number: number) => testId('mch', number)

let lab: BalancerLab
let generation = 0
let machines: readonly TestMachine[] = [mover, neighbour, stranger]
let instances: Partial<Record<string, InstanceInstructions>> = {}

beforeAll(async () => {
  lab = await startBalancerLab()
  await instruct()
})

afterAll(async () => {
  await lab?.stop()
})

/** Tells both hosts what is wanted now, and waits until it is so. */
async function instruct(): Promise<void> {
  generation += 1
  const network: TestNetwork = { number: 1, project: 1, vni: 101, shards, machines }
  for (const host of lab.hosts.hosts) {
    const own = instances[host.name]
    const all = own === undefined ? [] : [{ ...own, generation }]
    const instructions = makeTestInstructions(host.name, generation, lab.hosts.hosts, [network], all)
    const networks = instructions.networks.map((each) => ({ ...each, neighbours: [...each.neighbours, ...listLegs()] }))
    host.writeInstructions({ ...instructions, networks })
  }
  for (const host of lab.hosts.hosts) await untilConverged(host)
}

/** The instances as neighbours, by both of their addresses. */
const listLegs = () =>
  Object.entries(instances).flatMap(([host, instance]) => {
    if (instance === undefined) return []
    const { mac, address, formerAddress } = instance.network
    const addresses = [address, ...(formerAddress === undefined ? [] : [formerAddress])]
    return addresses.map((each) => ({ id: instance.id, mac, address: each, host }))
  })

async function untilConverged(host: TestHost): Promise<void> {
  await until(`${host.name} has converged`, () => hasConverged(host.report())).catch((cause: unknown) => {
    const log = host.log().slice(-20)
    throw new Error(`${JSON.stringify(host.report())}\n${log.map((line) => JSON.stringify(line)).join('\n')}`, { cause })
  })
}

function hasConverged(report: HostReport | undefined): boolean {
  if (report?.generation !== generation) return false
  const all = [...report.networks, ...report.machines, ...report.instances]
  return all.every(({ status }) => status === 'converged') && report.instances.every(({ serving }) => serving)
}

async function change(number: number, changes: Partial<TestMachine>): Promise<void> {
  machines = machines.map((machine) => (machine.number === number ? { ...machine, ...changes } : machine))
  await instruct()
}

const onMachine = (host: TestHost, number: number, ...argv: readonly string[]) =>
  host.try('ip', 'netns', 'exec', machineOf(number), ...argv)

const reported = (host: TestHost, id: string): AddressReport[] | undefined =>
  [...(host.report()?.machines ?? []), ...(host.report()?.instances ?? [])].find((each) => each.id === id)?.addresses

const untilReported = (host: TestHost, id: string, isRight: (addresses: AddressReport[]) => boolean) =>
  until(`the addresses of ${id} are told as they are`, () => {
    const addresses = reported(host, id)
    return addresses !== undefined && isRight(addresses) && addresses
  })

interface EchoClient {
  result(): EchoResult
  stop(): Promise<void>
}

let clients = 0

/** A connection from a machine to another's echo workload, once it is there. */
async function startClient(host: TestHost, number: number, address: string): Promise<EchoClient> {
  clients += 1
  const file = `${lab.hosts.folder}/echo-${clients}.json`
  const program = [process.execPath, `${import.meta.dir}/echo-client.ts`, address, '7', file]
  await until(`${address} listens`, async () => {
    const { exitCode } = await onMachine(host, number, 'bash', '-c', `exec 3<>/dev/tcp/${address}/7`)
    return exitCode === 0
  })
  host.spawn('ip', 'netns', 'exec', machineOf(number), ...program)
  const result = () => JSON.parse(readFileSync(file, 'utf8')) as EchoResult
  await until(`machine ${number} talks to ${address}`, () => existsSync(file) && result().echoes > 0)
  return {
    result,
    async stop() {
      await host.run('kill', String(result().pid))
    },
  }
}

const expectAlive = (client: EchoClient, what: string) => {
  const { end, longestGapMilliseconds } = client.result()
  say(`longest gap of ${what}`, longestGapMilliseconds)
  expect(end).toBeUndefined()
  expect(longestGapMilliseconds).toBeLessThan(soonMilliseconds)
}

describe('a machine whose address moves while it is in use', () => {
  const id = machineOf(mover.number)
  const connectionsOf = (addresses: readonly AddressReport[]) =>
    Object.fromEntries(addresses.map(({ address, connections }) => [address, connections]))
  let old: EchoClient[] = []
  let fresh: EchoClient[] = []

  test('one address is not told of', async () => {
    const { north, south } = lab
    const into = [await startClient(south, 12, oldAddress), await startClient(south, 13, oldAddress)]
    const out = [await startClient(north, 11, neighbour.address), await startClient(north, 11, stranger.address)]
    old = [...into, ...out]
    expect(out.map((client) => client.result().localAddress)).toEqual([oldAddress, oldAddress])
    expect(reported(north, id)).toBeUndefined()
  })

  test('another comes beside it, is announced, and answers', async () => {
    const stale = ['lladdr', '02:de:ad:00:00:01', 'dev', 'eth0', 'nud', 'stale']
    await lab.south.run('ip', '-n', machineOf(13), 'neighbour', 'replace', newAddress, ...stale)
    const startedAt = performance.now()
    await change(mover.number, { otherAddresses: [newAddress] })
    const addresses = await untilReported(lab.north, id, (all) => all.every(({ answers }) => answers))
    say('instructions → the new address is known to answer', performance.now() - startedAt)
    expect(connectionsOf(addresses)).toEqual({ [oldAddress]: 4, [newAddress]: 0 })
    await until('whoever remembers another holder of the address has forgotten it', async () =>
      (await lab.south.run('ip', '-n', machineOf(13), 'neighbour', 'show', newAddress)).includes('02:00:00:00:00:0b'),
    )
    for (const number of [12, 13]) {
      const { stdout } = await onMachine(lab.south, number, 'curl', '-s', '--max-time', '3', `http://${newAddress}/`)
      expect(stdout).toBe(`web-1 north ${newAddress}\n`)
    }
    const { stdout } = await onMachine(lab.north, 11, 'ip', 'route', 'get', stranger.address)
    expect(stdout).toContain(`src ${oldAddress}`)
  })

  test('they change places: what is new begins with the new one, what is old goes on', async () => {
    await change(mover.number, { address: newAddress, otherAddresses: [oldAddress] })
    fresh = [
      await startClient(lab.north, 11, neighbour.address),
      await startClient(lab.north, 11, stranger.address),
      await startClient(lab.south, 12, newAddress),
    ]
    expect(fresh.slice(0, 2).map((client) => client.result().localAddress)).toEqual([newAddress, newAddress])
    const wanted = { [newAddress]: 3, [oldAddress]: 4 }
    await untilReported(lab.north, id, (all) => Bun.deepEquals(connectionsOf(all), wanted))
    await until('its name has followed', async () => {
      const { stdout } = await onMachine(lab.south, 12, 'getent', 'ahostsv4', 'web-1')
      return stdout.includes(newAddress) && !stdout.includes(oldAddress)
    })
    for (const client of old) expectAlive(client, 'an old connection')
  })

  test('it drains, and is told to be empty but for one that does not end', async () => {
    for (const client of old.slice(1)) await client.stop()
    await untilReported(lab.north, id, (all) => connectionsOf(all)[oldAddress] === 1)
    expect(old[0]?.result().end).toBeUndefined()
  })

  test('the old one goes: who still used it learns so at once, and all others go on', async () => {
    const startedAt = performance.now()
    await change(mover.number, { address: newAddress, otherAddresses: [] })
    await until('the last old connection has ended', () => old[0]?.result().end !== undefined)
    const endedMilliseconds = performance.now() - startedAt
    say('instructions → the last old connection knows its end', endedMilliseconds)
    expect(endedMilliseconds).toBeLessThan(5 * soonMilliseconds)
    for (const client of fresh) expectAlive(client, 'a new connection')
    const { stdout } = await onMachine(lab.south, 12, 'ping', '-q', '-c', '2', '-i', '0.1', '-W', '0.3', oldAddress)
    expect(stdout).toContain(' 0 received')
    await until('it is no longer told of', () => reported(lab.north, id) === undefined)
    const addresses = await lab.north.run('ip', '-n', id, '-4', '-o', 'address', 'show', 'dev', 'eth0')
    expect(addresses.match(/inet \S+/g)).toEqual([`inet ${newAddress}/24`])
    for (const client of fresh) await client.stop()
  })
})

describe('a machine that restarts for its address', () => {
  const id = machineOf(stranger.number)
  const otherAddress = '10.1.0.13'
  const project = testId('prj', 1)
  const gateway = gatewayDevice(testId('net', 1))

  test('has a gap like that of the bare sequence', async () => {
    await change(stranger.number, { restartsForAddress: true })
    await untilReported(lab.south, id, (all) => all.every(({ answers }) => answers))
    const gap = await measureGap(stranger.address, otherAddress, () =>
      change(stranger.number, { address: otherAddress }),
    )
    await untilReported(lab.south, id, ([only]) => only?.address === otherAddress && only.answers)

    await lab.south.killAgent()
    const mac = ['lladdr', '02:00:00:00:00:0d', 'dev', gateway, 'nud', 'permanent']
    await lab.south.run('ip', '-n', project, 'neighbour', 'replace', stranger.address, ...mac)
    const lines = [
      'link set eth0 down',
      `address delete ${otherAddress}/24 dev eth0`,
      `address add ${stranger.address}/24 dev eth0`,
      'link set eth0 up',
      'route replace default via 10.1.1.1 dev eth0',
    ]
    const bare = await measureGap(otherAddress, stranger.address, () =>
      lab.south.run('sh', '-c', `printf '${lines.join('\\n')}\\n' | ip -n ${id} -batch -`),
    )
    // Written before the agent starts, so that it does not begin with what was before.
    const isBack = change(stranger.number, { address: stranger.address, restartsForAddress: false })
    lab.south.startAgent()
    await isBack
    say('gap of a restart by the agent', gap)
    say('gap of the bare sequence', bare)
    expect(gap - bare).toBeLessThan(soonMilliseconds)
  })

  /** From the last answer of the one to the first of the other, as the gateway sees them. */
  async function measureGap(before: string, after: string, move: () => Promise<unknown>): Promise<number> {
    const probes = [before, after].map((address) =>
      lab.south.try('ip', 'netns', 'exec', project, 'ping', '-n', '-D', '-i', '0.005', '-w', '6', '-I', gateway, address),
    )
    await Bun.sleep(soonMilliseconds)
    await move()
    const [last, first] = await Promise.all(probes)
    const times = (text = '') => [...text.matchAll(/^\[([\d.]+)\] \d+ bytes/gm)].map(([, time]) => Number(time))
    const lastAt = times(last?.stdout).at(-1)
    const firstAt = times(first?.stdout)[0]
    if (lastAt === undefined || firstAt === undefined) throw new Error(`no answer: ${last?.stdout}\n${first?.stdout}`)
    return Math.max(0, (firstAt - lastAt) * 1000)
  }
})

describe("an instance's leg", () => {
  const [vip] = vips
  const members = [mover.number, neighbour.number, stranger.number]
  const onLinkCidrs = shards.map((shard) => `${shard}.0/24`)
  const legOf = (number: 1 | 2, leg: { address?: string; formerAddress?: string } = {}) => {
    const listener = {
      port: 80,
      members: machines
        .filter(({ number: each }) => members.includes(each))
        .map(({ number: each, address }) => ({ id: machineOf(each), address, port: 80, weight: 1 })),
    }
    const base = balancerInstance(number, [listener])
    return { ...base, network: { ...base.network, onLinkCidrs, ...leg } }
  }
  const isSteady = async (host: TestHost) => {
    const file = `${host.folder}/run/objects/${instanceOn(host)}/keepalived.conf`
    return (await host.run('cat', file)).split('vrrp_instance').length === vips.length + 1
  }
  const haproxyPids = () =>
    Promise.all(lab.hosts.hosts.map((host) => host.run('sh', '-c', 'grep -slx haproxy /proc/[0-9]*/comm || true')))

  test('changes while requests flow: none fails, and haproxy is not reloaded', async () => {
    instances = { north: legOf(1), south: legOf(2) }
    await instruct()
    await until('each backs up the other', async () => (await isSteady(lab.north)) && (await isSteady(lab.south)))
    const steady = lab.load('steady', vip)
    await steady.answered
    const pids = await haproxyPids()
    const former = { north: legOf(1).network.address, south: legOf(2).network.address }
    const next = { north: '10.1.1.201', south: '10.1.1.202' }

    instances = {
      north: legOf(1, { address: next.north, formerAddress: former.north }),
      south: legOf(2, { address: next.south, formerAddress: former.south }),
    }
    await instruct()
    for (const host of lab.hosts.hosts) {
      await untilReported(host, instanceOn(host), (all) => all.length === 2 && all.every(({ answers }) => answers))
    }
    const late = lab.load('steady', vip)
    await late.answered
    const holder = lab.hosts.hosts.find(({ name }) => name === 'north')
    if (holder === undefined) throw new Error('BUG: there is no north')
    const addresses = await untilReported(holder, instanceOn(holder), ([now]) => (now?.connections ?? 0) > 0)
    expect(addresses.map(({ address }) => address)).toEqual([next.north, former.north])

    instances = { north: legOf(1, { address: next.north }), south: legOf(2, { address: next.south }) }
    await instruct()
    for (const host of lab.hosts.hosts) {
      const found = await host.run('ip', '-n', instanceOn(host), '-4', '-o', 'address', 'show', 'dev', 'network')
      expect(found.match(/inet \S+/g)).toHaveLength(1)
    }
    const { sequence = 0 } = holder.report() ?? {}
    await until('requests have flowed for a while', () => (holder.report()?.sequence ?? 0) >= sequence + 3)
    for (const load of [steady, late]) {
      const result = await load.end()
      say('slowest request', result.slowestMilliseconds)
      expect(result.reasons).toEqual({})
      expect(result.requests).toBeGreaterThan(100)
    }
    expect(await haproxyPids()).toEqual(pids)
  })
})
