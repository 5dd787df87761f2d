/**
 * How soon a name server answers what a host has just said of its VIPs, with 10, 100 and 1,000 balancers: by our loop over
 * the names, and by hand with knsupdate, in turns against the same real Knot. And how long all names take from nothing.
 */

import { startKnotServer } from '../test/names/knot-server.ts'
import { type Bench, type BenchContext, samplesOf } from './bench.ts'
import { createNamesGround, type NamedBalancer, type NamesGround } from './names/ground.ts'
import { openResolver, type Resolver } from './names/resolver.ts'
import { plotLines } from './plot.ts'
import { median, percentile } from './statistics.ts'

const timesDefault = 10
const counts = [10, 100, 1000]
const answerAimed = 100
/** Between two changes: Knot 3.2 may keep one that follows another until a second has gone by since that. */
const restMilliseconds = 1100

export const names: Bench = {
  summary: 'from a VIP that is lost to the name server answering without it, with 10, 100 and 1,000 balancers',

  async run(context) {
    const times = context.options.times ?? timesDefault
    const ours = new Map<number, readonly number[]>()
    const byHand = new Map<number, readonly number[]>()
    const fromNothing = new Map<number, number>()
    for (const count of counts) {
      const measured = await measure(context, count, times)
      ours.set(count, measured.ours)
      byHand.set(count, measured.byHand)
      fromNothing.set(count, measured.fromNothing)
      context.tell(`${count} balancers: p50 ${median(measured.ours).toFixed(1)} ms`)
    }
    const ratios = counts.map((count) => ({
      name: `${nameOf(count)} to by hand`,
      value: median(ours.get(count) ?? []) / median(byHand.get(count) ?? []),
    }))
    return {
      title: 'A VIP is lost → the name server answers without it',
      settings: { times, counts, ttlSeconds: 10, server: 'knot', updatesAtOnceMaximum: 16 },
      series: counts.flatMap((count) => [
        { name: nameOf(count), unit: 'ms', samples: ours.get(count) ?? [] },
        { name: floorOf(count), unit: 'ms', samples: byHand.get(count) ?? [], isFloor: true },
        { name: `all names from nothing, ${nameOf(count)}`, unit: 'ms', samples: [fromNothing.get(count) ?? 0] },
      ]),
      ratios,
      aims: counts.map((count) => {
        const measured = percentile(ours.get(count) ?? [], 0.99)
        return {
          aim: `p99 with ${nameOf(count)} ≤ ${answerAimed} ms`,
          measured,
          unit: 'ms',
          met: measured <= answerAimed,
        }
      }),
      notes: [
        `Each change comes ${restMilliseconds} ms after the one before. Knot 3.2 keeps an update that reaches it in the next second of its clock, and less than a second after another, until a second has gone by since that other one: then it is up to 1 s, by hand as by us.`,
        "From the moment at which the controller is handed a host's report without the VIP to the first answer by UDP that does not list it; then it comes back, which is a sample as well. Store and reports are in memory, as they are in a controller; signing, TCP, Knot and its journal on the disk are real.",
        'By hand is one `knsupdate` with the same change, from its start to the same answer: a process is started for it, which our loop does not need.',
      ],
    }
  },

  plot: (result) =>
    plotLines({
      title: result.title,
      subtitle: `medians; ${result.machine.cores} cores, ${result.measuredAt.slice(0, 10)}`,
      xLabel: 'balancers',
      panels: [
        {
          title: 'from the report to the answer',
          unit: 'milliseconds',
          series: [
            {
              label: 'sluice',
              points: counts.map((count) => ({ x: count, y: median(samplesOf(result, nameOf(count))) })),
            },
            {
              label: 'knsupdate by hand',
              isFloor: true,
              points: counts.map((count) => ({ x: count, y: median(samplesOf(result, floorOf(count))) })),
            },
          ],
        },
      ],
    }),
}

const nameOf = (count: number) => `${count.toLocaleString('en-US')} balancers`
const floorOf = (count: number) => `by hand, ${nameOf(count)}`

async function measure({ cleanup }: BenchContext, count: number, times: number) {
  const knot = await startKnotServer()
  cleanup.defer('a name server', () => knot.remove())
  const ground = await createNamesGround(knot, count)
  cleanup.defer('a loop over names', () => ground.close())
  const resolver = await openResolver(knot.port)
  cleanup.defer('a resolver', async () => resolver.close())
  ground.report(null)
  const begun = performance.now()
  ground.startLoop()
  await Promise.all(ground.balancers.slice(-1).map(({ dnsName, vips }) => resolver.waitFor(dnsName, vips)))
  // The last one that is begun with need not be the last one that is there.
  for (const { dnsName, vips } of ground.balancers) await resolver.waitFor(dnsName, vips)
  const fromNothing = performance.now() - begun
  const ours: number[] = []
  const byHand: number[] = []
  for (let time = 0; time < times; time++) {
    const balancer = ground.balancers[(time * 7) % count]
    if (balancer === undefined) throw new Error('BUG: there is no balancer')
    ours.push(...(await loseVip(ground, resolver, balancer)))
    const hand = `hand-${time}.${knot.zone}`
    await knot.write([`update add ${hand}. 10 A 192.0.2.1`])
    await Bun.sleep(restMilliseconds)
    const asked = performance.now()
    const written = knot.write([`update delete ${hand}. A`, `update add ${hand}. 10 A 192.0.2.2`])
    byHand.push((await resolver.waitFor(hand, ['192.0.2.2'])) - asked)
    await written
  }
  return { ours, byHand, fromNothing }
}

/** It goes, and comes again: two samples. */
async function loseVip(ground: NamesGround, resolver: Resolver, { dnsName, vips }: NamedBalancer): Promise<number[]> {
  const [kept, lost] = vips
  const samples: number[] = []
  for (const [without, left] of [
    [lost, [kept]],
    [null, [kept, lost]],
  ] as const) {
    await Bun.sleep(restMilliseconds)
    const told = performance.now()
    ground.report(without)
    samples.push((await resolver.waitFor(dnsName, left)) - told)
  }
  return samples
}
