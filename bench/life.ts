/**
 * What a client notices when an instance crashes for good or a host is lost, and how long it takes until a replacement
 * serves: of that, how long the judgement takes, and how long our own work after it; and when the name is right.
 */

import * as v from 'valibot'
import { pageSchema } from '../controller/contract/common.ts'
import { cloudEventSchema, eventTypes } from '../controller/contract/events.ts'
import type { LoadBalancer } from '../controller/contract/load-balancer.ts'
import { bootHostAgain, enterArgv, killHost, nameServerAddress, openLab } from '../lab/lab.ts'
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
import { awaitAllWhole, awaitWhole, findHolder, listHeldVips } from './system/world.ts'

const timesDefault = 30
const pace = { periodMilliseconds: 2, timeoutMilliseconds: 50 }
const beforeMilliseconds = 300
const gapBoundMilliseconds = 250
const servingBoundSeconds = 10
const ownWorkBoundSeconds = 1
const nameBoundSeconds = 1
const waitSeconds = 120

interface Round {
  readonly fault: string
  readonly outage: Outage
  /** From the fault until the replacement has the VIP in its kernel. */
  readonly servingSeconds: number
  /** From the decision, which is an event, until then. */
  readonly ownWorkSeconds: number
  /** From then until the name lists just the balancer's VIPs; 0 where it did so all the time. */
  readonly nameSeconds: number
  /** From the end of the fault until all is as it was before. */
  readonly wholeAgainSeconds: number
}

interface Loss {
  readonly name: string
  /** Nobody backs it up: its VIP is away until the replacement has it. */
  readonly isAlone?: boolean
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
  {
    name: 'the host of a single instance is lost',
    isAlone: true,
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
    const { system, pair, single, prober } = await prepare(context)
    const rounds: Round[] = []
    for (let time = 1; time <= times; time++) {
      for (const loss of losses) {
        // Whoever has been hit with another is whole as well before the next fault.
        await awaitAllWhole(system, [pair, single])
        const round = await suffer(system, loss.isAlone === true ? single : pair, prober, loss)
        rounds.push(round)
        context.tell(
          `${time}/${times} ${loss.name}: away for ${round.outage.gapMilliseconds.toFixed(0)} ms, replaced after ${round.servingSeconds.toFixed(1)} s, ${round.ownWorkSeconds.toFixed(2)} s of it our own work, its name right ${round.nameSeconds.toFixed(2)} s later, whole again ${round.wholeAgainSeconds.toFixed(1)} s after its return`,
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
  const pair = await createBalancer(system, 'life')
  const single = await createBalancer(system, 'single', { instanceCount: 1 })
  const prober = await startProber(system.clientPid)
  cleanup.defer('the prober', () => prober.stop())
  return { system, pair: pair.id, single: single.id, prober }
}

async function suffer(system: System, balancerId: string, prober: Prober, loss: Loss): Promise<Round> {
  const before = await awaitWhole(system, balancerId)
  const [vip = ''] = before.vips
  const place: Place = { ...(await findHolder(system, before, vip)), vip }
  const target = { address: vip, port: 80 }
  const lastEventId = await findNewestEvent(system)
  await prober.watch(target, pace)
  await Bun.sleep(beforeMilliseconds)
  const name = followName(system, before)
  const lostAt = wallMilliseconds()
  await loss.inject(system, place)
  const servingAt = await awaitReplacement(system, before, place)
  const rightAt = await name.awaitRight(servingAt)
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
    nameSeconds: Math.max(0, rightAt - servingAt) / 1000,
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

const nameLookMilliseconds = 20

/** Asks the name server as a client's resolver does, all the time, since when it has listed just the balancer's VIPs. */
function followName({ clientPid, lab }: System, { url, vips }: LoadBalancer) {
  const dnsName = new URL(url ?? 'http://no-name/').hostname
  const wanted = vips.toSorted().join(' ')
  const argv = ['nsenter', '-t', String(clientPid), '-n', '--', 'kdig', `@${nameServerAddress}`, '+short', '+time=1']
  let rightSince: number | undefined
  let lookedAt = Number.NEGATIVE_INFINITY
  let isEnding = false
  const follow = async () => {
    while (!isEnding) {
      const at = wallMilliseconds()
      const { stdout } = await lab.run([...argv, dnsName, 'A'])
      const isRight = stdout.trim().split('\n').toSorted().join(' ') === wanted
      rightSince = isRight ? (rightSince ?? at) : undefined
      lookedAt = at
      await Bun.sleep(nameLookMilliseconds)
    }
  }
  const following = follow()
  return {
    /** Since when it is right for good, by a look that was made after `from`. */
    async awaitRight(from: number): Promise<number> {
      try {
        await waitUntil(() => lookedAt > from && rightSince !== undefined, {
          what: () => `${url} to list ${wanted}`,
          timeoutSeconds: waitSeconds,
          intervalMilliseconds: 10,
        })
        return rightSince ?? Number.NaN
      } finally {
        isEnding = true
        await following
      }
    },
  }
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
    { name: `${name}: its name right, after that`, unit: 's', samples: of(name, ({ nameSeconds }) => nameSeconds) },
    { name: `${name}: whole again`, unit: 's', samples: of(name, ({ wholeAgainSeconds }) => wholeAgainSeconds) },
  ])
  const aims = losses.flatMap(({ name, isAlone }): Aim[] => {
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
    const naming = percentile(
      of(name, ({ nameSeconds }) => nameSeconds),
      0.99,
    )
    const away: Aim[] = [
      {
        aim: `${name}: away for p99 ≤ ${gapBoundMilliseconds} ms`,
        measured: gap,
        unit: 'ms',
        met: gap <= gapBoundMilliseconds,
      },
    ]
    return [
      // A single instance is away for as long as its replacement takes.
      ...(isAlone === true ? [] : away),
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
      {
        aim: `${name}: its name right p99 ≤ ${nameBoundSeconds} s after that`,
        measured: naming,
        unit: 's',
        met: naming <= nameBoundSeconds,
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
      'The name is asked for by kdig from the client all the time. A replacement takes its slot’s VIP over, so the name need not change, and 0 says that it was right throughout.',
      'Away: the longest time without a whole 200 at the VIP, the replacement taking it over included.',
    ],
    details: { rounds },
  }
}
