/**
 * Whom an instance cuts off that is moved away under load: requests before its VIP moves, when nobody may be, and in the
 * moment of the move itself. The same load with nothing done is the floor.
 */

import * as v from 'valibot'
import { pageSchema } from '../controller/contract/common.ts'
import { cloudEventSchema, eventTypes } from '../controller/contract/events.ts'
import type { LoadBalancer } from '../controller/contract/load-balancer.ts'
import { hostSchema } from '../controller/contract/machine.ts'
import { waitUntil } from '../lab/wait.ts'
import type { Bench, BenchContext } from './bench.ts'
import { wallMilliseconds } from './clock.ts'
import type { PhaseReport } from './load/messages.ts'
import { startLoad } from './load/start-load.ts'
import { findNewestEvent } from './migrate/follow-migration.ts'
import { plotBars } from './plot.ts'
import { createBalancer, type System, showBalancer, startSystem, targetsOf } from './system/system.ts'
import { awaitWhole, findHolder, listHeldVips } from './system/world.ts'

const timesDefault = 10
const drainSeconds = 5
const connections = 16
const requestsPerSecond = 500
const timeoutMilliseconds = 10_000
const requestsPerConnection = 50
const quietSeconds = 5
const waitSeconds = 60
/** The VIP is looked for no oftener than this, so it may have moved so much earlier than it is seen. */
const lookMilliseconds = 20
const slackMilliseconds = 100

const before = 'an instance drains: requests cut before its time is over'
const during = 'in the moment in which its VIP moves'
const floorName = 'nothing is done: requests cut'

interface Round {
  readonly requests: number
  readonly cutBefore: number
  readonly cutDuring: number
  /** What the event says of connections that outlasted the drain. */
  readonly connectionsToldCut: number
  readonly drainedSeconds: number
}

export const drain: Bench = {
  summary: 'requests that are cut while an instance drains, and when its time is over, under steady load',

  async run(context) {
    const times = context.options.times ?? timesDefault
    const { system, balancerId } = await prepare(context)
    const floor = await suffer(context, system, balancerId, () => Bun.sleep(1000 * quietSeconds).then(() => undefined))
    const rounds: Round[] = []
    for (let time = 1; time <= times; time++) {
      const round = await moveAway(context, system, balancerId)
      rounds.push(round)
      context.tell(
        `${time}/${times} ${round.requests} requests: ${round.cutBefore} cut before the VIP moved, ${round.cutDuring} when it did after ${round.drainedSeconds.toFixed(1)} s; told: ${round.connectionsToldCut}`,
      )
    }
    const of = (pick: (round: Round) => number) => rounds.map(pick)
    const cut = of(({ cutBefore }) => cutBefore).reduce((sum, one) => sum + one, 0)
    const requests = of((round) => round.requests).reduce((sum, one) => sum + one, 0)
    return {
      title: 'An instance that is moved away under load',
      settings: { times, drainSeconds, connections, requestsPerSecond, requestsPerConnection },
      series: [
        { name: before, unit: 'requests', samples: of(({ cutBefore }) => cutBefore) },
        { name: during, unit: 'requests', samples: of(({ cutDuring }) => cutDuring) },
        {
          name: 'connections that outlasted it, as the event tells',
          unit: 'connections',
          samples: of((r) => r.connectionsToldCut),
        },
        { name: 'until the VIP moved', unit: 's', samples: of((round) => round.drainedSeconds) },
        { name: floorName, unit: 'requests', samples: [floor.report.failed], isFloor: true },
      ],
      ratios: [],
      aims: [
        {
          aim: `0 of ${requests.toLocaleString('en-US')} requests are cut before the time is over`,
          measured: cut,
          unit: 'requests',
          met: cut === 0,
        },
      ],
      notes: [
        `Names lead nobody elsewhere here: ${requestsPerSecond} requests a second go on to the VIP until it moves, so the whole drainSeconds of ${drainSeconds} s pass. A scale-in takes the VIP out of DNS first.`,
        'A request has failed unless a whole 2xx came back on the connection that it was sent on; the client repeats none.',
      ],
      details: rounds,
    }
  },

  plot: (result) =>
    plotBars({
      title: result.title,
      subtitle: `${result.settings.requestsPerSecond} requests/s; ${result.machine.cores} cores, ${result.measuredAt.slice(0, 10)}`,
      unit: 'requests',
      rows: (result.details as readonly Round[]).map(({ requests, cutBefore, cutDuring }, i) => ({
        label: `time ${i + 1}`,
        value: requests,
        words: `${cutBefore} cut before the VIP moved, ${cutDuring} when it did`,
        isBad: cutBefore > 0,
      })),
    }),
}

async function prepare({ cleanup, tell }: BenchContext) {
  tell('starting the lab')
  const system = await startSystem(cleanup)
  const timeouts = { connectSeconds: 2, clientSeconds: 30, serverSeconds: 30, drainSeconds }
  const { id } = await createBalancer(system, 'drain', { timeouts })
  await awaitWhole(system, id)
  return { system, balancerId: id }
}

/** Load on the first VIP for as long as `act` takes. */
async function suffer<Value>(
  { cleanup }: BenchContext,
  system: System,
  balancerId: string,
  act: (whole: LoadBalancer) => Promise<Value>,
): Promise<{ readonly report: PhaseReport; readonly found: Value }> {
  const whole = await awaitWhole(system, balancerId)
  const load = await startLoad(system.clientPid, {
    targets: [...targetsOf(whole.vips.slice(0, 1))],
    connections,
    requestsPerSecond,
    timeoutMilliseconds,
    requestsPerConnection,
    phase: 'all',
  })
  cleanup.defer('a load', () => load.stop())
  const found = await act(whole)
  const [report] = await load.end()
  if (report === undefined) throw new Error('BUG: a load without a phase')
  return { report, found }
}

/** By maintenance of its host: a new instance comes up, and then the old one drains. */
async function moveAway(context: BenchContext, system: System, balancerId: string): Promise<Round> {
  const lastEventId = await findNewestEvent(system)
  const hosts = await system.api.call(v.object({ items: v.array(hostSchema) }), 'GET', '/v1/hosts')
  const { report, found } = await suffer(context, system, balancerId, async (whole) => {
    const [vip = ''] = whole.vips
    const { host, instanceId } = await findHolder(system, whole, vip)
    const path = `/v1/hosts/${hosts.items.find(({ name }) => name === host)?.id}`
    const begunAt = wallMilliseconds()
    await system.api.call(hostSchema, 'PATCH', path, { maintenance: true })
    await waitUntil(async () => (await listHeldVips(system, host, instanceId, [vip])).length === 0, {
      what: () => `${vip} to leave ${host}`,
      timeoutSeconds: waitSeconds,
      intervalMilliseconds: lookMilliseconds,
    })
    const movedAt = wallMilliseconds()
    await waitUntil(
      async () => (await showBalancer(system, balancerId)).instances.every(({ id }) => id !== instanceId),
      { what: () => `${instanceId} to be gone`, timeoutSeconds: waitSeconds, intervalMilliseconds: 50 },
    )
    await system.api.call(hostSchema, 'PATCH', path, { maintenance: false })
    return { movedAt, begunAt, instanceId }
  })
  const cutBefore = report.failures.filter(
    ({ at, afterMilliseconds }) => at + afterMilliseconds < found.movedAt - slackMilliseconds,
  ).length
  return {
    requests: report.requests,
    cutBefore,
    cutDuring: report.failed - cutBefore,
    connectionsToldCut: await findConnectionsCut(system, found.instanceId, lastEventId),
    drainedSeconds: (found.movedAt - found.begunAt) / 1000,
  }
}

async function findConnectionsCut({ api }: System, instanceId: string, afterId: string): Promise<number> {
  const type = 'load-balancer.instance.retired'
  const page = await api.call(
    pageSchema(cloudEventSchema),
    'GET',
    `/v1/events?format=json&type=${type}&after=${afterId}`,
  )
  const event = page.items.find(({ subject }) => subject === instanceId)
  if (event === undefined) throw new Error(`${instanceId} went and nobody was told`)
  return v.parse(eventTypes[type], event.data).connectionsCut ?? 0
}
