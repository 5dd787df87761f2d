/**
 * How a shard is emptied of busy machines behind balancers on three hosts: how long it takes and how many move at a time,
 * what clients lose in `overlap` mode, and for how long a machine is away in `restart` mode, against the same by hand.
 */

import { blockOf, endOf, formatAddress } from '../controller/address-space/cidr.ts'
import type { Migration } from '../controller/contract/migration.ts'
import type { Bench, BenchContext } from './bench.ts'
import type { PhaseReport } from './load/messages.ts'
import { type Load, startLoad } from './load/start-load.ts'
import { pingIntervalMilliseconds, watchMigrationGaps } from './migrate/address-gap.ts'
import { replaceByHand } from './migrate/by-hand.ts'
import {
  awaitRest,
  describeMigration,
  findLost,
  findNewestEvent,
  measurePace,
  measureSteps,
  type Pace,
  readSteps,
  startMigration,
} from './migrate/follow-migration.ts'
import {
  allocateShard,
  echoTargetsOf,
  type Ground,
  holdersByVip,
  prepareGround,
  showMachines,
  showShard,
} from './migrate/ground.ts'
import type { EchoConnection } from './migrate/messages.ts'
import { type EchoConnections, startEchoConnections } from './migrate/start-echo-connections.ts'
import { plotRows } from './plot.ts'
import type { Findings } from './result.ts'
import { percentile } from './statistics.ts'
import { hostCount, targetsOf } from './system/system.ts'

const machinesDefault = 200
const echoMachines = hostCount
const connectionsPerVip = 10
const parallelism = 16
const drainSeconds = 15
const requestsAimed = 100_000
const gapOverAimedMilliseconds = 150
const connections = 24
const requestsPerSecond = 1000
const requestsPerConnection = 50
const requestTimeoutMilliseconds = 10_000
const quietSeconds = 5
/** Of a migration as a whole, for a machine that is busy with other things. */
const migrationTimeoutSeconds = 900
const lookMilliseconds = 100
/** So that a set that is too slow to reach the aim of requests ends as well. */
const overlapsMaximum = 8

const quiet = 'nothing is done'
const names = {
  gap: 'sluice: a machine is away in restart mode',
  gapByHand: 'by hand: the same by ip -batch',
  overlapMove: 'sluice: a move in overlap mode',
  restartMove: 'sluice: a move in restart mode',
  overlapTotal: 'sluice: a whole migration in overlap mode',
  restartTotal: 'sluice: the whole migration in restart mode',
} as const

interface Overlap {
  readonly pace: Pace
  readonly stepSeconds: Readonly<Record<string, number>>
  readonly echoes: readonly EchoConnection[]
  readonly lost: readonly EchoConnection[]
}

interface Restart {
  readonly pace: Pace
  readonly stepSeconds: Readonly<Record<string, number>>
  readonly gaps: readonly number[]
  readonly missed: number
}

interface Stage {
  readonly context: BenchContext
  readonly ground: Ground
  readonly load: Load
  readonly streams: EchoConnections
}

export const migrate: Bench = {
  summary: 'a shard is emptied of busy machines behind balancers: total time, gaps, what clients lose',

  async run(context) {
    const stage = await prepare(context)
    await Bun.sleep(quietSeconds * 1000)
    const overlaps: Overlap[] = []
    let requests = 0
    while (requests < Math.max(requestsAimed, context.options.requests) && overlaps.length < overlapsMaximum) {
      await stage.load.enterPhase(`overlap ${overlaps.length + 1}`)
      overlaps.push(await overlap(stage, overlaps.length))
      requests += await stage.load.count()
      context.tell(describeOverlap(overlaps, requests))
    }
    await stage.load.enterPhase('restart')
    const restarted = await restart(stage, overlaps.length)
    context.tell(
      `restart: ${JSON.stringify({ ...restarted, gaps: undefined, pace: { ...restarted.pace, moveSeconds: undefined } })}`,
    )
    await stage.load.enterPhase('by hand')
    const byHand = await moveByHand(stage, overlaps.length + 1)
    return conclude(stage, { overlaps, restarted, byHand, phases: await stage.load.end() })
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `${result.settings.machines} machines, ${result.settings.parallelism} at a time, ${result.settings.requestsPerSecond} requests/s; ${result.machine.cores} cores; ${result.measuredAt.slice(0, 10)}`,
      unit: 'milliseconds without an answer',
      rows: result.series
        .filter(({ name }) => name === names.gap || name === names.gapByHand)
        .map(({ name, samples, isFloor }) => ({ label: name, samples, isFloor: isFloor ?? false })),
    }),
}

async function prepare(context: BenchContext): Promise<Stage> {
  const { cleanup, options, tell } = context
  const machines = options.machines ?? machinesDefault
  tell(`starting the lab with ${machines} machines`)
  const ground = await prepareGround(cleanup, { webMachines: machines - echoMachines, echoMachines })
  const { system, web } = ground
  const streams = startEchoConnections(system.clientPid)
  cleanup.defer('the long-lived connections', () => streams.stop())
  const load = await startLoad(system.clientPid, {
    targets: [...targetsOf(web.vips)],
    connections,
    requestsPerSecond,
    timeoutMilliseconds: requestTimeoutMilliseconds,
    requestsPerConnection,
    phase: quiet,
  })
  cleanup.defer('the load', () => load.stop())
  return { context, ground, load, streams }
}

/** Everybody goes forth and back between the two shards: from the first in the first turn. */
const shardOf = ({ first, second }: Ground, turn: number) => (turn % 2 === 0 ? first : second)

async function overlap({ ground, streams }: Stage, turn: number): Promise<Overlap> {
  const { system } = ground
  await streams.open(echoTargetsOf(ground), connectionsPerVip)
  const newestEvent = await findNewestEvent(system)
  const body = { mode: 'overlap', parallelism, drainSeconds }
  const migration = await migrateTurn(ground, turn, body)
  const echoes = await streams.close()
  const steps = await readSteps(system, migration.id, newestEvent)
  const lost = findLost(echoes, steps, holdersByVip(ground), drainSeconds)
  return { pace: measurePace(migration), stepSeconds: measureSteps(steps), echoes, lost }
}

async function restart({ ground }: Stage, turn: number): Promise<Restart> {
  const machines = await showMachines(ground)
  const hostOf = new Map(machines.flatMap(({ id, host }) => (host === null ? [] : [[id, host] as const])))
  const watch = watchMigrationGaps(ground.system, hostOf)
  const newestEvent = await findNewestEvent(ground.system)
  const body = { mode: 'restart', parallelism, drainSeconds }
  const migration = await migrateTurn(ground, turn, body, (seen) => watch.look(seen))
  const steps = await readSteps(ground.system, migration.id, newestEvent)
  return { pace: measurePace(migration), stepSeconds: measureSteps(steps), ...(await watch.end()) }
}

async function migrateTurn(
  ground: Ground,
  turn: number,
  body: object,
  onLook: (migration: Migration) => void = () => {},
): Promise<Migration> {
  const { system } = ground
  const shard = shardOf(ground, turn)
  const { id } = await startMigration(system, shard.id, body)
  const options = { timeoutSeconds: migrationTimeoutSeconds, intervalMilliseconds: lookMilliseconds, onLook }
  const ended = await awaitRest(system, id, options)
  if (ended.status !== 'done') throw new Error(`the migration did not get through: ${describeMigration(ended)}`)
  const { resourceCount } = await showShard(system, shard.id)
  if (resourceCount !== 0) throw new Error(`${resourceCount} are left in ${shard.cidr}`)
  await allocateShard(system, shard.id)
  return ended
}

async function moveByHand({ context, ground }: Stage, turn: number): Promise<readonly number[]> {
  const machines = await showMachines(ground)
  const byHost = Map.groupBy(machines, ({ host }) => host ?? '')
  const [host, own] = [...byHost].toSorted(([, some], [, others]) => others.length - some.length)[0] ?? ['', []]
  const shard = shardOf(ground, turn)
  const block = blockOf(shard.cidr)
  context.tell(`by hand: ${own.length} machines of ${host}`)
  return replaceByHand(ground.system, {
    host,
    machines: own,
    gateway: shard.gateway,
    prefixLength: block.prefixLength,
    // From below the broadcast address down: what is given comes from the shard's beginning.
    freeAddressOf: (index) => formatAddress(endOf(block) - 2 - index),
    parallelism: Math.ceil(parallelism / hostCount),
  })
}

const describeOverlap = (overlaps: readonly Overlap[], requests: number) => {
  const last = overlaps.at(-1)
  return `overlap ${overlaps.length}: ${JSON.stringify({ ...last?.pace, moveSeconds: undefined, stepSeconds: last?.stepSeconds })}, ${last?.lost.length} of ${last?.echoes.length} connections lost, ${requests} requests`
}

interface Seen {
  readonly overlaps: readonly Overlap[]
  readonly restarted: Restart
  readonly byHand: readonly number[]
  readonly phases: readonly PhaseReport[]
}

function conclude({ context, ground }: Stage, { overlaps, restarted, byHand, phases }: Seen): Findings {
  const inOverlap = phases.filter(({ name }) => name.startsWith('overlap'))
  const inRestart = phases.filter(({ name }) => name === 'restart')
  const sum = (reports: readonly PhaseReport[], field: 'requests' | 'failed') =>
    reports.reduce((total, report) => total + report[field], 0)
  const requests = sum(inOverlap, 'requests')
  const failed = sum(inOverlap, 'failed')
  const kept = overlaps.flatMap(({ echoes }) => echoes)
  const lost = overlaps.flatMap((one) => one.lost)
  const over = p99(restarted.gaps) - p99(byHand)
  const machines = context.options.machines ?? machinesDefault
  return {
    title: 'Migrating a shard of busy machines',
    settings: { machines, parallelism, drainSeconds, requestsPerSecond, connections, connectionsPerVip },
    series: [
      { name: names.gap, unit: 'ms', samples: restarted.gaps },
      { name: names.gapByHand, unit: 'ms', samples: byHand, isFloor: true },
      { name: names.overlapTotal, unit: 's', samples: overlaps.map(({ pace }) => pace.totalSeconds) },
      { name: names.restartTotal, unit: 's', samples: [restarted.pace.totalSeconds] },
      { name: names.overlapMove, unit: 's', samples: overlaps.flatMap(({ pace }) => pace.moveSeconds) },
      { name: names.restartMove, unit: 's', samples: restarted.pace.moveSeconds },
    ],
    ratios: [
      {
        name: 'holders that moved at the same time, on average (overlap)',
        value: mean(overlaps.map(({ pace }) => pace.parallelMean)),
      },
      { name: 'the same (restart)', value: restarted.pace.parallelMean },
    ],
    aims: [
      {
        aim: `overlap: 0 of at least ${requestsAimed.toLocaleString('en-US')} requests fail (${requests.toLocaleString('en-US')} were sent)`,
        measured: failed,
        unit: 'requests',
        met: failed === 0 && requests >= requestsAimed,
      },
      {
        aim: `overlap: 0 long-lived connections are lost before the drain limit (of ${kept.length})`,
        measured: lost.length,
        unit: 'connections',
        met: lost.length === 0 && kept.length > 0,
      },
      {
        aim: `restart: p99 of the gap at most ${gapOverAimedMilliseconds} ms over that by hand`,
        measured: over,
        unit: 'ms',
        met: over <= gapOverAimedMilliseconds,
      },
      {
        aim: `restart: 0 requests fail through the balancer (${sum(inRestart, 'requests').toLocaleString('en-US')} were sent)`,
        measured: sum(inRestart, 'failed'),
        unit: 'requests',
        met: sum(inRestart, 'failed') === 0,
      },
    ],
    notes: [
      `${machines} machines on ${hostCount} hosts: ${machines - echoMachines} behind one web balancer, ${echoMachines} behind a tcp balancer each; the balancers' ${2 * (1 + echoMachines)} instances move as well.`,
      `A gap is seen by the gateway, from the last answer of the old address to the first of the new, by a ping every ${pingIntervalMilliseconds} ms. By hand: down, delete, add, up and the route in one batch, on the very same machines, as many at a time and under the same load. Watches that began too late: ${restarted.missed}.`,
      `A long-lived connection is lost when it ends before the machine or the instance that it goes through has drained for ${drainSeconds} s; ${connectionsPerVip} through each VIP.`,
      'GET over kept connections, half of which are given up for a fresh one after 50 requests. A request has failed unless a whole 2xx came back on the connection that it was sent on.',
    ],
    details: { overlaps, restarted, phases, cidrs: [ground.first.cidr, ground.second.cidr] },
  }
}

const p99 = (samples: readonly number[]) => (samples.length === 0 ? Number.NaN : percentile(samples, 0.99))
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
