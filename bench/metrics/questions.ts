/** How long questions take that go over a day and a month, of one balancer, its blocks on a real nats-server. */

import { connect } from '@nats-io/transport-node'
import { createTestContext } from '../../controller/access/test-context.ts'
import { createNamedId } from '../../controller/control-plane/shard-key.ts'
import { write } from '../../controller/control-plane/store.ts'
import { startTestNatsServer } from '../../controller/control-plane/test-nats-server.ts'
import { loadBalancerKind } from '../../controller/objects.ts'
import { type BlockStore, openBlockStore } from '../../controller/observed/metrics/block-store.ts'
import { createHead } from '../../controller/observed/metrics/head.ts'
import { createMetricsService, type MetricsService } from '../../controller/observed/metrics/metrics-service.ts'
import { createWindows, type Windows } from '../../controller/observed/metrics/rollup.ts'
import { ownerOfBlock, seriesKeyOf } from '../../controller/observed/metrics/series.ts'
import { createSeriesLimit } from '../../controller/observed/metrics/series-limit.ts'
import { encodeWindows, type SeriesWindows } from '../../controller/observed/metrics/sheets.ts'
import { listBlocks, rollupTiers, startOfBlock, type Tier } from '../../controller/observed/metrics/tiers.ts'
import type { BenchContext } from '../bench.ts'
import { balancerId, createFleet, createRandom, projectId } from './points.ts'

const day = 86_400_000
const admin = { caller: { tokenId: '', scope: 'admin', projectId: null } } as const

export async function measureQuestions({ cleanup, tell }: BenchContext, times: number) {
  const server = await startTestNatsServer()
  cleanup.defer('a nats-server', () => server.stop())
  const connection = await connect({ servers: server.url })
  cleanup.defer('a connection', () => connection.close())
  const blocks = await openBlockStore(connection, 1)
  const context = createTestContext()
  const object = await writeBalancer(context)
  const now = Math.floor(Date.now() / 1000) * 1000
  const bytes = await fillBlocks(blocks, object, now)
  tell(`a month of one balancer in blocks: ${bytes} bytes`)
  const head = createHead(createSeriesLimit())
  const counts = () => ({ messages: 0, bytes: 0, malformed: 0, blocksWritten: 0, bytesWritten: 0 })
  const keeper = { headFrom: now + day, counts }
  const service = createMetricsService(
    { store: context.store, now: () => now },
    { blocks, head, keeper, caughtUp: Promise.resolve() },
  )
  const ask = (from: string, step: string) => measureOne(service, { object, from, step }, times)
  const answers = {
    day: await ask('-1d', '1m'),
    month: await ask('-30d', '5m'),
    monthInHours: await ask('-30d', '1h'),
  }
  await connection.close()
  await server.stop()
  return answers
}

async function measureOne(
  service: MetricsService,
  query: { readonly object: string; readonly from: string; readonly step: string },
  times: number,
): Promise<number[]> {
  const samples: number[] = []
  for (let time = 0; time < times; time++) {
    const before = performance.now()
    const answer = await service.ask({ ...query, measure: 'requestsPerSecond' }, admin)
    JSON.stringify(answer)
    samples.push(performance.now() - before)
    if (!answer.ok) throw new Error(answer.problem.detail)
    const known = answer.value.series[0]?.values.filter((value) => value !== null).length ?? 0
    if (known < 0.95 * (answer.value.series[0]?.values.length ?? 0)) throw new Error('BUG: the answer is not whole')
  }
  return samples
}

async function writeBalancer({ store }: ReturnType<typeof createTestContext>): Promise<string> {
  const id = createNamedId(loadBalancerKind.prefix, projectId, 'bench')
  const value = { name: 'bench', projectId, members: [] }
  const written = write({
    kind: { ...loadBalancerKind, value: undefined },
    id,
    expect: 'absent',
    value: value as never,
  })
  await store.transact({ writes: [written] })
  return id
}

/** Blocks as full as those of a balancer with two instances of ten members; of what is in them a third is noise. */
async function fillBlocks(blocks: BlockStore, holder: string, now: number): Promise<number> {
  const points = createFleet({ balancers: 1, members: 10, hosts: ['a'] }).flatMap((host) => host.say(0, 0))
  const random = createRandom(7)
  let written = 0
  for (const [tier, from] of rollupTiers.map((tier) => [tier, now - (tier.seconds === 60 ? 1 : 30) * day] as const)) {
    for (const start of listBlocks(tier, from, now)) {
      for (const [type, ofType] of Map.groupBy(points, (point) => point.type)) {
        const sheet = new Map(
          ofType.map((point): [string, SeriesWindows] => {
            const name = { ...point, pluginInstance: point.pluginInstance.replace(balancerId(0), holder) }
            const windows = point.values.map((_, i) => makeWindows(tier, start, now, i % 3 === 2 ? random : () => 0))
            return [seriesKeyOf(name), { name, windows }]
          }),
        )
        const encoded = encodeWindows(sheet)
        await blocks.write(tier, ownerOfBlock(holder, type), startOfBlock(tier, start), encoded, 0)
        written += encoded.length
      }
    }
  }
  return written
}

function makeWindows(tier: Tier, start: number, now: number, random: () => number): Windows {
  const windows = createWindows()
  for (let at = start; at < Math.min(now, start + 1000 * tier.blockSeconds); at += 1000 * tier.seconds) {
    const mean = Math.round(1000 + 200 * random())
    windows.starts.push(at)
    windows.count.push(tier.seconds / 10)
    windows.least.push(mean - Math.round(100 * random()))
    windows.greatest.push(mean + Math.round(100 * random()))
    windows.last.push(mean)
    windows.sum.push(mean * tier.seconds)
    windows.weight.push(tier.seconds)
  }
  return windows
}
