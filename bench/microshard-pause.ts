/**
 * How long writers wait while a microshard is split, merged and migrated, with 1,000 to 100,000 objects in it: the
 * slowest write of 64 writers around the switch, against the slowest of the same writers in as long a time without one.
 */

import { connect } from '@nats-io/transport-node'
import pino from 'pino'
import { type JetStreamStore, openJetStreamStore } from '../controller/control-plane/jetstream-store.ts'
import { driveOperation } from '../controller/control-plane/lifecycle/drive-operation.ts'
import { createLifecycleStreams } from '../controller/control-plane/lifecycle/jetstream-streams.ts'
import {
  type OperationStart,
  planMerge,
  planMigration,
  planSplit,
  type StartPlan,
} from '../controller/control-plane/lifecycle/plan-operation.ts'
import { newClientWithin, startWriters, type Writers } from '../controller/control-plane/lifecycle/test-writers.ts'
import type { MicroshardDirectory, OperationPhase } from '../controller/control-plane/microshard-directory.ts'
import { createId } from '../controller/control-plane/shard-key.ts'
import { write } from '../controller/control-plane/store.ts'
import { leaseKind, shardKind } from '../controller/control-plane/store-contract.ts'
import { startTestNatsServer } from '../controller/control-plane/test-nats-server.ts'
import type { Bench, BenchContext } from './bench.ts'
import { samplesOf } from './bench.ts'
import { plotRows } from './plot.ts'
import { percentile } from './statistics.ts'

const timesDefault = 10
const sizes = [1_000, 10_000, 100_000]
const writersCount = 64
const objectsAtOnce = 500
const millisecondsAimed = 50
/** Around the switch: from before the sources are sealed to when all who waited have gone on. */
const windowMilliseconds = 150
const operations = ['split', 'merge', 'migrate'] as const
type Operation = (typeof operations)[number]

interface Ground {
  readonly store: JetStreamStore
  readonly writers: Writers
  /** Ends the server and all on it. */
  readonly close: () => Promise<void>
  readonly run: (plan: (directory: MicroshardDirectory, start: OperationStart) => StartPlan) => Promise<Run>
}

/** When it was so far, on the clock of the writers' latencies. */
interface Run {
  readonly beganAt: number
  readonly sealedAt: number
  readonly switchedAt: number
  readonly endedAt: number
}

interface Pauses {
  readonly pauses: number[]
  readonly floors: number[]
  /** From the sealing to the switch, as who drives it sees it. */
  readonly sealed: number[]
  readonly seconds: number[]
}

export const microshardPause: Bench = {
  summary: 'how long writers wait when a microshard with 1,000 to 100,000 objects is split, merged and migrated',

  async run(context) {
    const times = context.options.times ?? timesDefault
    const seen = new Map<string, Pauses>()
    let lost = 0
    let writes = 0
    for (const size of sizes) {
      const ground = await openGround(context, size)
      for (let turn = 0; turn < times; turn++) {
        for (const operation of operations) {
          const name = nameOf(operation, size)
          const pauses = seen.get(name) ?? { pauses: [], floors: [], sealed: [], seconds: [] }
          seen.set(name, pauses)
          await measure(ground, operation, pauses)
        }
        context.tell(`${size} objects: ${turn + 1}/${times} turns`)
      }
      await ground.writers.stop()
      lost += await countLost(ground)
      writes += ground.writers.latencies.length
      await ground.close()
    }
    return describe(times, seen, { lost, writes })
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `${writersCount} writers at full speed; the slowest write around each switch; ${result.machine.cores} cores, ${result.measuredAt.slice(0, 10)}`,
      unit: 'milliseconds',
      isLogarithmic: true,
      bound: { value: millisecondsAimed, label: `${millisecondsAimed} ms` },
      rows: sizes.flatMap((size) =>
        operations.flatMap((operation) => [
          { label: nameOf(operation, size), samples: samplesOf(result, nameOf(operation, size)) },
          { label: floorOf(operation, size), samples: samplesOf(result, floorOf(operation, size)), isFloor: true },
        ]),
      ),
    }),
}

const nameOf = (operation: Operation, size: number) => `${operation}, ${size.toLocaleString('en-US')} objects`
const floorOf = (operation: Operation, size: number) => `${nameOf(operation, size)}, without it`

function describe(
  times: number,
  seen: ReadonlyMap<string, Pauses>,
  { lost, writes }: { readonly lost: number; readonly writes: number },
) {
  const all = sizes.flatMap((size) => operations.map((operation) => ({ size, operation })))
  const pausesOf = ({ operation, size }: (typeof all)[number]) =>
    seen.get(nameOf(operation, size)) ?? { pauses: [], floors: [], sealed: [], seconds: [] }
  return {
    title: 'Writers who wait while a microshard is handed over',
    settings: { times, sizes, writers: writersCount, windowMilliseconds, natsSync: 'always' },
    series: all.flatMap((one) => {
      const { operation, size } = one
      const { pauses, floors, sealed, seconds } = pausesOf(one)
      return [
        { name: nameOf(operation, size), unit: 'ms', samples: pauses },
        { name: floorOf(operation, size), unit: 'ms', samples: floors, isFloor: true },
        { name: `${nameOf(operation, size)}, sealed to switched`, unit: 'ms', samples: sealed },
        { name: `${nameOf(operation, size)}, the whole operation`, unit: 's', samples: seconds },
      ]
    }),
    ratios: [],
    aims: [
      ...all.map((one) => {
        const { pauses, floors } = pausesOf(one)
        const measured = percentile(pauses, 0.99)
        return {
          aim: `p99 of the pause at ${nameOf(one.operation, one.size)} ≤ ${millisecondsAimed} ms (without it ${percentile(floors, 0.99).toFixed(0)})`,
          measured,
          unit: 'ms',
          met: measured <= millisecondsAimed,
        }
      }),
      { aim: 'acknowledged writes that are lost = 0', measured: lost, unit: `of ${writes}`, met: lost === 0 },
    ],
    notes: [
      `A sample is the slowest of all writes that ended between ${windowMilliseconds} ms before the sources were sealed and ${windowMilliseconds} ms after the switch; of the floor, the slowest in as long a time just before the operation began.`,
      'Writers write a shard and a lease that it carries, or one of both, without a pause between; all of them to the microshard that is handed over.',
    ],
  }
}

async function openGround(context: BenchContext, size: number): Promise<Ground> {
  const server = await startTestNatsServer()
  context.cleanup.defer('nats-server', () => server.stop())
  const connection = await connect({ servers: server.url })
  const store = await openJetStreamStore({ connection, logger: pino({ level: 'silent' }) })
  await fill(store, size)
  const writers = await startWriters({ stores: [store], count: writersCount, leadingBits: '01' })
  const streams = createLifecycleStreams({ connection, replicas: 1 })
  let count = 0
  return {
    store,
    writers,
    async close() {
      await store.close()
      await connection.close()
      await server.stop()
    },
    async run(plan) {
      const start = { id: `operation-${++count}`, startedAt: new Date().toISOString() }
      const planned = await store.directory.change((directory) => plan(directory, start))
      if (planned.kind === 'keep') throw new Error(planned.because.problem.detail)
      const at = new Map<OperationPhase, number>()
      await driveOperation(
        {
          directory: store.directory,
          streams,
          now: Date.now,
          sleep: (milliseconds) => Bun.sleep(milliseconds),
          whenFollowed: async (starts) => void (await store.reach(starts, 60_000)),
          onPhase: ({ phase }) => at.set(phase, performance.now()),
          signal: new AbortController().signal,
        },
        start.id,
      )
      const timeOf = (phase: OperationPhase) => at.get(phase) ?? Number.NaN
      const endedAt = performance.now()
      return { beganAt: timeOf('making'), sealedAt: timeOf('sealing'), switchedAt: timeOf('dropping'), endedAt }
    },
  }
}

/** Objects that nobody writes any more. */
async function fill(store: JetStreamStore, size: number): Promise<void> {
  for (let written = 0; written < size; written += objectsAtOnce) {
    const client = newClientWithin('01')
    const count = Math.min(objectsAtOnce, size - written)
    const writes = Array.from({ length: count }, (_, i) =>
      write({
        kind: shardKind,
        id: createId('shd', client, Date.now()),
        expect: 'absent',
        value: { cidr: '', count: i },
      }),
    )
    const { outcome } = await store.transact({ writes })
    if (outcome !== 'committed') throw new Error(`the objects could not be written: ${outcome}`)
  }
}

async function measure({ store, writers, run }: Ground, operation: Operation, seen: Pauses): Promise<void> {
  const floorFrom = performance.now()
  await Bun.sleep(3 * windowMilliseconds)
  const { beganAt, sealedAt, switchedAt, endedAt } = await run((directory, start) => {
    const own = directory.microshards.filter(({ from }) => from >= '4' && from < '8')
    const [first, second] = own.map(({ id }) => id)
    const at = medianKey(store)
    if (operation === 'split') return planSplit(directory, start, { microshardId: first ?? '', at })
    if (operation === 'merge') return planMerge(directory, start, { microshardId: first ?? '', withId: second ?? '' })
    return planMigration(directory, start, { microshardId: first ?? '', node: null })
  })
  const slowest = (from: number, to: number) =>
    writers.latencies.reduce(
      (most, { at, milliseconds }) => (from <= at && at <= to ? Math.max(most, milliseconds) : most),
      0,
    )
  const [from, to] = [sealedAt - windowMilliseconds, switchedAt + windowMilliseconds]
  seen.pauses.push(slowest(from, to))
  seen.floors.push(slowest(Math.max(floorFrom, beganAt - (to - from)), beganAt))
  seen.sealed.push(switchedAt - sealedAt)
  seen.seconds.push((endedAt - beganAt) / 1000)
}

/** So that both halves have as much to be copied. */
function medianKey(store: JetStreamStore): string {
  const keys = [...store.table.countByKey().keys()].filter((key) => key >= '4' && key < '8').sort()
  return keys[keys.length >> 1] ?? ''
}

async function countLost({ store, writers }: Ground): Promise<number> {
  let lost = writers.refused.filter(({ outcome }) => outcome === 'conflict').length
  for (const { shardId, leaseId, shardVersion, leaseVersion } of writers.writers) {
    const shard = await store.get(shardKind, shardId, { latest: true })
    const lease = await store.get(leaseKind, leaseId, { latest: true })
    lost += Math.max(0, shardVersion - (shard?.version ?? 0)) + Math.max(0, leaseVersion - (lease?.version ?? 0))
  }
  return lost
}
