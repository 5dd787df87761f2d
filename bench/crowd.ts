/**
 * A real crowd in the lab: wrk begins all at once on the one VIP of a balancer that is scaled. How long until there are more
 * VIPs, until all of them serve, and until the others are gone again; and how many requests failed.
 */

import { waitUntil } from '../lab/wait.ts'
import type { Bench, BenchContext } from './bench.ts'
import { plotRows } from './plot.ts'
import type { Aim, Series } from './result.ts'
import { median } from './statistics.ts'
import { createBalancer, deleteBalancer, showBalancer, startSystem } from './system/system.ts'
import { awaitWhole } from './system/world.ts'
import { readWrk } from './throughput.ts'

const timesDefault = 5

export const crowd: Bench = {
  summary: 'a crowd in the lab until more instances serve, and until they are gone again',

  async run(context) {
    const times = context.options.times ?? timesDefault
    return {
      title: 'A crowd, and how soon more instances serve it',
      settings: { times, crowdSeconds, autoScaling },
      ...(await runCrowds(context, times)),
      ratios: [],
      notes: [
        'An agent asks a haproxy every two seconds, and a rate is made of what came in ten; cooldowns are 2 s and 4 s here, and 15 s and 300 s where nothing else is said.',
        'Until the others are gone: the load of the last ten seconds, the cooldown, the drain of two seconds, and what hosts take to give them up. No names are kept in this lab, so no TTL is waited for.',
      ],
    }
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `${result.series[0]?.samples.length ?? 0} crowds of wrk; ${result.machine.cores} cores; ${result.measuredAt.slice(0, 10)}`,
      unit: 's',
      rows: result.series.map(({ name, samples }) => ({ label: name, samples, isFloor: false })),
    }),
}

/** Short cooldowns, so that a run takes half a minute. */
const autoScaling = {
  minimum: 1,
  maximum: 3,
  targets: { requestsPerSecond: 400 },
  cooldown: { outSeconds: 2, inSeconds: 4 },
}
const crowdSeconds = 15
const noticeSeconds = 60

/** wrk begins all at once: from then on until a further instance has a VIP, and serves. */
async function runCrowds(
  context: BenchContext,
  times: number,
): Promise<{ readonly series: Series[]; readonly aims: Aim[] }> {
  context.tell('starting the lab')
  const system = await startSystem(context.cleanup)
  const decided: number[] = []
  const served: number[] = []
  const gone: number[] = []
  let failed = 0
  for (let round = 1; round <= times; round++) {
    const { id } = await createBalancer(system, 'crowd', {
      instanceCount: 1,
      autoScaling,
      timeouts: { drainSeconds: 2 },
    })
    const [vip = ''] = (await awaitWhole(system, id)).vips
    const begunAt = performance.now()
    const argv = ['nsenter', '-t', String(system.clientPid), '-n', '--', 'wrk', '-t1', '-c8', `-d${crowdSeconds}s`]
    const wrk = Bun.spawn([...argv, `http://${vip}/`], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' })
    context.cleanup.defer('wrk', async () => wrk.kill('SIGKILL'))
    const until = async (what: string, isTrue: (balancer: Awaited<ReturnType<typeof showBalancer>>) => boolean) => {
      await waitUntil(async () => isTrue(await showBalancer(system, id)), {
        what: () => what,
        timeoutSeconds: noticeSeconds,
        intervalMilliseconds: 20,
      })
      return (performance.now() - begunAt) / 1000
    }
    decided.push(await until('a decision', ({ vips }) => vips.length > 1))
    served.push(
      await until(
        'all to serve',
        ({ vips, instances }) =>
          instances.length === vips.length && instances.every(({ status }) => status === 'active'),
      ),
    )
    failed += readWrk(await new Response(wrk.stdout).text()).failed
    const endedAt = (performance.now() - begunAt) / 1000
    gone.push((await until('the end of the others', ({ instances }) => instances.length === 1)) - endedAt)
    await deleteBalancer(system, id)
    context.tell(`crowd ${round}/${times}: ${decided.at(-1)?.toFixed(1)} s, ${served.at(-1)?.toFixed(1)} s`)
  }
  return {
    series: [
      { name: 'until more VIPs', unit: 's', samples: decided },
      { name: 'until all of them serve', unit: 's', samples: served },
      { name: 'from its end until the others are gone', unit: 's', samples: gone },
    ],
    aims: [
      { aim: 'requests of the crowds that failed: 0', measured: failed, unit: 'requests', met: failed === 0 },
      {
        aim: 'a crowd until all serve, median ≤ 15 s',
        measured: median(served),
        unit: 's',
        met: median(served) <= 15,
      },
    ],
  }
}
