/**
 * How long a VIP is away when what serves it fails: a steady prober asks it through each fault, and what the client misses
 * is the gap. Against the same faults by hand, and against the same watch with nothing done.
 */

import type { Bench, BenchContext } from './bench.ts'
import { type Floor, startFloor } from './floor/start-floor.ts'
import { describeFaults, type Fault } from './gap-faults.ts'
import { measureStress, type StressFindings } from './gap-stress.ts'
import { plotRows } from './plot.ts'
import type { Target } from './prober/messages.ts'
import { measureOutage, type Outage } from './prober/outage.ts'
import { type Prober, startProber } from './prober/start-prober.ts'
import type { Aim, Findings, Series } from './result.ts'
import { percentile } from './statistics.ts'
import { createBalancer, type System, startSystem, targetsOf } from './system/system.ts'
import { awaitWhole, findHolder, observeFloorSettings } from './system/world.ts'

const timesDefault = 20
const pace = { periodMilliseconds: 2, timeoutMilliseconds: 50 }
const beforeMilliseconds = 300
const afterMilliseconds = 2500
const recoverySeconds = 60
const failoverBoundMilliseconds = 250

interface Round {
  readonly fault: string
  readonly outage: Outage
  /** The longest gap while what failed comes back, until all is as it was. */
  readonly healing: Outage | null
  readonly wholeAfterSeconds: number | null
}

export const gap: Bench = {
  summary: 'for how long a VIP is away when its host is cut or loses power, and when programs are killed',

  async run(context) {
    const times = context.options.times ?? timesDefault
    const { system, balancerId, floor, prober, floorProber, settings } = await prepare(context)
    const rounds: Round[] = []
    for (let time = 1; time <= times; time++) {
      for (const fault of describeFaults(system)) {
        const round = await sufferFault(system, balancerId, prober, fault)
        rounds.push(round)
        context.tell(`${time}/${times} ${fault.name}: ${describeOutage(round)}`)
      }
      const round = await sufferByHand(floor, floorProber)
      rounds.push(round)
      context.tell(`${time}/${times} ${round.fault}: ${describeOutage(round)}`)
    }
    const stress =
      context.options.stressMinutes > 0
        ? await measureStress(system, await awaitWhole(system, balancerId), prober, context)
        : undefined
    return conclude(
      rounds,
      { times, loadBalancers: context.options.balancers, floor: settings },
      describeFaults(system),
      stress,
    )
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `${result.series[0]?.samples.length} times each; a probe every ${pace.periodMilliseconds} ms; ${result.machine.cores} cores, ${result.measuredAt.slice(0, 10)}`,
      unit: 'milliseconds without an answer',
      isLogarithmic: true,
      bound: { value: failoverBoundMilliseconds, label: `aim ${failoverBoundMilliseconds} ms` },
      rows: result.series
        .filter(({ name }) => !name.startsWith('coming back'))
        .map(({ name, samples, isFloor }) => ({ label: name, samples, isFloor: isFloor ?? false })),
    }),
}

const quiet = 'nothing is done'
const cutByHand = 'host is cut, by hand'

async function prepare({ options, cleanup, tell }: BenchContext) {
  tell('starting the lab')
  const system = await startSystem(cleanup)
  const balancer = await createBalancer(system, 'gap')
  const whole = await awaitWhole(system, balancer.id)
  for (let number = 2; number <= options.balancers; number++) await addBystander(system, number)
  const settings = observeFloorSettings(whole.instances[0]?.id ?? '')
  tell('building the floor')
  const floor = await startFloor(settings)
  cleanup.defer("the floor's hosts", () => floor.stop())
  const prober = await startProber(system.clientPid)
  cleanup.defer('the prober', () => prober.stop())
  const floorProber = await startProber(floor.clientPid)
  cleanup.defer("the floor's prober", () => floorProber.stop())
  await floor.create(1)
  await floorProber.awaitFirst(targetsOf(await floor.vips(1)), pace, recoverySeconds)
  return { system, balancerId: balancer.id, floor, prober, floorProber, settings }
}

/** A balancer that only makes the hosts busier; whole before the next is made. */
async function addBystander(system: System, number: number): Promise<void> {
  const { id } = await createBalancer(system, `bystander-${number}`)
  await awaitWhole(system, id)
}

async function sufferFault(system: System, balancerId: string, prober: Prober, fault: Fault): Promise<Round> {
  const before = await awaitWhole(system, balancerId)
  const vip = before.vips[0]
  if (vip === undefined) throw new Error('BUG: a whole balancer without a VIP')
  const holder = await findHolder(system, before, vip)
  const target = { address: vip, port: 80 }
  const outage = await watchThrough(prober, target, () => fault.inject(holder))
  if (fault.heal === undefined) return { fault: fault.name, outage, healing: null, wholeAfterSeconds: null }
  const healedAt = performance.now()
  await prober.watch(target, pace)
  await fault.heal(holder)
  await awaitWhole(system, balancerId)
  const healing = measureOutage(await prober.endWatch())
  return { fault: fault.name, outage, healing, wholeAfterSeconds: (performance.now() - healedAt) / 1000 }
}

/** The floor's two instances have no controller to bring a VIP home: keepalived does so itself after its delay. */
async function sufferByHand(floor: Floor, prober: Prober): Promise<Round> {
  const [address = ''] = await floor.vips(1)
  const outage = await watchThrough(prober, { address, port: 80 }, () => floor.cut())
  await floor.heal()
  await Bun.sleep(floorHomecomingMilliseconds)
  await prober.awaitFirst([{ address, port: 80 }], pace, recoverySeconds)
  return { fault: cutByHand, outage, healing: null, wholeAfterSeconds: null }
}

/** Longer than the delay of its preemption. */
const floorHomecomingMilliseconds = 6500

async function watchThrough(prober: Prober, target: Target, act: () => Promise<unknown>): Promise<Outage> {
  await prober.watch(target, pace)
  await Bun.sleep(beforeMilliseconds)
  await act()
  await Bun.sleep(afterMilliseconds)
  // However long it takes: the watch ends only once the VIP is back.
  await prober.awaitFirst([target], pace, recoverySeconds)
  await Bun.sleep(beforeMilliseconds)
  return measureOutage(await prober.endWatch())
}

function describeOutage({ outage, wholeAfterSeconds }: Round): string {
  const whole = wholeAfterSeconds === null ? '' : `, whole again after ${wholeAfterSeconds.toFixed(1)} s`
  return `${outage.gapMilliseconds.toFixed(0)} ms, ${outage.failedProbes} of ${outage.probes} probes failed${whole}`
}

const oneKernel =
  'All hosts share one kernel here. A link that goes down, and namespaces that end, hold its lock on interfaces (rtnl) until the 67 instances of that host are told, and the takeovers of the other hosts wait.'

function conclude(
  rounds: readonly Round[],
  settings: { readonly times: number; readonly loadBalancers: number; readonly floor: unknown },
  faults: readonly Fault[],
  stress: StressFindings | undefined,
): Findings {
  const of = (fault: string) => rounds.filter((round) => round.fault === fault)
  const gaps = (fault: string) => of(fault).map(({ outage }) => outage.gapMilliseconds)
  const names = [...faults.map(({ name }) => name), cutByHand]
  const series: Series[] = names.map((name) => ({
    name,
    unit: 'ms',
    samples: gaps(name),
    ...(name === quiet || name === cutByHand ? { isFloor: true } : {}),
  }))
  const comingBack = faults.flatMap(({ name }): Series[] => {
    const samples = of(name).flatMap(({ healing }) => (healing === null ? [] : [healing.gapMilliseconds]))
    return samples.length === 0 ? [] : [{ name: `coming back: ${name}`, unit: 'ms', samples }]
  })
  const aims = faults.flatMap(({ name, isOnPath }): Aim[] => {
    if (isOnPath === undefined) return []
    const p99 = percentile(gaps(name), 0.99)
    if (isOnPath) {
      const aim = `p99 ≤ ${failoverBoundMilliseconds} ms when ${name}`
      return [{ aim, measured: p99, unit: 'ms', met: p99 <= failoverBoundMilliseconds }]
    }
    const longest = Math.max(...gaps(name))
    const aim = `no gap when ${name}: none longer than a probe's timeout of ${pace.timeoutMilliseconds} ms`
    return [{ aim, measured: longest, unit: 'ms', met: longest <= pace.timeoutMilliseconds }]
  })
  const cut = percentile(gaps('host is cut'), 0.5)
  return {
    title: `How long a VIP is away${settings.loadBalancers === 1 ? '' : `, one of ${settings.loadBalancers}`}`,
    settings: { ...settings, pace, beforeMilliseconds, afterMilliseconds, hosts: 3 },
    series: [...series, ...comingBack, ...(stress?.series ?? [])],
    ratios: [{ name: 'p50 of a cut host to the same by hand', value: cut / percentile(gaps(cutByHand), 0.5) }],
    aims: [...aims, ...(stress?.aims ?? [])],
    notes: [
      'A gap reaches from the end of one whole 200 to the end of the next. With few rounds the p99 is the longest.',
      'A probe is a fresh connection; with nothing done, gaps are those of the machine and of the prober itself.',
      ...(settings.loadBalancers === 1 ? [] : [oneKernel]),
      ...(stress?.notes ?? ['Nothing was measured under full CPU load.']),
    ],
    details: { rounds, stress: stress?.details },
  }
}
