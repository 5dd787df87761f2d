/**
 * How the system grows with its load balancers: time to converge, memory and idle CPU of agents and controller at 1, 10
 * and 100. The floor of the time is the same number of balancers built by hand, one after another.
 */

import { openLab } from '../lab/lab.ts'
import type { Bench, BenchContext } from './bench.ts'
import { wallMilliseconds } from './clock.ts'
import { type Floor, startFloor } from './floor/start-floor.ts'
import { plotLines } from './plot.ts'
import { type Prober, startProber } from './prober/start-prober.ts'
import type { Result } from './result.ts'
import { findProgram, idleShare, measureUsage, readProcessorTicks } from './system/processes.ts'
import {
  type CreatedBalancer,
  createBalancer,
  deleteBalancer,
  type System,
  startSystem,
  targetsOf,
} from './system/system.ts'
import { awaitAllWhole, awaitWhole, findAgents, observeFloorSettings } from './system/world.ts'

const steps = [1, 10, 100] as const
/** As many probes a second however many VIPs there are, so that probing costs each step the same. */
const probesPerSecond = 400
const giveUpSeconds = 300
const idleSeconds = 30
const requestsAtOnce = 8

const paceFor = (vips: number) => ({
  periodMilliseconds: Math.max(5, Math.round((1000 * vips) / probesPerSecond)),
  timeoutMilliseconds: 500,
})

interface Step {
  readonly loadBalancers: number
  /** Of these how many were made in this step. */
  readonly added: number
  /** From the first request until each of them had answered 200 by all of its VIPs. */
  readonly answeredSeconds: number
  /** Until the API and the kernels said that all was well. */
  readonly wholeSeconds: number
  readonly byHandSeconds: number
  readonly agent: Share
  readonly controller: Share
  readonly natsServer: Share
  readonly dataPath: Share
  readonly machineIdleShare: number
}

/** Of a program; of an agent, the largest of the three. CPU in percent of one core. */
interface Share {
  readonly residentMebibytes: number
  readonly anonymousMebibytes: number
  readonly idleCpuPercent: number
}

export const scale: Bench = {
  summary: 'time to converge, memory and idle CPU at 1, 10 and 100 load balancers on three hosts',

  async run(context) {
    const { system, floor, prober, floorProber, settings } = await prepare(context)
    const found: Step[] = []
    let made = 0
    let failure: string | undefined
    for (const loadBalancers of steps) {
      context.tell(`${loadBalancers} load balancers`)
      const step = await takeStep(system, prober, made, loadBalancers).catch((error: unknown) => String(error))
      if (typeof step === 'string') {
        context.tell(step)
        failure = `${loadBalancers} load balancers were not reached: ${step}`
        break
      }
      const byHandSeconds = await buildByHand(floor, floorProber, loadBalancers - made)
      found.push({ ...step, byHandSeconds })
      context.tell(JSON.stringify(found.at(-1)))
      made = loadBalancers
    }
    const of = (pick: (step: Step) => number) => found.map(pick)
    // Of the largest step: where that was not reached, nothing is said of it and no aim is met.
    const last = found[steps.length - 1]
    const perBalancer = found.map((step) => step.answeredSeconds / step.added)
    const growth = (perBalancer[2] ?? Number.NaN) / (perBalancer[1] ?? Number.NaN)
    const byHand = found.map((step) => step.byHandSeconds / step.added)
    const growthByHand = (byHand[2] ?? Number.NaN) / (byHand[1] ?? Number.NaN)
    const agentMemory = last?.agent.residentMebibytes ?? Number.NaN
    const agentCpu = last?.agent.idleCpuPercent ?? Number.NaN
    const controllerCpu = last?.controller.idleCpuPercent ?? Number.NaN
    return {
      title: 'How it grows with load balancers',
      settings: { steps, probesPerSecond, idleSeconds, requestsAtOnce, hosts: 3, instancesEach: 2, floor: settings },
      series: [
        { name: 'load balancers', unit: 'count', samples: of((step) => step.loadBalancers) },
        { name: 'added in this step', unit: 'count', samples: of((step) => step.added) },
        { name: 'sluice: all of them answer', unit: 's', samples: of((step) => step.answeredSeconds) },
        { name: 'sluice: all is well', unit: 's', samples: of((step) => step.wholeSeconds) },
        { name: 'by hand: all of them answer', unit: 's', samples: of((step) => step.byHandSeconds), isFloor: true },
        ...(['agent', 'controller', 'natsServer', 'dataPath'] as const).flatMap((program) => [
          { name: `${program}: resident`, unit: 'MiB', samples: of((step) => step[program].residentMebibytes) },
          { name: `${program}: anonymous`, unit: 'MiB', samples: of((step) => step[program].anonymousMebibytes) },
          { name: `${program}: idle CPU`, unit: '% of a core', samples: of((step) => step[program].idleCpuPercent) },
        ]),
      ],
      ratios: [
        {
          name: 'time of the last step to the same by hand',
          value: (last?.answeredSeconds ?? Number.NaN) / (last?.byHandSeconds ?? Number.NaN),
        },
        { name: 'time per balancer, from 10 to 100', value: growth },
        { name: 'time per balancer by hand, from 10 to 100', value: growthByHand },
      ],
      aims: [
        {
          aim: 'linear: at 100 a balancer takes at most 1.5 × the time that it takes at 10',
          measured: growth,
          unit: '×',
          met: growth <= 1.5,
        },
        { aim: 'agent ≤ 80 MiB resident at 100', measured: agentMemory, unit: 'MiB', met: agentMemory <= 80 },
        { aim: 'agent idle ≤ 1 % of a core at 100', measured: agentCpu, unit: '% of a core', met: agentCpu <= 1 },
        {
          aim: 'controller idle ≤ 1 % of a core at 100',
          measured: controllerCpu,
          unit: '% of a core',
          met: controllerCpu <= 1,
        },
      ],
      notes: [
        ...(failure === undefined ? [] : [failure]),
        'Steps add to each other: 1, then 9 more, then 90 more. By hand likewise, one after another in one script.',
        'The agent is the largest of three. Resident memory counts pages of the compiled binary that all three share; anonymous memory does not.',
        'The data path is haproxy and keepalived of all hosts together: what it costs without us.',
      ],
      details: found,
    }
  },

  plot(result) {
    const steps = result.details as readonly Step[]
    const line = (label: string, pick: (step: Step) => number, isFloor = false) => ({
      label,
      isFloor,
      points: steps.map((step) => ({ x: step.loadBalancers, y: pick(step) })),
    })
    const shares = (field: keyof Share) => [
      line('agent', (step) => step.agent[field]),
      line('controller', (step) => step.controller[field]),
      line('nats-server', (step) => step.natsServer[field]),
    ]
    return plotLines({
      title: result.title,
      subtitle: describeMachine(result),
      xLabel: 'load balancers of two instances on three hosts',
      panels: [
        {
          title: 'Until the added ones answer',
          unit: 'seconds',
          series: [line('sluice', (step) => step.answeredSeconds), line('by hand', (step) => step.byHandSeconds, true)],
        },
        { title: 'Resident memory', unit: 'MiB', series: shares('residentMebibytes') },
        { title: 'Idle CPU', unit: '% of a core', series: shares('idleCpuPercent') },
      ],
    })
  },
}

const describeMachine = ({ machine, measuredAt, settings }: Result) =>
  `${machine.cores} cores; idle CPU over ${settings.idleSeconds} s; ${measuredAt.slice(0, 10)}`

async function prepare({ cleanup, tell }: BenchContext) {
  tell('starting the lab')
  const system = await startSystem(cleanup)
  const sample = await createBalancer(system, 'balancer-1')
  const whole = await awaitWhole(system, sample.id)
  const settings = observeFloorSettings(whole.instances[0]?.id ?? '')
  await deleteBalancer(system, sample.id)
  tell('building the floor')
  const floor = await startFloor(settings)
  cleanup.defer("the floor's hosts", () => floor.stop())
  const prober = await startProber(system.clientPid)
  cleanup.defer('the prober', () => prober.stop())
  const floorProber = await startProber(floor.clientPid)
  cleanup.defer("the floor's prober", () => floorProber.stop())
  return { system, floor, prober, floorProber, settings }
}

async function takeStep(system: System, prober: Prober, made: number, wanted: number) {
  const begunAt = wallMilliseconds()
  const numbers = Array.from({ length: wanted - made }, (_, index) => made + index + 1)
  const balancers: CreatedBalancer[] = []
  const next = numbers.values()
  // A few at once, as programs that declare many do.
  const declare = async () => {
    for (const number of next) balancers.push(await createBalancer(system, `balancer-${number}`))
  }
  await Promise.all(Array.from({ length: requestsAtOnce }, declare))
  const targets = balancers.flatMap(({ vips }) => targetsOf(vips))
  const at = await prober.awaitFirst(targets, paceFor(targets.length), giveUpSeconds)
  const answeredSeconds = (Math.max(...at) - begunAt) / 1000
  await awaitAllWhole(
    system,
    balancers.map(({ id }) => id),
  )
  const wholeSeconds = (wallMilliseconds() - begunAt) / 1000
  return { loadBalancers: wanted, added: numbers.length, answeredSeconds, wholeSeconds, ...(await measureIdle(system)) }
}

/** Built and taken away again: what must not stay is the idle cost of the floor beside ours. */
async function buildByHand(floor: Floor, prober: Prober, count: number): Promise<number> {
  const numbers = Array.from({ length: count }, (_, index) => index + 1)
  const begunAt = wallMilliseconds()
  const vips: string[] = []
  for (const number of numbers) {
    vips.push(...(await floor.vips(number)))
    await floor.create(number)
  }
  const at = await prober.awaitFirst(targetsOf(vips), paceFor(vips.length), giveUpSeconds)
  for (const number of numbers) await floor.delete(number)
  return (Math.max(...at) - begunAt) / 1000
}

async function measureIdle(system: System) {
  const agents = findAgents()
  const controller = openLab(system.settings).state.controller.process?.pid ?? 0
  const groups = {
    ...Object.fromEntries(agents.map((pid) => [`agent ${pid}`, [pid]])),
    controller: [controller],
    natsServer: findProgram('nats-server'),
    dataPath: [...findProgram('haproxy'), ...findProgram('keepalived')],
  }
  const before = Object.fromEntries(Object.entries(groups).map(([name, pids]) => [name, measureUsage(pids)]))
  const ticks = readProcessorTicks()
  await Bun.sleep(idleSeconds * 1000)
  const machineIdleShare = idleShare(ticks, readProcessorTicks())
  const share = (name: string, pids: readonly number[]): Share => {
    const { residentMebibytes, anonymousMebibytes, cpuSeconds } = measureUsage(pids)
    const spent = cpuSeconds - (before[name]?.cpuSeconds ?? 0)
    return { residentMebibytes, anonymousMebibytes, idleCpuPercent: (100 * spent) / idleSeconds }
  }
  const ofAgents = agents.map((pid) => share(`agent ${pid}`, [pid]))
  const largest = (field: keyof Share) => Math.max(...ofAgents.map((one) => one[field]))
  return {
    agent: {
      residentMebibytes: largest('residentMebibytes'),
      anonymousMebibytes: largest('anonymousMebibytes'),
      idleCpuPercent: largest('idleCpuPercent'),
    },
    controller: share('controller', groups.controller),
    natsServer: share('natsServer', groups.natsServer),
    dataPath: share('dataPath', groups.dataPath),
    machineIdleShare,
  }
}
