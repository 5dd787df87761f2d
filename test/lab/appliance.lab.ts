/**
 * A balancer's instance in a real guest: the appliance is booted by libvirt, let in by its agent over ssh, and serves. Needs
 * root, and makes everything within namespaces of its own:
 *   bun test ./test/lab/appliance.lab.ts
 */

import { afterAll, beforeAll, describe, setDefaultTimeout, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { InstanceInstructions, NetworkInstructions } from '../../agent/contract/host-instructions.ts'
import {
  type ApplianceOwner,
  applianceInstructions,
  makeApplianceDomain,
} from '../../controller/hypervisor/appliance-domain.ts'
import { macAddressOf } from '../../controller/machines/mac-address.ts'
import { startTestHosts, type TestHost, type TestHosts, until as untilOrLate } from './agent-hosts.ts'
import { makeTestInstance, makeTestInstructions, type TestNetwork, testId } from './agent-instructions.ts'
import { type LibvirtHost, startLibvirt } from './libvirt-host.ts'

setDefaultTimeout(400_000)

/** A guest boots under emulation, beside whatever else the machine does. */
const patienceSeconds = 120
const until: typeof untilOrLate = (what, condition) => untilOrLate(what, condition, patienceSeconds)

const secret = Buffer.from('the secret of this test')
const uplinkBridge = 'uplinks'
const vip = '198.18.17.1'
const network: TestNetwork = {
  number: 1,
  project: 1,
  vni: 101,
  shards: ['10.1.0', '10.1.1'],
  machines: [{ number: 11, name: 'web-1', host: 'north', address: '10.1.0.11' }],
}
const base = makeTestInstance(2, 1, 1, network.shards)
const owner: ApplianceOwner = base
const member = { id: testId('mch', 11), address: '10.1.0.11', port: 80, weight: 1 }

let hosts: TestHosts
let north: TestHost
let libvirt: LibvirtHost
let generation = 0

function makeAppliance(parts: Partial<InstanceInstructions> = {}): InstanceInstructions {
  return {
    ...base,
    driver: 'vm',
    appliance: applianceInstructions(owner, secret),
    uplink: { ...base.uplink, mac: macAddressOf(owner.id, 'uplink') },
    network: { ...base.network, mac: macAddressOf(owner.id, 'network') },
    vips: [
      { slot: 1, address: vip, prefixLength: 20, virtualRouterId: 1, priority: 200, home: true, peerAddresses: [] },
    ],
    listeners: [{ port: 80, members: [member] }],
    ...parts,
  }
}

/** What the controller would say: the instance is a neighbour too, and so has its reservation. */
function instruct(instance: InstanceInstructions): void {
  generation += 1
  const instructions = makeTestInstructions('north', generation, hosts.hosts, [network], [instance])
  const { id, network: leg } = instance
  const own = [leg.address, ...(leg.formerAddress === undefined ? [] : [leg.formerAddress])]
  const neighbours = own.map((address) => ({ id, mac: leg.mac, address, host: 'north' }))
  const networks = instructions.networks.map(
    (one): NetworkInstructions => ({ ...one, neighbours: [...one.neighbours, ...neighbours] }),
  )
  north.writeInstructions({ ...instructions, networks })
}

const reported = () => {
  const report = north.report()
  return report?.generation === generation ? report.instances[0] : undefined
}
const ask = async (port = 80) => {
  const curl = `curl --silent --max-time 2 --output /dev/null --write-out '%{http_code}' http://${vip}:${port}/ || true`
  return hosts.onSegments('sh', '-c', curl)
}

beforeAll(async () => {
  const build = Bun.spawn(['scripts/build-appliance'], { cwd: join(import.meta.dir, '../..'), stdout: 'pipe' })
  const folder = (await new Response(build.stdout).text()).trim().split('\n').at(-1) ?? ''
  const checksums = readFileSync(join(folder, 'checksums'), 'utf8')
  const rootSha256 = /^(\w+) +root.squashfs$/m.exec(checksums)?.[1] ?? ''
  hosts = await startTestHosts(['north'])
  const [first] = hosts.hosts
  if (first === undefined) throw new Error('BUG: there are no hosts')
  north = first
  await hosts.onSegments('ip', 'address', 'add', '198.18.16.1/20', 'dev', 'uplink0')
  await north.run('ip', 'link', 'add', uplinkBridge, 'type', 'bridge', 'forward_delay', '0')
  await north.run('ip', 'link', 'set', uplinkBridge, 'up')
  await north.run('ip', 'link', 'set', 'up0', 'master', uplinkBridge)
  libvirt = await startLibvirt(north)
  north.startAgent()
  instruct(makeAppliance())
  await until('the network is there', () => north.report()?.networks[0]?.status === 'converged')
  await libvirt.create(makeApplianceDomain(owner, { secret, image: { folder, rootSha256 }, uplinkBridge }))
})

afterAll(async () => {
  await hosts?.stop()
})

/** Whoever it is told to be, it is that, and says so. */
const untilServing = () =>
  until('it serves', () => {
    const instance = reported()
    return instance?.status === 'converged' && instance.serving && instance.heldVips.includes(vip)
  }).catch((cause: unknown) => {
    throw new Error(`${JSON.stringify(reported())}\n${libvirt.console(owner.id)}`, { cause })
  })

describe('an instance in an appliance', () => {
  test('is let in by its key alone, and serves', async () => {
    await untilServing()
    await until('the VIP answers', async () => (await ask()) === '200')
    const memberKey = `${testId('mch', 11)}:80`
    await until('the member is healthy', () => reported()?.members[memberKey] === 'healthy')
  })

  test('changes its listeners and its address while it serves', async () => {
    const moved = base.network.address.replace(/\d+$/, '200')
    const leg = { ...base.network, mac: macAddressOf(owner.id, 'network'), address: moved }
    const listeners = [80, 81].map((port) => ({ port, members: [member] }))
    instruct(makeAppliance({ listeners, network: { ...leg, formerAddress: base.network.address } }))
    await untilServing()
    await until('the new listener answers', async () => (await ask(81)) === '200')
    instruct(makeAppliance({ listeners, network: leg }))
    await untilServing()
    await until('it still answers', async () => (await ask()) === '200')
  })
})
