/**
 * What is really so, read from the kernels of the hosts and from /proc and not only from the API, which may not have heard
 * of a fault yet when it is asked.
 */

import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import * as v from 'valibot'
import { haproxyQuestion, parseHaproxyAnswer } from '../../agent/haproxy/observed-haproxy.ts'
import { askHaproxy } from '../../agent/operations/haproxy-socket.ts'
import type { LoadBalancer } from '../../controller/contract/load-balancer.ts'
import { hostSchema } from '../../controller/contract/machine.ts'
import { agentBinary } from '../../lab/agent-process.ts'
import { enterArgv, openLab } from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { readElectionSettings } from '../floor/keepalived-settings.ts'
import type { FloorSettings } from '../floor/start-floor.ts'
import { findByCommandLine, findDaemonProcesses, type MarkedProcesses, observeMarkedProcesses } from './processes.ts'
import { type System, showBalancer } from './system.ts'

const wholeTimeoutSeconds = 120
const wholePollMilliseconds = 100
/** Each look is at every process of the machine, which many balancers have many of. */
const wholePollOfManyMilliseconds = 500

/**
 * Resolves when nothing is amiss: every host reports, every instance is active with both daemons and holds exactly its own
 * VIP in the kernel, every member is healthy. Rejects with what was amiss last.
 */
export async function awaitWhole(system: System, balancerId: string): Promise<LoadBalancer> {
  return first(await awaitAllWhole(system, [balancerId]))
}

/** The same of several, each looked at until it is whole. */
export async function awaitAllWhole(system: System, balancerIds: readonly string[]): Promise<readonly LoadBalancer[]> {
  const whole = new Map<string, LoadBalancer>()
  let amiss: readonly string[] = ['nothing was looked at']
  await waitUntil(
    async () => {
      try {
        let marked: MarkedProcesses | undefined
        amiss = await findAmissHosts(system)
        for (const id of balancerIds.filter((one) => !whole.has(one))) {
          if (amiss.length > 0) break
          const balancer = await showBalancer(system, id)
          marked ??= observeMarkedProcesses()
          amiss = await findAmissBalancer(system, balancer, marked)
          if (amiss.length === 0) whole.set(id, balancer)
        }
      } catch (error) {
        amiss = [String(error)]
      }
      return amiss.length === 0
    },
    {
      what: () => `the world to be whole: ${amiss.join('; ')}`,
      timeoutSeconds: wholeTimeoutSeconds,
      intervalMilliseconds: balancerIds.length > 1 ? wholePollOfManyMilliseconds : wholePollMilliseconds,
    },
  )
  return [...whole.values()]
}

function first(balancers: readonly LoadBalancer[]): LoadBalancer {
  const [balancer] = balancers
  if (balancer === undefined) throw new Error('BUG: the world is whole without the balancer')
  return balancer
}

async function findAmissHosts(system: System): Promise<readonly string[]> {
  const hosts = await system.api.call(v.object({ items: v.array(hostSchema) }), 'GET', '/v1/hosts')
  const agents = findAgents().length
  return [
    ...hosts.items.flatMap(({ name, status }) => (status === 'active' ? [] : [`${name} is ${status}`])),
    // One that was killed a moment ago is missed by nobody yet.
    ...(agents === hosts.items.length ? [] : [`${agents} agents run`]),
  ]
}

/** The agents of all hosts. */
export const findAgents = (): readonly number[] =>
  findByCommandLine(([program, verb]) => program === agentBinary && verb === 'run')

async function findAmissBalancer(
  system: System,
  balancer: LoadBalancer,
  marked: MarkedProcesses,
): Promise<readonly string[]> {
  const amiss = balancer.status === 'active' ? [] : [`the balancer is ${balancer.status}`]
  for (const member of balancer.members) {
    if (member.status !== 'healthy') amiss.push(`member ${member.address} is ${member.status}`)
  }
  for (const instance of balancer.instances) {
    if (instance.status !== 'active') amiss.push(`instance ${instance.slot} is ${instance.status}`)
    for (const daemon of ['haproxy', 'keepalived']) {
      const count = findDaemonProcesses(instance.id, daemon, marked).length
      // Parent and child of each; a worker of haproxy that was replaced may still end what it has begun.
      if (count < 2) amiss.push(`instance ${instance.slot} has ${count} processes of ${daemon}`)
    }
    amiss.push(...(await findAmissServers(instance.slot, findDaemonProcesses(instance.id, 'haproxy', marked))))
    const backedUp = countBackedUp(findDaemonProcesses(instance.id, 'keepalived', marked))
    if (backedUp !== balancer.vips.length) amiss.push(`keepalived of instance ${instance.slot} knows ${backedUp} VIPs`)
    const held = instance.host === null ? [] : await listHeldVips(system, instance.host, instance.id, balancer.vips)
    const home = balancer.vips[instance.slot - 1]
    if (held.length !== 1 || held[0] !== home) {
      amiss.push(`instance ${instance.slot} holds ${held.join(' and ') || 'no VIP'} and not ${home}`)
    }
  }
  return amiss
}

/** What an instance's haproxy itself says of its members: reports of a short failure may have been made before or after it. */
async function findAmissServers(slot: number, processes: readonly number[]): Promise<readonly string[]> {
  const pid = processes[0]
  if (pid === undefined) return []
  const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  const config = argv[argv.indexOf('-f') + 1] ?? ''
  const socket = `/proc/${pid}/root${config.replace(/\.cfg$/, '.sock')}`
  const answer = parseHaproxyAnswer(await askHaproxy(socket, haproxyQuestion('http')))
  if (answer === undefined) return [`haproxy of instance ${slot} does not answer`]
  return answer.servers
    .filter(({ health }) => health !== 'up')
    .map(({ address, health }) => `member ${address} is ${health} to instance ${slot}`)
}

const linkSchema = v.array(v.object({ addr_info: v.optional(v.array(v.object({ local: v.optional(v.string()) }))) }))

/** Which of these addresses are on a device in the instance's namespace now. */
export async function listHeldVips(
  system: System,
  host: string,
  instanceId: string,
  vips: readonly string[],
): Promise<readonly string[]> {
  const lab = openLab(system.settings)
  const { exitCode, stdout } = await lab.run(enterArgv(lab, host, ['ip', '-n', instanceId, '-json', 'address', 'show']))
  if (exitCode !== 0) return []
  const addresses = v.parse(linkSchema, JSON.parse(stdout)).flatMap(({ addr_info }) => addr_info ?? [])
  return vips.filter((vip) => addresses.some(({ local }) => local === vip))
}

/** Where the VIP is served now. */
export async function findHolder(system: System, balancer: LoadBalancer, vip: string) {
  for (const instance of balancer.instances) {
    if (instance.host === null) continue
    const held = await listHeldVips(system, instance.host, instance.id, [vip])
    if (held.length > 0) return { instanceId: instance.id, host: instance.host }
  }
  throw new Error(`${vip} is on no instance`)
}

/** How many VIPs the instance's keepalived may serve by its config: its own alone while it starts. */
function countBackedUp(keepalived: readonly number[]): number {
  try {
    return readConfigOf(keepalived, ['-f', '--use-file']).split(/^vrrp_instance/m).length - 1
  } catch {
    return 0
  }
}

/** What the floor must have as well, from the configs and the processes of an instance that is whole. */
export function observeFloorSettings(instanceId: string): FloorSettings {
  const keepalived = findDaemonProcesses(instanceId, 'keepalived')
  const haproxy = findDaemonProcesses(instanceId, 'haproxy')
  const election = readElectionSettings(readConfigOf(keepalived, ['-f', '--use-file']))
  const threads = /^\s*nbthread (\d+)/m.exec(readConfigOf(haproxy, ['-f']))?.[1]
  return {
    ...election,
    realtimePriority: Math.max(...keepalived.map(readRealtimePriority)),
    threads: Number(threads ?? availableParallelism()),
    webCommand: `${agentBinary} workload web --port 80 --host by-hand --name`,
  }
}

function readConfigOf(pids: readonly number[], options: readonly string[]): string {
  for (const pid of pids) {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      .split('\0')
      .flatMap((word) => word.split('='))
    const path = words[words.findIndex((word) => options.includes(word)) + 1]
    if (path?.startsWith('/')) return readFileSync(`/proc/${pid}/root${path}`, 'utf8')
  }
  throw new Error(`none of the processes ${pids.join(', ')} tells which config it has`)
}

/** Field 40 of /proc/<pid>/stat. */
function readRealtimePriority(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[37])
}
