/**
 * What a packet of collectd's network plugin costs us to take, against collectd's own plugin with the very same packets, by
 * the processor time that each uses; and what a pass over a host costs its agent with 1, 10 and 100 instances. Needs no lab.
 */

import { createSocket } from 'node:dgram'
import { encodePoints } from '../agent/contract/points.ts'
import { createMetricsRoom } from '../agent/metrics/metrics-room.ts'
import { makeTestInstance, makeTestInstructions } from '../test/lab/agent-instructions.ts'
import type { Bench, BenchContext } from './bench.ts'
import { samplesOf } from './bench.ts'
import { readHaproxyAnswer } from './collectd/haproxy-answer.ts'
import {
  cpuSecondsOf,
  makePackets,
  type Receiver,
  receiverPort,
  startCollectd,
  startOwnReceiver,
} from './collectd/ingest.ts'
import { plotRows } from './plot.ts'

const timesDefault = 5
const packetsSent = 10_000
/** So that neither loses any: what is measured is time of a processor, not how many get through. */
const packetsPerSecond = 2000
const seriesSent = 800
const settleMilliseconds = 3500
const shareAimed = 0.5
const instanceCounts = [1, 10, 100]
const passes = 20
const membersEach = 10

interface Case {
  readonly name: string
  readonly isSigned: boolean
  readonly start: (context: BenchContext, isSigned: boolean) => Promise<Receiver>
}

const ours: Case['start'] = ({ cleanup }) => startOwnReceiver(cleanup)
const cases: readonly Case[] = [
  { name: 'Sluice', isSigned: false, start: ours },
  {
    name: 'collectd, to its cache alone',
    isSigned: false,
    start: ({ cleanup }, signed) => startCollectd(cleanup, 'nothing', signed),
  },
  {
    name: 'collectd, to files in memory',
    isSigned: false,
    start: ({ cleanup }, signed) => startCollectd(cleanup, 'csv', signed),
  },
  { name: 'Sluice, signed', isSigned: true, start: ours },
  {
    name: 'collectd, signed, to its cache alone',
    isSigned: true,
    start: ({ cleanup }, signed) => startCollectd(cleanup, 'nothing', signed),
  },
]

export const collectdIngest: Bench = {
  summary:
    'packets of collectd taken in a second of a processor, against collectd itself; and what a pass over a host costs',

  async run(context) {
    const times = context.options.times ?? timesDefault
    const rates = new Map<string, number[]>(cases.map(({ name }) => [name, []]))
    const lost: Record<string, number> = {}
    for (let turn = 0; turn < times; turn += 1) {
      for (const one of cases) {
        const { perSecond, dropped } = await measureCase(context, one)
        rates.get(one.name)?.push(perSecond)
        lost[one.name] = (lost[one.name] ?? 0) + dropped
        context.tell(`${one.name}: ${Math.round(perSecond)} packets per processor second, ${dropped} lost`)
      }
    }
    const costs = await measurePasses(context)
    const median = (name: string) => (rates.get(name) ?? []).toSorted((a, b) => a - b)[Math.floor(times / 2)] ?? 0
    const ratio = median('Sluice') / median('collectd, to its cache alone')
    return {
      title: 'Points of a collectd taken, and a host measured',
      settings: { times, packetsSent, packetsPerSecond, seriesSent, passes, membersEach },
      series: [
        ...cases.map(({ name }) => ({
          name,
          unit: 'packets/processor s',
          samples: rates.get(name) ?? [],
          isFloor: name.startsWith('collectd'),
        })),
        ...costs.map(({ instances, milliseconds }) => ({
          name: passName(instances),
          unit: 'ms',
          samples: milliseconds,
        })),
      ],
      ratios: [
        { name: "packets by Sluice to packets by collectd's own plugin, cache alone", value: ratio },
        {
          name: "packets by Sluice to packets by collectd's own plugin, to files",
          value: median('Sluice') / median('collectd, to files in memory'),
        },
        {
          name: "signed packets by Sluice to signed packets by collectd's own plugin",
          value: median('Sluice, signed') / median('collectd, signed, to its cache alone'),
        },
      ],
      aims: [
        {
          aim: `at least ${shareAimed} of the packets that collectd takes with the same processor time`,
          measured: ratio,
          unit: '×',
          met: ratio >= shareAimed,
        },
      ],
      notes: [
        'Sluice receives, parses, admits and packs points into messages that nobody stores; collectd receives, parses, and updates its cache, and in one series writes files in memory.',
        `A pass reads /proc as often as for so many real instances, of ${membersEach} members each; what haproxy itself takes to answer is not within.`,
      ],
      details: { lost, pointsOfPasses: costs.map(({ instances, points }) => ({ instances, points })) },
    }
  },

  plot: (result) =>
    plotRows({
      title: 'Packets taken in a second of a processor',
      subtitle: 'of collectd’s network plugin, some 35 value lists each; more is better',
      unit: 'packets/s',
      rows: cases.map(({ name }) => ({ label: name, samples: samplesOf(result, name) })),
    }),
}

const passName = (instances: number) => `a pass over ${instances} ${instances === 1 ? 'instance' : 'instances'}`

async function measureCase(context: BenchContext, { isSigned, start }: Case) {
  const packets = makePackets(seriesSent, packetsSent, isSigned)
  const receiver = await start(context, isSigned)
  const before = cpuSecondsOf(receiver.pid)
  await sendPaced(packets)
  await Bun.sleep(settleMilliseconds)
  const used = cpuSecondsOf(receiver.pid) - before
  const dropped = receiver.dropped()
  await receiver.stop()
  return { perSecond: (packets.length - dropped) / used, dropped }
}

/** In small bursts, each no larger than any socket's buffer. */
async function sendPaced(packets: readonly Buffer[]): Promise<void> {
  const socket = createSocket('udp4')
  const startedAt = performance.now()
  const burst = 20
  for (let sent = 0; sent < packets.length; sent += burst) {
    for (const packet of packets.slice(sent, sent + burst)) socket.send(packet, receiverPort, '127.0.0.1')
    const ahead = (1000 * sent) / packetsPerSecond - (performance.now() - startedAt)
    if (ahead > 0) await Bun.sleep(ahead)
  }
  await new Promise<void>((resolve) => {
    socket.close(() => resolve())
  })
}

async function measurePasses(context: BenchContext) {
  const text = await readHaproxyAnswer(context.cleanup, membersEach)
  const costs: { instances: number; milliseconds: number[]; points: number }[] = []
  for (const instances of instanceCounts) {
    const made = Array.from({ length: instances }, (_, index) => makeTestInstance(index + 1, 1, 1, ['10.1.0']))
    const room = createMetricsRoom({
      host: 'bench',
      runFolder: '/run/sluice-bench',
      place: { devices: ['lo'], stateFolder: '/' },
      takeWholeAnswers: () => made.map(({ id }) => ({ instanceId: id, text, atUnixSeconds: Date.now() / 1000 })),
      measurePoints: () => [],
      unixSeconds: () => Date.now() / 1000,
    })
    const daemon = { pid: process.pid, startTimeTicks: 0, fingerprint: '', namespaceInode: 0 }
    const daemons = made.map(({ id }) => ({ ...daemon, objectId: id, daemon: 'haproxy' as const }))
    await room.look({ desired: makeTestInstructions('bench', 1, [], [], made), daemons, strayDaemons: [] })
    const milliseconds: number[] = []
    let points = 0
    for (let pass = 0; pass < passes; pass += 1) {
      const before = process.cpuUsage()
      const measured = await room.measure()
      encodePoints(measured)
      points = measured.length
      const { user, system } = process.cpuUsage(before)
      milliseconds.push((user + system) / 1000)
    }
    context.tell(`${passName(instances)}: ${points} points`)
    costs.push({ instances, milliseconds, points })
  }
  return costs
}
