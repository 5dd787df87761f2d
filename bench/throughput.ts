/**
 * Requests a second through a VIP, against the same haproxy configured by hand in hosts that are made likewise. wrk drives
 * one side, then the other, in turns.
 */

import type { Bench, BenchContext } from './bench.ts'
import { startFloor } from './floor/start-floor.ts'
import { plotRows } from './plot.ts'
import { startProber } from './prober/start-prober.ts'
import { median } from './statistics.ts'
import { createBalancer, startSystem, targetsOf } from './system/system.ts'
import { awaitWhole, observeFloorSettings } from './system/world.ts'

const timesDefault = 15
const connections = 64
const runSeconds = 5
const graceSeconds = 10
const pace = { periodMilliseconds: 20, timeoutMilliseconds: 500 }
const ratioAimed = 0.97

export const throughput: Bench = {
  summary: 'requests a second through the VIP, against the same haproxy configured by hand',

  async run(context) {
    const times = context.options.times ?? timesDefault
    const { settings, sides } = await prepare(context)
    // Once each before anything counts.
    for (const side of sides) await drive(side)
    for (let round = 1; round <= times; round++) {
      // The side that goes first takes turns as well.
      for (const side of round % 2 === 1 ? sides : sides.toReversed()) {
        const run = await drive(side)
        side.samples.push(run.requestsPerSecond)
        side.failed += run.failed
      }
      context.tell(
        `${round}/${times}: ${sides.map(({ samples }) => Math.round(samples.at(-1) ?? 0)).join(' / ')} requests/s`,
      )
    }
    const [own, byHand] = sides.map(({ samples }) => median(samples))
    const ratio = (own ?? Number.NaN) / (byHand ?? Number.NaN)
    return {
      title: 'Requests a second through the VIP',
      settings: { times, connections, runSeconds, floor: settings },
      series: sides.map(({ name, samples, isFloor }) => ({ name, unit: 'requests/s', samples, isFloor })),
      ratios: [{ name: 'median to the median by hand', value: ratio }],
      aims: [{ aim: `ratio of the medians ≥ ${ratioAimed}`, measured: ratio, unit: '×', met: ratio >= ratioAimed }],
      notes: [
        'Load, balancer and members share the processors, so the figures are for comparison with each other only.',
        `The members of both sides run the same program. Requests that failed: ${sides.map(({ name, failed }) => `${name} ${failed}`).join(', ')}.`,
      ],
    }
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `wrk, ${connections} connections, ${runSeconds} s each, in turns; ${result.machine.cores} cores; ratio of the medians ${result.ratios[0]?.value.toFixed(3)}; ${result.measuredAt.slice(0, 10)}`,
      unit: 'requests a second',
      rows: result.series.map(({ name, samples, isFloor }) => ({ label: name, samples, isFloor: isFloor ?? false })),
    }),
}

interface Side {
  readonly name: string
  readonly isFloor: boolean
  readonly clientPid: number
  readonly vip: string
  readonly samples: number[]
  failed: number
}

async function prepare({ cleanup, tell }: BenchContext) {
  tell('starting the lab')
  const system = await startSystem(cleanup)
  const balancer = await createBalancer(system, 'throughput')
  const whole = await awaitWhole(system, balancer.id)
  const settings = observeFloorSettings(whole.instances[0]?.id ?? '')
  tell('building the floor')
  const floor = await startFloor(settings)
  cleanup.defer("the floor's hosts", () => floor.stop())
  await floor.create(1)
  const vips = await floor.vips(1)
  const prober = await startProber(floor.clientPid)
  await prober.awaitFirst(targetsOf(vips), pace, graceSeconds)
  await prober.stop()
  const side = (name: string, isFloor: boolean, clientPid: number, vip = ''): Side => ({
    name,
    isFloor,
    clientPid,
    vip,
    samples: [],
    failed: 0,
  })
  const sides = [
    side('sluice', false, system.clientPid, whole.vips[0]),
    side('by hand', true, floor.clientPid, vips[0]),
  ]
  return { settings, sides }
}

async function drive({ clientPid, vip }: Side): Promise<{ requestsPerSecond: number; failed: number }> {
  const load = ['wrk', '-t1', `-c${connections}`, `-d${runSeconds}s`, `http://${vip}/`]
  const child = Bun.spawn(['nsenter', '-t', String(clientPid), '-n', '--', ...load], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: (runSeconds + graceSeconds) * 1000,
  })
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  if ((await child.exited) !== 0) throw new Error(`wrk failed: ${stderr || stdout}`)
  return readWrk(stdout)
}

/** What wrk prints at its end. */
export function readWrk(text: string): { requestsPerSecond: number; failed: number } {
  const requestsPerSecond = Number(/^Requests\/sec:\s+([\d.]+)/m.exec(text)?.[1] ?? Number.NaN)
  if (!Number.isFinite(requestsPerSecond)) throw new Error(`wrk told no rate: ${text}`)
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? []
  const statuses = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0)
  return { requestsPerSecond, failed: sockets.reduce((sum, count) => sum + Number(count), statuses) }
}
