/**
 * What a client notices when an instance crashes for good or a host is lost, and how long it takes until a replacement
 * serves: of that, how long the judgement takes, and how long our own work after it.
 */

import * as v from 'valibot'
import { pageSchema } from '../controller/contract/common.ts'
import { cloudEventSchema, eventTypes } from '../controller/contract/events.ts'
import type { LoadBalancer } from '../controller/contract/load-balancer.ts'
import { bootHostAgain, enterArgv, killHost, openLab } from '../lab/lab.ts'
import { waitUntil } from '../lab/wait.ts'
import type { Bench, BenchContext } from './bench.ts'
import { wallMilliseconds } from './clock.ts'
import { findNewestEvent } from './migrate/follow-migration.ts'
import { plotRows } from './plot.ts'
import { measureOutage, type Outage } from './prober/outage.ts'
import { type Prober, startProber } from './prober/start-prober.ts'
import type { Aim, Findings, Series } from './result.ts'
import { percentile } from './statistics.ts'
import { findDaemonProcesses, killAtOnce } from './system/processes.ts'
import { createBalancer, type System, showBalancer, startSystem } from './system/system.ts'
import { awaitWhole, findHolder, listHeldVips } from './system/world.ts'

const timesDefault = 30
const pace = { periodMilliseconds: 2, timeoutMilliseconds: 50 }
const beforeMilliseconds = 300
const gapBoundMilliseconds = 250
const servingBoundSeconds = 10
const ownWorkBoundSeconds = 1
const waitSeconds = 120

interface Round {
  readonly fault: string
  readonly outage: Outage
  /** From the fault until the replacement has the VIP in its kernel. */
  readonly servingSeconds: number
  /** From the decision, which is an event, until then. */
  readonly ownWorkSeconds: number
  /** From the end of the fault until all is as it was before. */
  readonly wholeAgainSeconds: number
}

interface Loss {
  readonly name: string
  inject(system: System, place: Place): Promise<unknown>
  heal(system: System, place: Place): Promise<unknown>
}

interface Place {
  readonly host: string
  readonly instanceId: string
  readonly vip: string
}

const losses: readonly Loss[] = [
  {
    name: 'an instance crashes for good',
    // Its haproxy can't be started again, whatever the agent does.
    async inject(system, { host, instanceId }) {
      await onHost(system, host, 'mount', '--bind', '/bin/false', haproxyProgram)
      killAtOnce(findDaemonProcesses(instanceId, 'haproxy'))
    },
    heal: (system, { host }) => onHost(system, host, 'umount', haproxyProgram),
  },
  {
    name: 'a host is lost',
    inject: (system, { host }) => killHost(openLab(system.settings), host),
    heal: (system, { host }) => bootHostAgain(openLab(system.settings), host),
  },
]

const haproxyProgram = '/usr/sbin/haproxy'

async function onHost(system: System, host: string, ...argv: readonly string[]): Promise<void> {
  const lab = openLab(system.settings)
  const { exitCode, stderr } = await lab.run(enterArgv(lab, host, argv))
  if (exitCode !== 0) throw new Error(`${argv.join(' ')} on ${host}: ${stderr}`)
}

export const life: Bench = {
  summary: 'what a client notices of a crashed instance and of a lost host, and how soon a replacement serves',

  async run(context) {
    const times = context.options.times ?? timesDefault
    const { system, balancerId, prober } = await prepare(context)
    const rounds: Round[] = []
    for (let time = 1; time <= times; time++) {
      for (const loss of losses) {
        const round = await suffer(system, balancerId, prober, loss)
        rounds.push(round)
        context.tell(
          `${time}/${times} ${loss.name}: away for ${round.outage.gapMilliseconds.toFixed(0)} ms, replaced after ${round.servingSeconds.toFixed(1)} s, ${round.ownWorkSeconds.toFixed(2)} s of it our own work, whole again ${round.wholeAgainSeconds.toFixed(1)} s after its return`,
        )
      }
    }
    return conclude(rounds, times)
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `${result.series[0]?.samples.length} times each; ${result.machine.cores} cores, ${result.measuredAt.slice(0, 10)}`,
      unit: 'seconds',
      isLogarithmic: true,
      bound: { value: servingBoundSeconds, label: `aim ${servingBoundSeconds} s` },
      rows: result.series
        .filter(({ unit }) => unit === 's')
        .map(({ name, samples }) => ({ label: name, samples, isFloor: false })),
    }),
}

async function prepare({ cleanup, tell }: BenchContext) {
  tell('starting the lab')
  const system = await startSystem(cleanup)
  const balancer = await createBalancer(system, 'life')
  const prober = await startProber(system.clientPid)
  cleanup.defer('the prober', () => prober.stop())
  return { system, balancerId: balancer.id, prober }
}

async function suffer(system: System, balancerId: string, prober: Prober, loss: Loss): Promise<Round> {
  const before = await awaitWhole(system, balancerId)
  const [vip = ''] = before.vips
  const place: Place = { ...(await findHolder(system, before, vip)), vip }
  const target = { address: vip, port: 80 }
  const lastEventId = await findNewestEvent(system)
  await prober.watch(target, pace)
  await Bun.sleep(beforeMilliseconds)
  const lostAt = wallMilliseconds()
  await loss.inject(system, place)
  const servingAt = await awaitReplacement(system, before, place)
  await Bun.sleep(beforeMilliseconds)
  const outage = measureOutage(await prober.endWatch())
  const decidedAt = await findDecision(system, place.instanceId, lastEventId)
  const healedAt = performance.now()
  await loss.heal(system, place)
  await awaitWhole(system, balancerId)
  return {
    fault: loss.name,
    outage,
    servingSeconds: (servingAt - lostAt) / 1000,
    ownWorkSeconds: (servingAt - decidedAt) / 1000,
    wholeAgainSeconds: (performance.now() - healedAt) / 1000,
  }
}

/** When an instance that was not there before has the VIP in its kernel, on the wall clock. */
async function awaitReplacement(system: System, before: LoadBalancer, { vip }: Place): Promise<number> {
  const known = new Set(before.instances.map(({ id }) => id))
  await waitUntil(
    async () => {
      const { instances } = await showBalancer(system, before.id)
      const fresh = instances.find(({ id }) => !known.has(id))
      return fresh?.host != null && (await listHeldVips(system, fresh.host, fresh.id, [vip])).length === 1
    },
    { what: () => `a replacement with ${vip}`, timeoutSeconds: waitSeconds, intervalMilliseconds: 20 },
  )
  return wallMilliseconds()
}

/** When it was decided to replace the instance, on the same clock, since the controller runs on this machine. */
async function findDecision({ api }: System, instanceId: string, afterId: string): Promise<number> {
  const query = `format=json&type=load-balancer.instance.replaced&after=${afterId}`
  const page = await api.call(pageSchema(cloudEventSchema), 'GET', `/v1/events?${query}`)
  const event = page.items.find(({ subject }) => subject === instanceId)
  if (event === undefined) throw new Error(`${instanceId} was replaced and nobody was told`)
  v.parse(eventTypes['load-balancer.instance.replaced'], event.data)
  return Date.parse(event.time)
}

function conclude(rounds: readonly Round[], times: number): Findings {
  const of = (name: string, pick: (round: Round) => number) => rounds.filter(({ fault }) => fault === name).map(pick)
  const series = losses.flatMap(({ name }): Series[] => [
    { name: `${name}: away`, unit: 'ms', samples: of(name, ({ outage }) => outage.gapMilliseconds) },
    { name: `${name}: replaced`, unit: 's', samples: of(name, ({ servingSeconds }) => servingSeconds) },
    { name: `${name}: own work`, unit: 's', samples: of(name, ({ ownWorkSeconds }) => ownWorkSeconds) },
    { name: `${name}: whole again`, unit: 's', samples: of(name, ({ wholeAgainSeconds }) => wholeAgainSeconds) },
  ])
  const aims = losses.flatMap(({ name }): Aim[] => {
    const gap = percentile(
      of(name, ({ outage }) => outage.gapMilliseconds),
      0.99,
    )
    const serving = percentile(
      of(name, ({ servingSeconds }) => servingSeconds),
      0.99,
    )
    const work = percentile(
      of(name, ({ ownWorkSeconds }) => ownWorkSeconds),
      0.99,
    )
    return [
      {
        aim: `${name}: away for p99 ≤ ${gapBoundMilliseconds} ms`,
        measured: gap,
        unit: 'ms',
        met: gap <= gapBoundMilliseconds,
      },
      {
        aim: `${name}: replaced within p99 ≤ ${servingBoundSeconds} s`,
        measured: serving,
        unit: 's',
        met: serving <= servingBoundSeconds,
      },
      {
        aim: `${name}: of that our own work p99 ≤ ${ownWorkBoundSeconds} s`,
        measured: work,
        unit: 's',
        met: work <= ownWorkBoundSeconds,
      },
    ]
  })
  return {
    title: 'Lives of instances',
    settings: { times, pace, hosts: 3 },
    series,
    ratios: [],
    aims,
    notes: [
      'Replaced: from the fault until a new instance on another host has the VIP of the slot in its kernel.',
      'Own work: from the decision to replace until then. What is before it is the time in which one is merely suspected.',
      'Away: the longest time without a whole 200 at the VIP, the replacement taking it over included.',
    ],
    details: { rounds },
  }
}
