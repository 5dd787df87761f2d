/**
 * What the access log costs: the processor time that haproxy takes for a thousand requests, with every request written
 * down, one of ten, and none, in turns; and what the agent takes that reads them.
 */

import type { LoadBalancer } from '../controller/contract/load-balancer.ts'
import type { Bench, BenchContext } from './bench.ts'
import { startLoad } from './load/start-load.ts'
import { plotRows } from './plot.ts'
import { median } from './statistics.ts'
import { findDaemonProcesses, measureUsage } from './system/processes.ts'
import { createBalancer, type System, startSystem, targetsOf } from './system/system.ts'
import { awaitWhole, findAgents } from './system/world.ts'

const timesDefault = 10
const requestsPerSecond = 1000
const connections = 16
const requestsPerConnection = 1000
const timeoutMilliseconds = 10_000
const runSeconds = 5
/** What is read and sent after the last request is the log's as well. */
const settleSeconds = 1
const ratioAimed = 2

interface Side {
  readonly name: string
  readonly isFloor: boolean
  readonly whole: LoadBalancer
  /** Milliseconds of a processor for a thousand requests. */
  readonly haproxy: number[]
  readonly agents: number[]
}

export const accessLog: Bench = {
  summary: 'processor time that the access log takes, of every request and of one in ten, against none',

  async run(context) {
    const times = context.options.times ?? timesDefault
    const { system, sides } = await prepare(context)
    // Once each before anything counts.
    for (const side of sides) await drive(context, system, side)
    for (let round = 1; round <= times; round++) {
      // The side that goes first takes turns as well.
      for (const side of round % 2 === 1 ? sides : sides.toReversed()) {
        const { haproxy, agents } = await drive(context, system, side)
        side.haproxy.push(haproxy)
        side.agents.push(agents)
      }
      context.tell(`${round}/${times}: ${sides.map(({ haproxy }) => (haproxy.at(-1) ?? 0).toFixed(1)).join(' / ')} ms`)
    }
    const ratios = sides
      .filter(({ isFloor }) => !isFloor)
      .map(({ name, haproxy }) => ({
        name: `haproxy, ${name}, to none`,
        value: median(haproxy) / median(sides.find(({ isFloor }) => isFloor)?.haproxy ?? []),
      }))
    const every = ratios[0]?.value ?? Number.NaN
    return {
      title: 'What the access log costs',
      settings: { times, requestsPerSecond, connections, runSeconds },
      series: sides.flatMap(({ name, isFloor, haproxy, agents }) => [
        { name: `haproxy, ${name}`, unit: 'ms for 1,000 requests', samples: haproxy, isFloor },
        { name: `agents, ${name}`, unit: 'ms for 1,000 requests', samples: agents, isFloor },
      ]),
      ratios,
      aims: [
        {
          aim: `haproxy takes at most ${ratioAimed} × as much where every request is written down`,
          measured: every,
          unit: '×',
          met: every <= ratioAimed,
        },
      ],
      notes: [
        `${requestsPerSecond} requests a second, of which an agent keeps at most a hundred; it reads all that are written down, and counts the others.`,
        'Three balancers of one lab, each driven in turns by its first VIP. Agents have other work as well, which is in all three.',
      ],
    }
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `${requestsPerSecond} requests/s, ${runSeconds} s each, in turns; ${result.machine.cores} cores; ${result.measuredAt.slice(0, 10)}`,
      unit: 'ms of a processor for 1,000 requests',
      rows: result.series.map(({ name, samples, isFloor }) => ({ label: name, samples, isFloor: isFloor ?? false })),
    }),
}

async function prepare({ cleanup, tell }: BenchContext): Promise<{ system: System; sides: readonly Side[] }> {
  tell('starting the lab')
  const system = await startSystem(cleanup)
  const create = async (name: string, logging: { readonly access: 'on' | 'off'; readonly sample?: string }) => {
    const { id } = await createBalancer(system, name, { logging })
    return await awaitWhole(system, id)
  }
  const side = (name: string, isFloor: boolean, whole: LoadBalancer): Side => ({
    name,
    isFloor,
    whole,
    haproxy: [],
    agents: [],
  })
  return {
    system,
    sides: [
      side('every request', false, await create('every', { access: 'on' })),
      side('one of ten', false, await create('tenth', { access: 'on', sample: '1/10' })),
      side('none', true, await create('none', { access: 'off' })),
    ],
  }
}

async function drive(
  { cleanup }: BenchContext,
  system: System,
  { whole }: Side,
): Promise<{ readonly haproxy: number; readonly agents: number }> {
  const haproxies = whole.instances.flatMap(({ id }) => findDaemonProcesses(id, 'haproxy'))
  const agents = findAgents()
  const load = await startLoad(system.clientPid, {
    targets: [...targetsOf(whole.vips.slice(0, 1))],
    connections,
    requestsPerSecond,
    timeoutMilliseconds,
    requestsPerConnection,
    phase: 'all',
  })
  cleanup.defer('a load', () => load.stop())
  const measure = () => ({
    haproxy: measureUsage(haproxies).cpuSeconds,
    agents: measureUsage(agents).cpuSeconds,
  })
  const before = measure()
  await Bun.sleep(runSeconds * 1000)
  const [report] = await load.end()
  await Bun.sleep(settleSeconds * 1000)
  const after = measure()
  await load.stop()
  if (report === undefined || report.failed > 0) throw new Error(`${report?.failed} requests failed`)
  const perThousand = (seconds: number) => (1e6 * seconds) / report.requests
  return { haproxy: perThousand(after.haproxy - before.haproxy), agents: perThousand(after.agents - before.agents) }
}
