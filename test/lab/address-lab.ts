/**
 * Two hosts with agents, three machines and, when wanted, the instances of a balancer, whose addresses tests move: what is
 * wanted now, what is told of it, and clients that keep a connection meanwhile.
 */

import { existsSync, readFileSync } from 'node:fs'
import type { InstanceInstructions } from '../../agent/contract/host-instructions.ts'
import type { AddressReport, HostReport } from '../../agent/contract/host-report.ts'
import { type TestHost, until as untilOrLate } from './agent-hosts.ts'
import { makeTestInstructions, type TestMachine, type TestNetwork, testId } from './agent-instructions.ts'
import { type BalancerLab, startBalancerLab } from './balancer-lab.ts'
import type { EchoResult } from './echo-client.ts'

/** For a machine that is busy with other things; what it takes otherwise is printed. */
const patienceSeconds = 40
export const until: typeof untilOrLate = (what, condition) => untilOrLate(what, condition, patienceSeconds)

export const say = (what: string, milliseconds: number) => {
  process.stderr.write(`    ${what}: ${milliseconds.toFixed(0)} ms\n`)
}

export const shards = ['10.1.0', '10.1.1']
export const [oldAddress, newAddress] = ['10.1.0.11', '10.1.1.11']
/** The one on north, whose address moves. */
export const mover: TestMachine = { number: 11, name: 'web-1', host: 'north', address: oldAddress }
/** Those on south, of the one shard and of the other. */
export const neighbour: TestMachine = { number: 12, name: 'web-2', host: 'south', address: '10.1.0.12' }
export const stranger: TestMachine = { number: 13, name: 'web-3', host: 'south', address: '10.1.1.13' }
export const machineOf = (number: number) => testId('mch', number)

export type Instances = Partial<Record<string, InstanceInstructions>>

export interface EchoClient {
  result(): EchoResult
  stop(): Promise<void>
}

export interface AddressLab {
  readonly balancers: BalancerLab
  readonly north: TestHost
  readonly south: TestHost
  machines(): readonly TestMachine[]
  /** Tells both hosts what is wanted now, with these changes, and does not wait. */
  tell(changes: { readonly machine?: Partial<TestMachine> & { number: number }; readonly instances?: Instances }): void
  /** Resolves when both have answered the last statement with everything as it should be. */
  converged(): Promise<void>
  /** Both in one, for a machine. */
  change(number: number, changes: Partial<TestMachine>): Promise<void>
  onMachine: (
    host: TestHost,
    number: number,
    ...argv: readonly string[]
  ) => Promise<{ exitCode: number; stdout: string; stderr: string }>
  /** With their prefix lengths, of the only leg that machines and instances have on the network. */
  addresses(host: TestHost, id: string): Promise<string[]>
  reported(host: TestHost, id: string): AddressReport[] | undefined
  untilReported(
    host: TestHost,
    id: string,
    isRight: (addresses: readonly AddressReport[]) => boolean,
  ): Promise<AddressReport[]>
  /** A connection from a machine to another's echo workload, once it is there. */
  startClient(host: TestHost, number: number, address: string): Promise<EchoClient>
  /** One from outside to a balancer that serves echoes. */
  startOutsideClient(address: string): Promise<EchoClient>
  stop(): Promise<void>
}

/** Resolves when both hosts have converged. */
export async function startAddressLab(): Promise<AddressLab> {
  const balancers = await startBalancerLab()
  const { hosts } = balancers.hosts
  let generation = 0
  let clients = 0
  let machines: readonly TestMachine[] = [mover, neighbour, stranger]
  let instances: Instances = {}

  const write = () => {
    generation += 1
    const network: TestNetwork = { number: 1, project: 1, vni: 101, shards, machines }
    const legs = listLegs(instances)
    for (const host of hosts) {
      const own = instances[host.name]
      const all = own === undefined ? [] : [{ ...own, generation }]
      const instructions = makeTestInstructions(host.name, generation, hosts, [network], all)
      const networks = instructions.networks.map((each) => ({ ...each, neighbours: [...each.neighbours, ...legs] }))
      host.writeInstructions({ ...instructions, networks })
    }
  }
  const describeClient = (address: string) => {
    clients += 1
    const file = `${balancers.hosts.folder}/echo-${clients}.json`
    const result = () => JSON.parse(readFileSync(file, 'utf8')) as EchoResult
    const follow = async (end: (pid: number) => Promise<unknown>): Promise<EchoClient> => {
      await until(`somebody talks to ${address}`, () => existsSync(file) && result().echoes > 0)
      return {
        result,
        stop: async () => {
          await end(result().pid)
        },
      }
    }
    return { program: [process.execPath, `${import.meta.dir}/echo-client.ts`, address, '7', file], follow }
  }
  const lab: AddressLab = {
    balancers,
    north: balancers.north,
    south: balancers.south,
    machines: () => machines,
    tell(changes) {
      const { machine } = changes
      if (machine) machines = machines.map((each) => (each.number === machine.number ? { ...each, ...machine } : each))
      instances = changes.instances ?? instances
      write()
    },
    async converged() {
      await Promise.all(hosts.map((host) => untilConverged(host, generation)))
    },
    async change(number, changes) {
      lab.tell({ machine: { ...changes, number } })
      await lab.converged()
    },
    onMachine: (host, number, ...argv) => host.try('ip', 'netns', 'exec', machineOf(number), ...argv),
    async addresses(host, id) {
      const device = id.startsWith('mch') ? 'eth0' : 'network'
      const text = await host.run('ip', '-n', id, '-4', '-o', 'address', 'show', 'dev', device)
      return [...text.matchAll(/inet (\S+)/g)].map(([, address = '']) => address).sort()
    },
    reported: (host, id) =>
      [...(host.report()?.machines ?? []), ...(host.report()?.instances ?? [])].find((each) => each.id === id)
        ?.addresses,
    untilReported: (host, id, isRight) =>
      until(`the addresses of ${id} are told as they are`, () => {
        const addresses = lab.reported(host, id)
        return addresses !== undefined && isRight(addresses) && addresses
      }),
    async startClient(host, number, address) {
      await until(`${address} listens`, async () => {
        const { exitCode } = await lab.onMachine(host, number, 'bash', '-c', `exec 3<>/dev/tcp/${address}/7`)
        return exitCode === 0
      })
      const { program, follow } = describeClient(address)
      host.spawn('ip', 'netns', 'exec', machineOf(number), ...program)
      return await follow((pid) => host.run('kill', String(pid)))
    },
    async startOutsideClient(address) {
      const { program, follow } = describeClient(address)
      const child = balancers.hosts.spawnOnSegments(...program)
      return await follow(async () => {
        child.kill('SIGTERM')
        await child.exited
      })
    },
    stop: () => balancers.stop(),
  }
  try {
    write()
    await lab.converged()
    return lab
  } catch (error) {
    await balancers.stop()
    throw error
  }
}

/** The instances as neighbours, by both of their addresses. */
const listLegs = (instances: Instances) =>
  Object.entries(instances).flatMap(([host, instance]) => {
    if (instance === undefined) return []
    const { mac, address, formerAddress } = instance.network
    const addresses = [address, ...(formerAddress === undefined ? [] : [formerAddress])]
    return addresses.map((each) => ({ id: instance.id, mac, address: each, host }))
  })

async function untilConverged(host: TestHost, generation: number): Promise<void> {
  await until(`${host.name} has converged`, () => hasConverged(host.report(), generation)).catch((cause: unknown) => {
    const log = host.log().slice(-20)
    throw new Error(`${JSON.stringify(host.report())}\n${log.map((line) => JSON.stringify(line)).join('\n')}`, {
      cause,
    })
  })
}

function hasConverged(report: HostReport | undefined, generation: number): boolean {
  if (report?.generation !== generation) return false
  const all = [...report.networks, ...report.machines, ...report.instances]
  return all.every(({ status }) => status === 'converged') && report.instances.every(({ serving }) => serving)
}

export const connectionsOf = (addresses: readonly AddressReport[]) =>
  Object.fromEntries(addresses.map(({ address, connections }) => [address, connections]))
