/**
 * What a fleet of balancers costs that serve nobody: health checks, adverts and reports, as processor time of each program,
 * as memory and as messages, at three sizes. What haproxy and keepalived take is the floor, since they would take it
 * without us; what agents, controller and nats-server take beside them is ours. The two smaller fleets are also made by
 * hand, and measured first.
 */

import * as v from 'valibot'
import { pageSchema } from '../controller/contract/common.ts'
import { cloudEventSchema } from '../controller/contract/events.ts'
import { openLab } from '../lab/lab.ts'
import type { Bench, BenchContext } from './bench.ts'
import { type ByHand, measureByHand } from './fleet/measure-by-hand.ts'
import {
  type Cost,
  type DataPlane,
  findDataPlane,
  measurePrograms,
  measureSeconds,
  type Processes,
  type Rest,
} from './fleet/measure-programs.ts'
import { findNewestEvent } from './migrate/follow-migration.ts'
import { plotLines } from './plot.ts'
import type { Findings, Result } from './result.ts'
import { findProgram, measureUsage } from './system/processes.ts'
import { countReports, type ReportTraffic } from './system/report-traffic.ts'
import { createBalancer, hostCount, type System, startSystem } from './system/system.ts'
import { awaitAllWhole, findAgents } from './system/world.ts'

const largestDefault = 300
const membersEach = 10
const instancesEach = 2
/** Of health checks where nothing else is said. */
const checkIntervalSeconds = 5
const requestsAtOnce = 8
/** So many are made at a time, so that each batch is whole within its time. */
const batch = 10
const settleSeconds = 10
const countSeconds = 10

const programs = ['agents', 'controller', 'nats-server', 'haproxy', 'keepalived'] as const
type Program = (typeof programs)[number]
const ownPrograms: readonly Program[] = ['agents', 'controller', 'nats-server']
const floorPrograms: readonly DataPlane[] = ['haproxy', 'keepalived']

interface Size extends Rest<Program> {
  readonly balancers: number
  /** From the first request of those that are new until all of them were whole. */
  readonly wholeSeconds: number
  readonly checksPerSecond: number
  readonly largestAgent: Cost
  readonly reports: ReportTraffic
  /** Changes of any status that were told meanwhile: VIPs that moved, instances that were suspected. */
  readonly changes: number
}

interface Details {
  readonly sizes: readonly Size[]
  readonly byHand: readonly ByHand[]
}

export const fleet: Bench = {
  summary: 'what balancers of ten members cost that serve nobody, at 10, 100 and 300: processor time, memory, messages',

  async run(context) {
    const largest = context.options.balancers === 1 ? largestDefault : context.options.balancers
    const counts = [Math.ceil(largest / 30), Math.ceil(largest / 3), largest]
    const byHand = await measureByHand(context, counts.slice(0, 2), membersEach)
    const system = await prepare(context, largest)
    const sizes: Size[] = []
    let made = 0
    for (const balancers of counts) {
      context.tell(`${balancers} load balancers`)
      const begunAt = performance.now()
      try {
        await makeBalancers(context, system, made, balancers)
      } catch (error) {
        // What was measured until then is worth keeping, and the aim below says what is missing.
        context.tell(`not all of ${balancers} became whole: ${String(error)}`)
        break
      }
      const wholeSeconds = (performance.now() - begunAt) / 1000
      made = balancers
      sizes.push({ balancers, wholeSeconds, ...(await measureRest(system, balancers)) })
      context.tell(JSON.stringify(sizes.at(-1)))
    }
    return conclude({ sizes, byHand }, largest)
  },

  plot(result) {
    const { sizes, byHand } = result.details as Details
    const panel = (title: string, unit: string, pick: (cost: Cost) => number) => ({
      title,
      unit,
      series: [
        ...programs.map((program) => ({
          label: program,
          points: sizes.map(({ balancers, costs }) => ({ x: balancers, y: pick(costs[program]) })),
        })),
        ...floorPrograms.map((program) => ({
          label: `${program} by hand`,
          isFloor: true,
          points: byHand.map(({ balancers, rest }) => ({ x: balancers, y: pick(rest.costs[program]) })),
        })),
      ],
    })
    return plotLines({
      title: result.title,
      subtitle: describeMachine(result),
      xLabel: `load balancers of ${instancesEach} instances and ${membersEach} members, on ${hostCount} hosts`,
      panels: [
        panel('Processor time', '% of a core', ({ cpuPercent }) => cpuPercent),
        panel('Memory of their own', 'MiB', ({ anonymousMebibytes }) => anonymousMebibytes),
      ],
    })
  },
}

const describeMachine = ({ machine, measuredAt, settings }: Result) =>
  `${machine.cores} cores; over ${settings.measureSeconds} s at rest; ${measuredAt.slice(0, 10)}`

async function prepare({ cleanup, tell }: BenchContext, largest: number): Promise<System> {
  tell('starting the lab')
  return await startSystem(cleanup, membersEach, { loadBalancers: largest })
}

async function makeBalancers({ tell }: BenchContext, system: System, made: number, wanted: number): Promise<void> {
  const members = system.machines.map(({ id }) => ({ machineId: id }))
  for (let first = made + 1; first <= wanted; first += batch) {
    const numbers = Array.from({ length: Math.min(batch, wanted - first + 1) }, (_, i) => first + i)
    const ids: string[] = []
    const next = numbers.values()
    // A few at once, as programs that declare many do.
    const declare = async () => {
      for (const number of next) ids.push((await createBalancer(system, `balancer-${number}`, { members })).id)
    }
    await Promise.all(Array.from({ length: requestsAtOnce }, declare))
    await awaitAllWhole(system, ids)
    if (wanted - made > batch && (first + numbers.length - 1) % 50 === 0)
      tell(`${first + numbers.length - 1} of ${wanted} are whole`)
  }
}

async function measureRest(system: System, balancers: number): Promise<Omit<Size, 'balancers' | 'wholeSeconds'>> {
  await Bun.sleep(settleSeconds * 1000)
  // Whoever counts messages is one more who is sent them, so the costs are measured afterwards.
  const reports = await countReports(system, countSeconds)
  const lastEventId = await findNewestEvent(system)
  const agents = findAgents()
  const before = agents.map((pid) => measureUsage([pid]).cpuSeconds)
  const rest = await measurePrograms(findProcesses(system))
  const each = agents.map((pid, i): Cost => {
    const { anonymousMebibytes, cpuSeconds } = measureUsage([pid])
    return { anonymousMebibytes, cpuPercent: (100 * (cpuSeconds - (before[i] ?? 0))) / measureSeconds }
  })
  return {
    ...rest,
    checksPerSecond: (balancers * instancesEach * membersEach) / checkIntervalSeconds,
    largestAgent: {
      cpuPercent: Math.max(...each.map(({ cpuPercent }) => cpuPercent)),
      anonymousMebibytes: Math.max(...each.map(({ anonymousMebibytes }) => anonymousMebibytes)),
    },
    reports,
    changes: await countChanges(system, lastEventId),
  }
}

function findProcesses({ settings }: System): Processes<Program> {
  const controller = openLab(settings).state.controller.process?.pid
  return {
    agents: findAgents(),
    controller: controller === undefined ? [] : [controller],
    'nats-server': findProgram('nats-server'),
    ...findDataPlane(),
  }
}

async function countChanges({ api }: System, afterId: string): Promise<number> {
  const query = `format=json&limit=1000&type=load-balancer.*&after=${afterId}`
  const page = await api.call(pageSchema(cloudEventSchema), 'GET', `/v1/events?${query}`)
  return v.parse(v.array(v.unknown()), page.items).length
}

const sumOf = <One extends string>({ costs }: Rest<One>, of: readonly One[]) =>
  of.reduce((sum, program) => sum + costs[program].cpuPercent, 0)

const ownShareBound = 0.35
const growthBound = 1.15
const agentCpuBound = 4
const agentMemoryBound = 100

function conclude({ sizes: found, byHand }: Details, largest: number): Findings {
  const of = (pick: (size: Size) => number) => found.map(pick)
  const own = of((size) => sumOf(size, ownPrograms))
  const floor = of((size) => sumOf(size, floorPrograms))
  const counts = of(({ balancers }) => balancers)
  /** What each further balancer costs between the two larger sizes, to what it costs between the two smaller ones. */
  const growth = (costs: readonly number[]) => slope(counts, costs, 1) / slope(counts, costs, 0)
  const ownShare = (own.at(-1) ?? Number.NaN) / (floor.at(-1) ?? Number.NaN)
  const last = found.at(-1)
  if (last === undefined) throw new Error('no fleet became whole')
  const changes = of((size) => size.changes).reduce((sum, one) => sum + one, 0)
  const { cpuPercent: agentCpu, anonymousMebibytes: agentMemory } = last.largestAgent
  const ownGrowth = growth(own)
  const hasGrowth = found.length === 3
  return {
    title: 'What a fleet of load balancers costs at rest',
    settings: { counts, instancesEach, membersEach, checkIntervalSeconds, measureSeconds, hosts: hostCount },
    series: [
      { name: 'load balancers', unit: 'count', samples: counts },
      { name: 'ours: processor time', unit: '% of a core', samples: own },
      { name: 'haproxy and keepalived: processor time', unit: '% of a core', samples: floor, isFloor: true },
      ...programs.flatMap((program) => [
        { name: `${program}: processor time`, unit: '% of a core', samples: of((s) => s.costs[program].cpuPercent) },
        { name: `${program}: memory`, unit: 'MiB', samples: of((s) => s.costs[program].anonymousMebibytes) },
      ]),
      { name: 'largest agent: processor time', unit: '% of a core', samples: of((s) => s.largestAgent.cpuPercent) },
      { name: 'largest agent: memory', unit: 'MiB', samples: of((s) => s.largestAgent.anonymousMebibytes) },
      { name: 'reports', unit: '/s', samples: of((s) => s.reports.messagesPerSecond) },
      { name: 'reports: volume', unit: 'KiB/s', samples: of((s) => s.reports.kibibytesPerSecond) },
      { name: 'health checks', unit: '/s', samples: of((s) => s.checksPerSecond) },
      { name: 'status changes', unit: 'events', samples: of((s) => s.changes) },
      { name: 'machine idle', unit: '%', samples: of((s) => 100 * s.machineIdleShare) },
      { name: 'the kernel, the members and all else', unit: '% of a core', samples: of((s) => s.otherCpuPercent) },
      ...floorPrograms.map((program) => ({
        name: `${program} by hand: processor time`,
        unit: '% of a core',
        samples: byHand.map(({ rest }) => rest.costs[program].cpuPercent),
        isFloor: true,
      })),
      {
        name: 'machine idle, of what was made by hand',
        unit: '%',
        samples: byHand.map(({ rest }) => 100 * rest.machineIdleShare),
        isFloor: true,
      },
      { name: 'until the new ones were whole', unit: 's', samples: of((s) => s.wholeSeconds) },
    ],
    ratios: [
      { name: 'ours to haproxy and keepalived, at the largest size', value: ownShare },
      ...(hasGrowth
        ? [
            { name: 'cost of one more balancer, ours: beyond the middle size to below it', value: ownGrowth },
            { name: 'the same of haproxy and keepalived', value: growth(floor) },
          ]
        : []),
      ...byHand.flatMap(({ balancers, rest }) =>
        found
          .filter((size) => size.balancers === balancers)
          .map((size) => ({
            name: `haproxy and keepalived of ${balancers} balancers, to the same by hand`,
            value: sumOf(size, floorPrograms) / sumOf(rest, floorPrograms),
          })),
      ),
    ],
    aims: [
      {
        aim: `${largest} load balancers are whole, each within its time`,
        measured: last.balancers,
        unit: 'load balancers',
        met: last.balancers === largest,
      },
      {
        aim: `ours takes at most ${100 * ownShareBound} % of what haproxy and keepalived take`,
        measured: 100 * ownShare,
        unit: '%',
        met: ownShare <= ownShareBound,
      },
      ...(hasGrowth
        ? [
            {
              aim: `linear: one more balancer costs at most ${growthBound} × as much among many as among few`,
              measured: ownGrowth,
              unit: '×',
              met: ownGrowth <= growthBound,
            },
          ]
        : []),
      {
        aim: `an agent takes at most ${agentCpuBound} % of a core`,
        measured: agentCpu,
        unit: '% of a core',
        met: agentCpu <= agentCpuBound,
      },
      {
        aim: `and ${agentMemoryBound} MiB of its own`,
        measured: agentMemory,
        unit: 'MiB',
        met: agentMemory <= agentMemoryBound,
      },
      { aim: 'no VIP moves, and nothing else changes', measured: changes, unit: 'events', met: changes === 0 },
    ],
    notes: [
      `Health checks are those asked for: each instance asks each member every ${checkIntervalSeconds} s.`,
      'Sizes add to each other. All balancers have the same ten machines as members, spread over the hosts.',
      'Adverts go out every 0.05 s for the first 25 instances of a host, every 0.1 s for the next 25, every 0.2 s for the next 50, and so on: so the cost of keepalived grows by less than the count. By hand all go out every 0.05 s.',
      'By hand there are as many haproxies and keepaliveds with as many checks, in namespaces on three such hosts, before ours are made.',
    ],
    details: { sizes: found, byHand } satisfies Details,
  }
}

function slope(counts: readonly number[], costs: readonly number[], from: number): number {
  const [x = 0, next = 0] = counts.slice(from)
  const [y = 0, last = 0] = costs.slice(from)
  return (last - y) / (next - x)
}
