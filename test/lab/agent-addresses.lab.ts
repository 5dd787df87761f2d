/**
 * Addresses that move while they are in use, on two hosts with agents alone: a machine gets another address, uses it and
 * loses the first; one is restarted for its address; and the leg of a balancer's instance changes under load. Needs root,
 * and makes everything within namespaces of its own: bun test ./test/lab/agent-addresses.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import type { InstanceInstructions } from '../../agent/contract/host-instructions.ts'
import { gatewayDevice } from '../../agent/kernel/names.ts'
import {
  type AddressLab,
  connectionsOf,
  type EchoClient,
  machineOf,
  mover,
  neighbour,
  newAddress,
  oldAddress,
  say,
  shards,
  startAddressLab,
  stranger,
  until,
} from './address-lab.ts'
import type { TestHost } from './agent-hosts.ts'
import { testId } from './agent-instructions.ts'
import { balancerInstance, instanceOn, vips } from './balancer-lab.ts'

setDefaultTimeout(150_000)

let lab: AddressLab

beforeAll(async () => {
  lab = await startAddressLab()
})

afterAll(async () => {
  await lab?.stop()
})

const expectAlive = async (client: EchoClient, what: string) => {
  const { echoes } = client.result()
  await until(
    `${what} goes on or has ended`,
    () => client.result().echoes > echoes || client.result().end !== undefined,
  )
  const { end, longestGapMilliseconds } = client.result()
  expect(end).toBeUndefined()
  say(`longest gap of ${what}`, longestGapMilliseconds)
}

describe('a machine whose address moves while it is in use', () => {
  const id = machineOf(mover.number)
  let old: EchoClient[] = []
  let fresh: EchoClient[] = []

  test('one address is not told of', async () => {
    const { north, south } = lab
    const into = [await lab.startClient(south, 12, oldAddress), await lab.startClient(south, 13, oldAddress)]
    const out = [
      await lab.startClient(north, 11, neighbour.address),
      await lab.startClient(north, 11, stranger.address),
    ]
    old = [...into, ...out]
    expect(out.map((client) => client.result().localAddress)).toEqual([oldAddress, oldAddress])
    expect(lab.reported(north, id)).toBeUndefined()
  })

  test('another comes beside it, is announced, and answers', async () => {
    const stale = ['lladdr', '02:de:ad:00:00:01', 'dev', 'eth0', 'nud', 'stale']
    await lab.south.run('ip', '-n', machineOf(13), 'neighbour', 'replace', newAddress, ...stale)
    const startedAt = performance.now()
    await lab.change(mover.number, { otherAddresses: [newAddress] })
    const addresses = await lab.untilReported(lab.north, id, (all) => all.every(({ answers }) => answers))
    say('instructions → the new address is known to answer', performance.now() - startedAt)
    expect(connectionsOf(addresses)).toEqual({ [oldAddress]: 4, [newAddress]: 0 })
    await until('whoever remembers another holder of the address has forgotten it', async () =>
      (await lab.south.run('ip', '-n', machineOf(13), 'neighbour', 'show', newAddress)).includes('02:00:00:00:00:0b'),
    )
    for (const number of [12, 13]) {
      const { stdout } = await lab.onMachine(
        lab.south,
        number,
        'curl',
        '-s',
        '--max-time',
        '3',
        `http://${newAddress}/`,
      )
      expect(stdout).toBe(`web-1 north ${newAddress}\n`)
    }
    const { stdout } = await lab.onMachine(lab.north, 11, 'ip', 'route', 'get', stranger.address)
    expect(stdout).toContain(`src ${oldAddress}`)
  })

  test('they change places: what is new begins with the new one, what is old goes on', async () => {
    await lab.change(mover.number, { address: newAddress, otherAddresses: [oldAddress] })
    fresh = [
      await lab.startClient(lab.north, 11, neighbour.address),
      await lab.startClient(lab.north, 11, stranger.address),
      await lab.startClient(lab.south, 12, newAddress),
    ]
    expect(fresh.slice(0, 2).map((client) => client.result().localAddress)).toEqual([newAddress, newAddress])
    const wanted = { [newAddress]: 3, [oldAddress]: 4 }
    await lab.untilReported(lab.north, id, (all) => Bun.deepEquals(connectionsOf(all), wanted))
    await until('its name has followed', async () => {
      const { stdout } = await lab.onMachine(lab.south, 12, 'getent', 'ahostsv4', 'web-1')
      return stdout.includes(newAddress) && !stdout.includes(oldAddress)
    })
    for (const client of old) await expectAlive(client, 'an old connection')
  })

  test('it drains, and is told to be empty but for one that does not end', async () => {
    for (const client of old.slice(1)) await client.stop()
    await lab.untilReported(lab.north, id, (all) => connectionsOf(all)[oldAddress] === 1)
    expect(old[0]?.result().end).toBeUndefined()
  })

  test('the old one goes: who still used it learns so at once, and all others go on', async () => {
    const startedAt = performance.now()
    await lab.change(mover.number, { address: newAddress, otherAddresses: [] })
    await until('the last old connection has ended', () => old[0]?.result().end !== undefined)
    say('instructions → the last old connection knows its end', performance.now() - startedAt)
    expect(old[0]?.result().end).toBe('ECONNRESET')
    for (const client of fresh) await expectAlive(client, 'a new connection')
    const { stdout } = await lab.onMachine(lab.south, 12, 'ping', '-q', '-c', '2', '-i', '0.1', '-W', '0.3', oldAddress)
    expect(stdout).toContain(' 0 received')
    await until('it is no longer told of', () => lab.reported(lab.north, id) === undefined)
    expect(await lab.addresses(lab.north, id)).toEqual([`${newAddress}/24`])
    for (const client of fresh) await client.stop()
  })
})

describe('a machine that restarts for its address', () => {
  const id = machineOf(stranger.number)
  const otherAddress = '10.1.0.13'
  const project = testId('prj', 1)
  const gateway = gatewayDevice(testId('net', 1))
  let pings = 0

  test('has a gap like that of the bare sequence', async () => {
    await lab.change(stranger.number, { restartsForAddress: true })
    await lab.untilReported(lab.south, id, (all) => all.every(({ answers }) => answers))
    const gap = await measureGap(stranger.address, otherAddress, () =>
      lab.change(stranger.number, { address: otherAddress }),
    )
    await lab.untilReported(lab.south, id, ([only]) => only?.address === otherAddress && only.answers)

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
    const isBack = lab.change(stranger.number, { address: stranger.address, restartsForAddress: false })
    lab.south.startAgent()
    await isBack
    say('gap of a restart by the agent', gap)
    say('gap of the bare sequence', bare)
  })

  /** From the last answer of the one to the first of the other, as the gateway sees them. */
  async function measureGap(before: string, after: string, move: () => Promise<unknown>): Promise<number> {
    const [last, first] = [before, after].map(startPings)
    if (last === undefined || first === undefined) throw new Error('BUG: there are two')
    await until(`${before} answers`, () => last().length > 0)
    await move()
    const firstAt = await until(`${after} answers`, () => first()[0])
    return Math.max(0, (firstAt - (last().at(-1) ?? 0)) * 1000)
  }

  /** Gives when there were answers, in seconds. */
  function startPings(address: string): () => number[] {
    pings += 1
    const file = `${lab.balancers.hosts.folder}/ping-${pings}.txt`
    writeFileSync(file, '')
    const command = `exec ping -n -D -i 0.005 -w 10 -I ${gateway} ${address} > ${file}`
    lab.south.spawn('ip', 'netns', 'exec', project, 'sh', '-c', command)
    return () => [...readFileSync(file, 'utf8').matchAll(/^\[([\d.]+)\] \d+ bytes/gm)].map(([, time]) => Number(time))
  }
})

describe("an instance's leg", () => {
  const [vip] = vips
  const onLinkCidrs = shards.map((shard) => `${shard}.0/24`)
  let legs: Record<'north' | 'south', { address?: string; formerAddress?: string }> = { north: {}, south: {} }
  let members = [mover.number, neighbour.number, stranger.number]
  let change: Partial<InstanceInstructions> = {}
  let port = 80
  /** With the members where they are now. */
  const legOf = (number: 1 | 2, leg: (typeof legs)['north']) => {
    const listener = {
      port,
      members: lab
        .machines()
        .filter(({ number: each }) => members.includes(each))
        .map(({ number: each, address }) => ({ id: machineOf(each), address, port, weight: 1 })),
    }
    const base = balancerInstance(number, [listener], change)
    return { ...base, network: { ...base.network, onLinkCidrs, ...leg } }
  }
  const instances = () => ({ north: legOf(1, legs.north), south: legOf(2, legs.south) })
  const instruct = async () => {
    lab.tell({ instances: instances() })
    await lab.converged()
  }
  const isSteady = async (host: TestHost) => {
    const file = `${host.folder}/run/objects/${instanceOn(host)}/keepalived.conf`
    return (await host.run('cat', file)).split('vrrp_instance').length === vips.length + 1
  }
  const hosts = () => lab.balancers.hosts.hosts
  const haproxyPids = () =>
    Promise.all(hosts().map((host) => host.run('sh', '-c', 'grep -slx haproxy /proc/[0-9]*/comm || true')))
  const addressOf = (number: number) => lab.machines().find((machine) => machine.number === number)?.address ?? ''
  const memberStatus = (host: TestHost) => lab.balancers.instance(host)?.members[`${machineOf(mover.number)}:80`]
  const flow = async () => {
    const { sequence = 0 } = lab.north.report() ?? {}
    await until('requests have flowed for a while', () => (lab.north.report()?.sequence ?? 0) >= sequence + 3)
  }
  /** Two clients, the one with requests that may not be tried again. */
  const startLoads = async () => {
    const loads = (['steady', 'post'] as const).map((mode) => lab.balancers.load(mode, vip))
    await Promise.all(loads.map(({ answered }) => answered))
    return loads
  }
  const expectNoFailures = async (loads: Awaited<ReturnType<typeof startLoads>>) => {
    for (const load of loads) {
      const result = await load.end()
      say('slowest request', result.slowestMilliseconds)
      expect(result.reasons).toEqual({})
      expect(result.requests).toBeGreaterThan(100)
    }
  }
  /** So that there are requests under way at any moment. */
  const slowDown = async () => {
    for (const { number, host, address } of lab.machines()) {
      const at = host === 'north' ? lab.north : lab.south
      const url = `http://${address}/control?delayMilliseconds=20`
      expect((await lab.onMachine(at, number, 'curl', '-sf', '--max-time', '3', url)).exitCode).toBe(0)
    }
  }

  test('changes while requests flow: none fails, and haproxy is not reloaded', async () => {
    await instruct()
    await until('each backs up the other', async () => (await isSteady(lab.north)) && (await isSteady(lab.south)))
    await slowDown()
    const loads = await startLoads()
    const pids = await haproxyPids()
    const { north, south } = instances()
    const next = { north: '10.1.1.201', south: '10.1.1.202' }

    legs = {
      north: { address: next.north, formerAddress: north.network.address },
      south: { address: next.south, formerAddress: south.network.address },
    }
    lab.tell({ instances: instances() })
    // Its successor carries on, in whatever it was.
    await lab.north.killAgent()
    lab.north.startAgent()
    await lab.converged()
    const startedAt = performance.now()
    for (const host of hosts()) {
      await lab.untilReported(host, instanceOn(host), (all) => all.length === 2 && all.every(({ answers }) => answers))
    }
    const addresses = await lab.untilReported(
      lab.north,
      instanceOn(lab.north),
      ([now, former]) => (now?.connections ?? 0) > 0 && former?.connections === 0,
    )
    say('the former address is drained, while requests flow', performance.now() - startedAt)
    expect(addresses.map(({ address }) => address)).toEqual([next.north, north.network.address])

    legs = { north: { address: next.north }, south: { address: next.south } }
    await instruct()
    for (const host of hosts()) expect(await lab.addresses(host, instanceOn(host))).toHaveLength(1)
    await flow()
    await expectNoFailures(loads)
    expect(await haproxyPids()).toEqual(pids)
  })

  test('follows its only member to another address as soon as it is reached there: no request fails', async () => {
    members = [mover.number]
    await instruct()
    const now = addressOf(mover.number)
    const next = now === oldAddress ? newAddress : oldAddress
    const loads = await startLoads()
    await lab.change(mover.number, { address: now, otherAddresses: [next] })
    const id = machineOf(mover.number)
    await lab.untilReported(lab.north, id, (all) => all.every(({ answers }) => answers))
    // Its service can't be reached there at first.
    const deaf = `add table ip deaf; add chain ip deaf in { type filter hook input priority 0; }; add rule ip deaf in ip daddr ${next} tcp dport 80 reject with tcp reset`
    expect(await lab.onMachine(lab.north, mover.number, 'nft', deaf)).toMatchObject({ exitCode: 0 })
    await lab.change(mover.number, { address: next, otherAddresses: [now] })
    await instruct()
    await until('it is found unhealthy there', () => memberStatus(lab.north) === 'unhealthy')
    await flow()
    const startedAt = performance.now()
    await lab.onMachine(lab.north, mover.number, 'nft', 'delete table ip deaf')
    await lab.untilReported(lab.north, id, (all) => connectionsOf(all)[now] === 0)
    say('the only member is drained, while requests flow', performance.now() - startedAt)
    await lab.change(mover.number, { address: next, otherAddresses: [] })
    await flow()
    await expectNoFailures(loads)
  })

  test('for TCP lets a long connection go on for as long as its member has both addresses', async () => {
    change = { trafficType: 'tcp' }
    port = 7
    members = [mover.number]
    await instruct()
    const id = machineOf(mover.number)
    const now = addressOf(mover.number)
    const next = now === oldAddress ? newAddress : oldAddress
    const client = await lab.startOutsideClient(vip)
    await lab.change(mover.number, { address: next, otherAddresses: [now] })
    await instruct()
    await until('it drains', () => lab.balancers.instance(lab.north)?.members[`${id}:7`] === 'healthy')
    // With their pauses they take twice as long as the balancer's own limit for drains.
    const enough = client.result().echoes + 400
    await until('it has gone on for long', () => client.result().end !== undefined || client.result().echoes > enough)
    await expectAlive(client, 'a connection by a balancer')
    await lab.change(mover.number, { address: next, otherAddresses: [] })
    await until('it has ended', () => client.result().end !== undefined)
    const fresh = await lab.startOutsideClient(vip)
    await expectAlive(fresh, 'one that came later')
    await fresh.stop()
  })
})
