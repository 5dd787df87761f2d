/**
 * How long it takes from a request for a balancer to the first 200 by its VIP, against a bare script that builds the same
 * by hand with the same settings. The sides take turns, so that drift of the machine falls on both.
 */

import { renderKeepalivedConfig } from '../templates/keepalived-config.ts'
import type { Bench, BenchContext } from './bench.ts'
import { readAdvertSeconds } from './floor/keepalived-settings.ts'
import { type Floor, startFloor } from './floor/start-floor.ts'
import { plotRows } from './plot.ts'
import { type Prober, startProber } from './prober/start-prober.ts'
import { summarize } from './statistics.ts'
import { createBalancer, deleteBalancer, type System, startSystem, targetsOf } from './system/system.ts'
import { awaitWhole, observeFloorSettings } from './system/world.ts'

const timesDefault = 50
/** Made and taken away before anything counts, so that files are in memory and code is compiled. */
const warmUps = 3
const pace = { periodMilliseconds: 3, timeoutMilliseconds: 50 }
const giveUpSeconds = 30

const ours = 'sluice'
const byHand = 'by hand'
const byHandWithOurStart = 'by hand, with the same start of keepalived'

export const create: Bench = {
  summary: 'create → first 200 by the VIP, against a script that builds the same by hand',

  async run(context) {
    const times = context.options.times ?? timesDefault
    const { system, floor, ourProber, floorProber, settings } = await prepare(context)
    const startAdvertSeconds = shorterStart(settings.advertSeconds)
    const samples = { ours: [] as number[], answered: [] as number[], plain: [] as number[], started: [] as number[] }
    for (let round = -warmUps; round < times; round++) {
      const own = await timeOurs(system, ourProber, round)
      await floor.startWith(undefined)
      const plain = await timeFloor(floor, floorProber)
      await floor.startWith(startAdvertSeconds)
      const started = await timeFloor(floor, floorProber)
      if (round < 0) continue
      samples.ours.push(own.firstMilliseconds)
      samples.answered.push(own.answeredMilliseconds)
      samples.plain.push(plain)
      samples.started.push(started)
      context.tell(`${round + 1}/${times}: ${[own.firstMilliseconds, plain, started].map(Math.round).join(' / ')} ms`)
    }
    const [own, plain, started] = [samples.ours, samples.plain, samples.started].map(summarize)
    if (own === undefined || plain === undefined || started === undefined) throw new Error('BUG: no rounds')
    const ratios = [
      { name: `p50 to ${byHand}`, value: own.p50 / plain.p50 },
      { name: `p99 to ${byHand}`, value: own.p99 / plain.p99 },
      { name: `p50 to ${byHandWithOurStart}`, value: own.p50 / started.p50 },
      { name: `p99 to ${byHandWithOurStart}`, value: own.p99 / started.p99 },
    ]
    return {
      title: 'Create → first 200 by the VIP',
      settings: { times, warmUps, pace, hosts: 3, floor: settings, startAdvertSeconds },
      series: [
        { name: ours, unit: 'ms', samples: samples.ours },
        { name: byHand, unit: 'ms', samples: samples.plain, isFloor: true },
        { name: byHandWithOurStart, unit: 'ms', samples: samples.started, isFloor: true },
        { name: 'sluice: create → answer of the API', unit: 'ms', samples: samples.answered },
      ],
      ratios,
      aims: ratios.map(({ name, value }) => {
        const bound = name.startsWith('p50') ? 1 : 1.5
        return { aim: `${name} ≤ ${bound.toFixed(1)}`, measured: value, unit: '×', met: value <= bound }
      }),
      notes: [
        'The script checks no config and records nothing. Its steps on the two hosts follow each other; those of the agents run side by side.',
        `Our keepalived starts with an interval of ${startAdvertSeconds} s and its own VIP alone, then reloads the settings that stay; the second floor does so as well.`,
      ],
    }
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `${result.series[0]?.samples.length} times, in turns; ${result.machine.cores} cores, ${result.measuredAt.slice(0, 10)}`,
      unit: 'milliseconds',
      rows: result.series.map(({ name, samples, isFloor }) => ({ label: name, samples, isFloor: isFloor ?? false })),
    }),
}

/** The interval that our own template gives a start, for the interval that stays. */
function shorterStart(advertSeconds: number): number {
  const vip = { address: '192.0.2.1', prefixLength: 24, virtualRouterId: 1, priority: 250, home: true }
  const config = renderKeepalivedConfig(
    {
      id: 'lbi',
      uplink: { mac: '02:00:00:00:00:01', address: '192.0.2.2', prefixLength: 24, gateway: '192.0.2.3' },
      vips: [{ slot: 1, ...vip, peerAddresses: ['192.0.2.4'] }],
      advertIntervalSeconds: advertSeconds,
      preemptDelaySeconds: 5,
    },
    'starting',
    { uplinkDevice: 'uplink', faultFile: '/run/fault' },
  )
  return readAdvertSeconds(config)
}

async function prepare({ cleanup, tell }: BenchContext) {
  tell('starting the lab')
  const system = await startSystem(cleanup)
  const sample = await createBalancer(system, 'sample')
  const whole = await awaitWhole(system, sample.id)
  const settings = observeFloorSettings(whole.instances[0]?.id ?? '')
  await deleteBalancer(system, sample.id)
  tell('building the floor')
  const floor = await startFloor(settings)
  cleanup.defer("the floor's hosts", () => floor.stop())
  const ourProber = await startProber(system.clientPid)
  cleanup.defer('the prober', () => ourProber.stop())
  const floorProber = await startProber(floor.clientPid)
  cleanup.defer("the floor's prober", () => floorProber.stop())
  return { system, floor, ourProber, floorProber, settings }
}

async function timeOurs(system: System, prober: Prober, round: number) {
  const balancer = await createBalancer(system, `create-${round}`)
  const [first] = await prober.awaitFirst(targetsOf(balancer.vips.slice(0, 1)), pace, giveUpSeconds)
  await awaitWhole(system, balancer.id)
  await deleteBalancer(system, balancer.id)
  return {
    firstMilliseconds: (first ?? Number.NaN) - balancer.sentAt,
    answeredMilliseconds: balancer.answeredAt - balancer.sentAt,
  }
}

async function timeFloor(floor: Floor, prober: Prober): Promise<number> {
  const first = prober.awaitFirst(targetsOf((await floor.vips(1)).slice(0, 1)), pace, giveUpSeconds)
  const begunAt = await floor.create(1)
  const [firstAt] = await first
  await floor.settle(1)
  await prober.awaitFirst(targetsOf(await floor.vips(1)), pace, giveUpSeconds)
  await floor.delete(1)
  return (firstAt ?? Number.NaN) - begunAt
}
