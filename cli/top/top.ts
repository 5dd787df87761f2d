/** `sluice load-balancer top`, `sluice host top` and `sluice microshard top`: who has how much to do, again and again. */

import { Command } from 'commander'
import * as v from 'valibot'
import { type LoadBalancer, loadBalancerSchema } from '../../controller/contract/load-balancer.ts'
import { type Host, hostSchema } from '../../controller/contract/machine.ts'
import {
  type MicroshardMeasure,
  microshardMeasuresSchema,
  type NodeMeasure,
} from '../../controller/contract/microshard-measures.ts'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { listAll } from '../noun.ts'
import { references, resolveId } from '../resolve.ts'
import { type BalancerRow, balancerView } from './balancers.ts'
import { type HostRow, hostView } from './hosts.ts'
import { condense, createMeasuredObjects, latest, type Measured, objectsPerLook } from './measured.ts'
import { createMicroshardView } from './microshards.ts'
import { runTop } from './run-top.ts'
import type { TopView } from './view.ts'

const intervalSecondsDefault = 2
const intervalSecondsMaximum = 3600
const trendCount = 10

export function balancerTopCommand(connect: () => Api): Command {
  const command = new Command('top')
    .description('requests, errors, latency and members of all load balancers, as they are now')
    .option('--project <name|id>', "only this project's")
  return topOptions(command, balancerView, 'requests').action(async (options: Options) => {
    const api = connect()
    const projectId = typeof options.project === 'string' ? await resolveId(api, 'project', options.project) : undefined
    const measured = measuredBy(api, balancerMeasures, options)
    const read = async (signal: AbortSignal) => {
      const balancers = await listAll(api, references['load-balancer'].path, loadBalancerSchema, { projectId })
      const figures = await measured.read(
        balancers.map(({ id }) => id),
        signal,
      )
      return balancers.map((balancer) => describeBalancer(balancer, figures.get(balancer.id)))
    }
    await run(balancerView, read, options)
  })
}

export function hostTopCommand(connect: () => Api): Command {
  const command = new Command('top').description(
    'processors, memory, traffic and instances of all hosts, as they are now',
  )
  return topOptions(command, hostView, 'cpu').action(async (options: Options) => {
    const api = connect()
    const measured = measuredBy(api, hostMeasures, options)
    const read = async (signal: AbortSignal) => {
      const [hosts, balancers] = await Promise.all([
        listAll(api, references.host.path, hostSchema),
        listAll(api, references['load-balancer'].path, loadBalancerSchema),
      ])
      const figures = await measured.read(
        hosts.map(({ name }) => name),
        signal,
      )
      return hosts.map((host) => describeHost(host, balancers, figures.get(host.name), Date.now()))
    }
    await run(hostView, read, options)
  })
}

export function microshardTopCommand(connect: () => Api): Command {
  const command = new Command('top').description('load, latency, size and clients of all microshards, as they are now')
  let nodes: readonly NodeMeasure[] = []
  const view = createMicroshardView(() => nodes)
  return topOptions(command, view, 'load').action(async (options: Options) => {
    const api = connect()
    const read = async (signal: AbortSignal): Promise<readonly MicroshardMeasure[]> => {
      const response = await api.open({ method: 'GET', path: '/v1/microshard-measures' }, signal)
      const measured = v.parse(microshardMeasuresSchema, await response.json())
      nodes = measured.nodes
      return measured.items
    }
    await run(view, read, options)
  })
}

/** One look tells all; of many the rest follows in the next ones. */
const measuredBy = (api: Api, measures: readonly string[], { once }: Options) =>
  createMeasuredObjects({
    api,
    measures,
    now: () => performance.now(),
    objectsMaximum: once === true || !process.stdout.isTTY ? Number.POSITIVE_INFINITY : objectsPerLook,
  })

function topOptions<Row>(command: Command, view: TopView<Row>, sortKey: string): Command {
  const keys = view.columns.flatMap(({ key }) => (key === undefined ? [] : [key]))
  return command
    .option('--sort <column>', keys.join(', '), sortKey)
    .option('--reverse', 'the least first', false)
    .option('--interval <seconds>', 'from one look to the next', String(intervalSecondsDefault))
    .option('--once', 'one look, as where there is no terminal', false)
    .option('--json', 'each look as a line of JSON, for programs', false)
}

async function run<Row>(
  view: TopView<Row>,
  read: (signal: AbortSignal) => Promise<readonly Row[]>,
  options: Options,
): Promise<void> {
  const seconds = Number(options.interval)
  if (!Number.isFinite(seconds) || seconds <= 0 || seconds > intervalSecondsMaximum) {
    throw new Error(`--interval takes seconds, up to ${intervalSecondsMaximum}; "${options.interval}" is none`)
  }
  await runTop({
    view,
    read,
    sortKey: String(options.sort),
    isReversed: options.reverse === true,
    intervalMilliseconds: seconds * 1000,
    isOnce: options.once === true,
    isJson: options.json === true,
    input: process.stdin,
    output: process.stdout,
    environment: process.env,
    now: () => new Date(),
  })
}

export const balancerMeasures = [
  'requestsPerSecond',
  'connections',
  'errorsPerSecond',
  'latencyMilliseconds',
  'cpuPercent',
  'haproxy_process.threads',
]

/** Pure. */
export function describeBalancer(balancer: LoadBalancer, figures: Measured | undefined): BalancerRow {
  const { id, name, status, trafficType, members, instances } = balancer
  const now = (measure: string) => latest(figures?.get(measure))
  return {
    id,
    name,
    status,
    trafficType,
    requestsPerSecond: now('requestsPerSecond'),
    requestHistory: condense(figures?.get('requestsPerSecond'), trendCount),
    connections: now('connections'),
    errorsPerSecond: now('errorsPerSecond'),
    latencyMilliseconds: now('latencyMilliseconds'),
    membersHealthy: members.filter((member) => member.status === 'healthy').length,
    members: members.length,
    instancesServing: instances.filter((instance) => instance.status === 'active').length,
    instances: instances.length,
    cpuPercent: share(now('cpuPercent'), now('haproxy_process.threads')),
  }
}

export const hostMeasures = [
  'cpuPercent',
  'host_cpu.idle',
  'availableBytes',
  'host_memory.total',
  'receivedBytesPerSecond',
  'sentBytesPerSecond',
]

/** Pure. */
export function describeHost(
  host: Host,
  balancers: readonly LoadBalancer[],
  figures: Measured | undefined,
  now: number,
): HostRow {
  const last = (measure: string) => latest(figures?.get(measure))
  const busy = figures?.get('cpuPercent')
  const idle = figures?.get('host_cpu.idle')
  const here = balancers.flatMap(({ instances }) => {
    const count = instances.filter((instance) => instance.host === host.name).length
    return count === 0 ? [] : [count]
  })
  const available = last('availableBytes')
  const total = last('host_memory.total')
  return {
    id: host.id,
    name: host.name,
    status: host.status,
    cpuPercent: latest(busyShares(busy, idle)),
    cpuHistory: condense(busyShares(busy, idle), trendCount),
    memoryPercent: available === null || total === null ? null : share(100 * (total - available), total),
    receivedBytesPerSecond: last('receivedBytesPerSecond'),
    sentBytesPerSecond: last('sentBytesPerSecond'),
    instances: here.reduce((sum, count) => sum + count, 0),
    balancers: here.length,
    reportSecondsAgo: host.lastReportAt === null ? null : Math.max(0, (now - Date.parse(host.lastReportAt)) / 1000),
    agentVersion: host.agentVersion,
  }
}

/** Both of one processor: busy in percent, idle in seconds a second. */
function busyShares(
  busy: readonly (number | null)[] | undefined,
  idle: readonly (number | null)[] | undefined,
): (number | null)[] | undefined {
  return busy?.map((percent, i) => {
    const rest = idle?.[i] ?? null
    return percent === null || rest === null ? null : share(100 * percent, percent + 100 * rest)
  })
}

const share = (value: number | null, whole: number | null): number | null =>
  value === null || whole === null || whole <= 0 ? null : value / whole
