/**
 * What measures cost and how soon they are answered: 300 balancers of ten members on three hosts every ten seconds (points
 * are made at the wire; hosts are simulated), the size of what is kept against what came and against Prometheus' database,
 * how many points a second are taken in, and questions over a day and a month.
 */

import { connect } from '@nats-io/transport-node'
import { encodePoints, type Point, pointIntervalSeconds, pointSubject } from '../agent/contract/points.ts'
import { startTestNatsServer } from '../controller/control-plane/test-nats-server.ts'
import { type Bench, type BenchContext, samplesOf } from './bench.ts'
import { measureIngest } from './metrics/ingest.ts'
import { createFleet } from './metrics/points.ts'
import { measureQuestions } from './metrics/questions.ts'
import { measureSizes } from './metrics/sizes.ts'
import { plotRows } from './plot.ts'
import { median, percentile } from './statistics.ts'
import { measureUsage } from './system/processes.ts'

const fleet = { balancers: 300, members: 10, hosts: ['a', 'b', 'c'] }
const ticksDefault = 12
const questionsDefault = 200
const dayAimed = 20
const monthAimed = 100
const shareAimed = 0.05

export const metrics: Bench = {
  summary: 'what measures of 300 balancers cost, the size of what is kept, and questions over a day and a month',

  async run(context) {
    const times = context.options.times ?? questionsDefault
    const cost = await measureCost(context, Math.max(2, Math.min(ticksDefault, times)))
    context.tell(`cost: ${JSON.stringify(cost)}`)
    const ingest = await measureIngest()
    context.tell(`ingest: ${Math.round(ingest.pointsPerSecond)} points/s`)
    const sizes = await measureSizes(context, times >= 100 ? 6 : 1)
    context.tell(`sizes: ${JSON.stringify(sizes)}`)
    const questions = await measureQuestions(context, times)
    const [day, month] = [percentile(questions.day, 0.99), percentile(questions.month, 0.99)]
    return {
      title: 'Measures: asked for over a day and a month',
      settings: { ...fleet, intervalSeconds: pointIntervalSeconds, hours: sizes.hours, times },
      series: [
        { name: 'a day in minutes', unit: 'ms', samples: questions.day },
        { name: 'a month in five minutes', unit: 'ms', samples: questions.month },
        { name: 'a month in hours', unit: 'ms', samples: questions.monthInHours },
        { name: 'messages a second', unit: '1/s', samples: [cost.messagesPerSecond] },
        { name: 'points a second', unit: '1/s', samples: [cost.pointsPerSecond] },
        { name: 'bytes a second on the wire', unit: 'B/s', samples: [cost.bytesPerSecond] },
        { name: 'CPU of the controller', unit: '% of a core', samples: [cost.controllerPercent] },
        { name: 'CPU of nats-server', unit: '% of a core', samples: [cost.natsPercent] },
        { name: 'memory of the controller', unit: 'MiB', samples: [cost.controllerMebibytes] },
        { name: 'points taken in, one core', unit: '1/s', samples: [ingest.pointsPerSecond] },
        { name: 'writing a piece of one balancer', unit: 'ms', samples: sizes.flushMilliseconds },
        { name: 'bytes a value: readings', unit: 'B', samples: [sizes.readingsBytes / sizes.values] },
        { name: 'bytes a value: rollups', unit: 'B', samples: [sizes.rollupBytes / sizes.values] },
        {
          name: "bytes a value: Prometheus' database",
          unit: 'B',
          samples: [sizes.prometheusBytes / sizes.values],
          isFloor: true,
        },
        {
          name: 'bytes a value: as it came, packed',
          unit: 'B',
          samples: [sizes.wireBytes / sizes.values],
          isFloor: true,
        },
        {
          name: 'bytes a value: as it came, as text',
          unit: 'B',
          samples: [sizes.textBytes / sizes.values],
          isFloor: true,
        },
      ],
      ratios: [
        { name: 'rollups to points as text', value: sizes.rollupBytes / sizes.textBytes },
        {
          name: 'all that is kept to points as text',
          value: (sizes.readingsBytes + sizes.rollupBytes) / sizes.textBytes,
        },
        { name: "readings to Prometheus' database", value: sizes.readingsBytes / sizes.prometheusBytes },
        {
          name: "all that is kept to Prometheus' database",
          value: (sizes.readingsBytes + sizes.rollupBytes) / sizes.prometheusBytes,
        },
      ],
      aims: [
        { aim: `a question over a day p99 ≤ ${dayAimed} ms`, measured: day, unit: 'ms', met: day <= dayAimed },
        {
          aim: `a question over a month p99 ≤ ${monthAimed} ms`,
          measured: month,
          unit: 'ms',
          met: month <= monthAimed,
        },
        {
          aim: `rollups ≤ ${100 * shareAimed} % of points as text`,
          measured: (100 * sizes.rollupBytes) / sizes.textBytes,
          unit: '%',
          met: sizes.rollupBytes <= shareAimed * sizes.textBytes,
        },
      ],
      notes: [
        'Points are made at the wire: the messages are those that three hosts would send, and nobody runs the balancers. What agents need for it is measured in collectd-ingest.',
        `Cost is over ${cost.seconds.toFixed(0)} s in real time, with a nats-server that syncs always and the room of measures as a process of its own. Writing blocks comes once in 15 minutes and is not in it: it is ${median(sizes.flushMilliseconds).toFixed(1)} ms for a balancer, for 300 of them ${((median(sizes.flushMilliseconds) * 300) / 9000).toFixed(2)} % of a core.`,
        `Sizes are of one balancer with two instances over ${sizes.hours} h; Prometheus' are of the blocks that promtool makes of the same values at the same times.`,
        'Text is the JSON of the messages before it is packed.',
      ],
      details: { cost, sizes: { ...sizes, flushMilliseconds: undefined } },
    }
  },

  plot: (result) =>
    plotRows({
      title: result.title,
      subtitle: `one measure of a balancer with two instances of ten members; ${result.machine.cores} cores, ${result.measuredAt.slice(0, 10)}`,
      unit: 'milliseconds',
      rows: ['a day in minutes', 'a month in five minutes', 'a month in hours'].map((label) => ({
        label,
        samples: samplesOf(result, label),
      })),
      bound: { value: monthAimed, label: 'aimed for a month' },
    }),
}

/** Three hosts that say what they have to, in real time. */
async function measureCost({ cleanup, tell }: BenchContext, ticks: number) {
  const server = await startTestNatsServer()
  cleanup.defer('a nats-server', () => server.stop())
  const room = Bun.spawn([process.execPath, `${import.meta.dir}/metrics/room-process.ts`, server.url], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  cleanup.defer('a room of measures', async () => room.kill('SIGKILL'))
  await room.stdout.getReader().read()
  const connection = await connect({ servers: server.url })
  cleanup.defer('a connection', () => connection.close())
  const hosts = createFleet(fleet)
  const natsPid = server.pid()
  const before = { room: measureUsage([room.pid]), nats: measureUsage([natsPid]), at: performance.now() }
  let [messages, bytes, points] = [0, 0, 0]
  for (let tick = 0; tick < ticks; tick++) {
    const due = before.at + 1000 * pointIntervalSeconds * tick
    await Bun.sleep(Math.max(0, due - performance.now()))
    for (const { host, say } of hosts) {
      for (const batch of splitBatches(say(tick, Math.floor(Date.now() / 1000)))) {
        const payload = encodePoints(batch)
        connection.publish(pointSubject({ kind: 'host', host }), payload)
        messages++
        bytes += payload.length
        points += batch.length
      }
    }
    await connection.flush()
  }
  await Bun.sleep(1000 * pointIntervalSeconds)
  const seconds = (performance.now() - before.at) / 1000
  const after = { room: measureUsage([room.pid]), nats: measureUsage([natsPid]) }
  room.stdin.end()
  await room.exited
  await connection.close()
  await server.stop()
  tell(`${messages} messages of ${Math.round(bytes / messages)} bytes`)
  const percent = (a: number, b: number) => (100 * (b - a)) / seconds
  return {
    seconds,
    messagesPerSecond: messages / seconds,
    bytesPerSecond: bytes / seconds,
    pointsPerSecond: points / seconds,
    controllerPercent: percent(before.room.cpuSeconds, after.room.cpuSeconds),
    controllerMebibytes: after.room.residentMebibytes,
    natsPercent: percent(before.nats.cpuSeconds, after.nats.cpuSeconds),
  }
}

const batchPoints = 4000

function splitBatches(points: readonly Point[]): Point[][] {
  return Array.from({ length: Math.ceil(points.length / batchPoints) }, (_, i) =>
    points.slice(i * batchPoints, (i + 1) * batchPoints),
  )
}
