import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import type { Point } from '../../../agent/contract/points.ts'
import { startTestNatsServer, type TestNatsServer } from '../../control-plane/test-nats-server.ts'
import { type BlockStore, openBlockStore } from './block-store.ts'
import { createHead } from './head.ts'
import { createMetricsKeeper } from './keep-metrics.ts'
import { createSeriesLimit } from './series-limit.ts'
import { decodeReadings } from './sheets.ts'
import { readingsTier, rollupTiers, startOfBlock, tiers } from './tiers.ts'

setDefaultTimeout(60_000)

let server: TestNatsServer
let connection: NatsConnection
let blocks: BlockStore

beforeAll(async () => {
  server = await startTestNatsServer()
  connection = await connect({ servers: server.url })
  blocks = await openBlockStore(connection, 1)
})

afterAll(async () => {
  await connection.close()
  await server.stop()
})

const bytes = (text: string) => new TextEncoder().encode(text)

test('of two writers that read the same, one begins again', async () => {
  for (const tier of tiers) {
    expect(await blocks.read(tier, 'a.x', 0)).toEqual({ bytes: null, revision: 0 })
    expect(await blocks.write(tier, 'a.x', 0, bytes('one'), 0)).toBe(true)
    expect(await blocks.write(tier, 'a.x', 0, bytes('other'), 0)).toBe(false)
    const { bytes: stored, revision } = await blocks.read(tier, 'a.x', 0)
    expect(new TextDecoder().decode(stored ?? new Uint8Array())).toBe('one')
    expect(await blocks.write(tier, 'a.x', 0, bytes('two'), revision)).toBe(true)
  }
})

test('many are read at once, and none where there are none', async () => {
  const starts = Array.from({ length: 600 }, (_, i) => 1000 * i)
  for (const start of starts.filter((_, i) => i % 2 === 0)) {
    await blocks.write(readingsTier, 'b.x', start, bytes(String(start)), 0)
  }
  const found = await blocks.readMany(readingsTier, 'b.x', starts)
  expect([...found].map(([start, data]) => [start, new TextDecoder().decode(data)])).toEqual(
    starts.filter((_, i) => i % 2 === 0).map((start) => [start, String(start)]),
  )
  expect((await blocks.readMany(readingsTier, 'nobody.x', starts)).size).toBe(0)
  expect((await blocks.readMany(readingsTier, 'nobody.x', [0])).size).toBe(0)
  expect((await blocks.readMany(readingsTier, 'b.x', [])).size).toBe(0)
})

test('a quarter of an hour is written into all tiers, and how far it went is known to the next', async () => {
  const start = startOfBlock(readingsTier, Date.now() - 7200 * 1000)
  const head = createHead(createSeriesLimit())
  const logger = { warn: () => undefined }
  const keeper = await createMetricsKeeper({ blocks, head, now: Date.now, logger })
  const points = Array.from({ length: 90 }, (_, i): Point => {
    const timeSeconds = start / 1000 + 10 * i
    const name = { host: 'h', plugin: 'load', pluginInstance: '', type: 'load', typeInstance: '' }
    return { ...name, timeSeconds, intervalSeconds: 10, values: [i, 1, 1] }
  })
  head.accept({ origin: { kind: 'host', host: 'h' }, points }, Date.now(), Date.now())
  expect(await keeper.flush()).toBe(true)
  for (const tier of rollupTiers) {
    expect((await blocks.read(tier, 'h.load', startOfBlock(tier, start))).bytes).not.toBeNull()
  }
  const [series] = decodeReadings((await blocks.read(readingsTier, 'h.load', start)).bytes).values()
  expect(series?.readings.times).toHaveLength(90)
  const next = await createMetricsKeeper({ blocks, head: createHead(createSeriesLimit()), now: Date.now, logger })
  expect(next.headFrom).toBe(keeper.headFrom)
  expect(next.headFrom).toBeGreaterThan(start)
  await openBlockStore(connection, 1)
})
