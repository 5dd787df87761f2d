/**
 * What many microshards cost: memory of the server and of a controller, how long a controller takes to start, and how
 * long to look a key up, with 4, 100 and 1,000 of them (10,000 with `--balancers 10000`). Each size in a process of its own.
 */

import { connect } from '@nats-io/transport-node'
import { startTestNatsServer } from '../controller/control-plane/test-nats-server.ts'
import type { Bench, BenchContext } from './bench.ts'
import { samplesOf } from './bench.ts'
import { makeMicroshards } from './microshards/make-microshards.ts'
import { type Observed, observeInProcess } from './microshards/observe.ts'
import { plotLines } from './plot.ts'
import { median } from './statistics.ts'

const timesDefault = 5
const counts = [4, 100, 1_000]
/** With `--balancers 10000`. */
const countLarge = 10_000
const objects = 10_000
const mebibyte = 2 ** 20
const lookUpAimed = 10

export const microshardCount: Bench = {
  summary: 'memory, start and look-up time with 4, 100 and 1,000 microshards (10,000 with --balancers 10000)',

  async run(context) {
    const times = context.options.times ?? timesDefault
    const wanted = context.options.balancers >= countLarge ? [...counts, countLarge] : counts
    const seen = new Map<number, readonly Observed[]>()
    for (const count of wanted) seen.set(count, await observeCount(context, count, times))
    const series = wanted.flatMap((count) => {
      const observed = seen.get(count) ?? []
      const of = (name: string, unit: string, read: (one: Observed) => number) => ({
        name: `${name}, ${describe(count)}`,
        unit,
        samples: observed.map(read),
      })
      return [
        of(start, 's', ({ startSeconds }) => startSeconds),
        of(lookUp, 'µs', ({ lookUpMicroseconds }) => lookUpMicroseconds),
        of(controllerMemory, 'MiB', ({ controllerBytes }) => controllerBytes / mebibyte),
        of(serverMemory, 'MiB', ({ serverBytes }) => serverBytes / mebibyte),
        of(directorySize, 'KiB', ({ directoryBytes }) => directoryBytes / 1024),
      ]
    })
    const slowest = Math.max(
      ...wanted.map((count) => median((seen.get(count) ?? []).map((one) => one.lookUpMicroseconds))),
    )
    return {
      title: 'What many microshards cost',
      settings: { times, counts: wanted, objects, natsSync: 'always' },
      series,
      ratios: [],
      aims: [
        {
          aim: `median time to look a key up ≤ ${lookUpAimed} µs, however many there are`,
          measured: slowest,
          unit: 'µs',
          met: slowest <= lookUpAimed,
        },
      ],
      notes: [
        `Each store holds ${objects.toLocaleString('en-US')} objects. A start is from nothing to all of them in memory, in a new process; memory is the resident set after it.`,
      ],
    }
  },

  plot: (result) => {
    const shown = [...counts, countLarge].filter(
      (count) => samplesOf(result, `${start}, ${describe(count)}`).length > 0,
    )
    const panel = (title: string, unit: string, names: readonly string[]) => ({
      title,
      unit,
      series: names.map((label) => ({
        label,
        points: shown.map((count) => ({ x: count, y: median(samplesOf(result, `${label}, ${describe(count)}`)) })),
      })),
    })
    return plotLines({
      title: result.title,
      subtitle: `${objects.toLocaleString('en-US')} objects in all; ${result.machine.cores} cores, ${result.measuredAt.slice(0, 10)}`,
      xLabel: 'microshards',
      panels: [
        panel('start of a controller', 'seconds', [start]),
        panel('memory', 'MiB', [controllerMemory, serverMemory]),
        panel('looking a key up', 'microseconds', [lookUp]),
      ],
    })
  },
}

const start = 'start'
const lookUp = 'looking a key up'
const controllerMemory = 'memory of the controller'
const serverMemory = 'memory of the server'
const directorySize = 'size of the directory'
const describe = (count: number) => `${count.toLocaleString('en-US')} microshards`

async function observeCount(context: BenchContext, count: number, times: number): Promise<readonly Observed[]> {
  const server = await startTestNatsServer()
  context.cleanup.defer('nats-server', () => server.stop())
  const connection = await connect({ servers: server.url })
  await makeMicroshards(connection, { microshards: count, objects })
  await connection.close()
  const observed: Observed[] = []
  for (let turn = 0; turn < times; turn++) {
    observed.push(await observeInProcess({ url: server.url, pid: server.pid() }))
    context.tell(`${count} microshards: ${turn + 1}/${times} starts`)
  }
  await server.stop()
  return observed
}
