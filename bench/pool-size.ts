/**
 * Whether allocating gets slower as a pool grows: latency, rate and memory with 10, 100 and 1,000 shards in one network,
 * half full and nearly full, all by the real allocator on its durable store. The sizes take turns.
 */

import { startTestNatsServer } from '../controller/control-plane/test-nats-server.ts'
import type { BenchSpace } from './allocate/messages.ts'
import { shardCapacity } from './allocate/space.ts'
import { startWorker, type Worker } from './allocate/start-worker.ts'
import type { Bench, BenchContext } from './bench.ts'
import { plotLines } from './plot.ts'
import type { Result } from './result.ts'
import { median } from './statistics.ts'

const turnsDefault = 4
const shardCounts = [10, 100, 1000]
const fullShares = [0.5, 0.99]
const inFlights = [1, 64]
const pace = { warmUpMilliseconds: 100, milliseconds: 700 }
/** A run strays by as much on a shared machine. */
const growthAimed = 1.25
const mebibyte = 2 ** 20

interface Pool {
  readonly shards: number
  readonly worker: Worker
  readonly space: BenchSpace
  readonly emptyBytes: number
}

interface Memory {
  readonly shards: number
  readonly share: number
  readonly residentBytes: number
  readonly bytesPerHeldAddress: number
}

export const poolSize: Bench = {
  summary: 'latency and memory of allocations with 10, 100 and 1,000 shards, half and nearly full',

  async run(context) {
    const turns = context.options.times ?? turnsDefault
    const pools = await Promise.all(shardCounts.map((shards) => openPool(context, shards)))
    const samples = new Map<string, number[]>()
    const memories: Memory[] = []
    for (const share of fullShares) {
      for (const pool of pools) {
        await fill(pool, share)
        memories.push(await observeMemory(pool, share))
        context.tell(`${pool.shards} shards are ${100 * share} % full`)
      }
      for (let turn = 0; turn < turns; turn++) {
        for (const pool of pools) await takeTurn(pool, share, samples)
        context.tell(`${turn + 1}/${turns} turns`)
      }
    }
    const p50 = (place: Place) => median(samples.get(nameOf(place)) ?? [])
    const growths = fullShares.flatMap((share) =>
      inFlights.map((inFlight) => ({
        name: `1,000 shards to 10, ${100 * share} % full, ${inFlight} in flight`,
        value: p50({ share, inFlight, shards: 1000 }) / p50({ share, inFlight, shards: 10 }),
      })),
    )
    return {
      title: 'Allocations as the pool grows',
      settings: { turns, ...pace, shardCapacity, shardCounts, fullShares, natsSync: 'always' },
      series: [
        ...listPlaces().map((place) => ({
          name: nameOf(place),
          unit: 'ms',
          samples: samples.get(nameOf(place)) ?? [],
        })),
        ...memories.flatMap(({ shards, share, residentBytes, bytesPerHeldAddress }) => [
          { name: memoryNameOf(shards, share), unit: 'MiB', samples: [residentBytes / mebibyte] },
          {
            name: `of it for a held address: ${describe(shards, share)}`,
            unit: 'bytes',
            samples: [bytesPerHeldAddress],
          },
        ]),
      ],
      ratios: growths,
      aims: growths.map(({ name, value }) => ({
        aim: `median latency, ${name} ≤ ${growthAimed}`,
        measured: value,
        unit: '×',
        met: value <= growthAimed,
      })),
      notes: [
        'A sample is the median latency of one turn, in which each caller allocates and releases in turns. Shards are filled one after the other, as the allocator does where no policy says otherwise.',
        'Memory is that of the controller, which keeps every object; for a held address it is what came since the pool was empty.',
      ],
    }
  },

  plot: (result) =>
    plotLines({
      title: result.title,
      subtitle: `shards of ${shardCapacity} addresses; allocate and release, durable; ${result.machine.cores} cores, ${result.measuredAt.slice(0, 10)}`,
      xLabel: 'shards',
      panels: [
        ...inFlights.map((inFlight) => ({
          title: `median latency with ${inFlight} in flight`,
          unit: 'milliseconds',
          series: fullShares.map((share) => ({
            label: `${100 * share} % full`,
            points: shardCounts.map((shards) => ({
              x: shards,
              y: median(seriesOf(result, nameOf({ share, inFlight, shards }))),
            })),
          })),
        })),
        {
          title: 'memory of the controller',
          unit: 'MiB',
          series: fullShares.map((share) => ({
            label: `${100 * share} % full`,
            points: shardCounts.map((shards) => ({
              x: shards,
              y: median(seriesOf(result, memoryNameOf(shards, share))),
            })),
          })),
        },
      ],
    }),
}

interface Place {
  readonly share: number
  readonly inFlight: number
  readonly shards: number
}

const listPlaces = (): readonly Place[] =>
  fullShares.flatMap((share) =>
    inFlights.flatMap((inFlight) => shardCounts.map((shards) => ({ share, inFlight, shards }))),
  )

const describe = (shards: number, share: number) => `${shards.toLocaleString('en-US')} shards, ${100 * share} % full`
const nameOf = ({ share, inFlight, shards }: Place) => `${describe(shards, share)}, ${inFlight} in flight`
const memoryNameOf = (shards: number, share: number) => `memory: ${describe(shards, share)}`
const seriesOf = (result: Result, name: string) => result.series.find((series) => series.name === name)?.samples ?? []

async function openPool({ cleanup }: BenchContext, shards: number): Promise<Pool> {
  const server = await startTestNatsServer()
  cleanup.defer('a nats-server', () => server.stop())
  const worker = startWorker()
  cleanup.defer('a worker', () => worker.stop())
  await worker.ask({ kind: 'openController', url: server.url }, 'ready')
  const { space } = await worker.ask({ kind: 'createSpace', shards }, 'space')
  const { residentBytes } = await worker.ask({ kind: 'memory' }, 'memory')
  return { shards, worker, space, emptyBytes: residentBytes }
}

const heldAddressesOf = (shards: number, share: number) => Math.floor(shards * shardCapacity * share)

async function fill({ shards, worker, space }: Pool, share: number): Promise<void> {
  await worker.ask({ kind: 'fill', space, heldAddresses: heldAddressesOf(shards, share) }, 'ready')
}

async function observeMemory({ shards, worker, emptyBytes }: Pool, share: number): Promise<Memory> {
  const { residentBytes } = await worker.ask({ kind: 'memory' }, 'memory')
  const bytesPerHeldAddress = (residentBytes - emptyBytes) / heldAddressesOf(shards, share)
  return { shards, share, residentBytes, bytesPerHeldAddress }
}

async function takeTurn(pool: Pool, share: number, samples: Map<string, number[]>): Promise<void> {
  for (const inFlight of inFlights) {
    const command = { kind: 'turnOver', space: pool.space, pace: { ...pace, inFlight } } as const
    const { report } = await pool.worker.ask(command, 'ran')
    if (report.failed > 0) throw new Error(`${report.failed} allocations failed with ${pool.shards} shards`)
    const name = nameOf({ share, inFlight, shards: pool.shards })
    samples.set(name, [...(samples.get(name) ?? []), report.p50Milliseconds])
  }
}
