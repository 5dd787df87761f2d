/** What becomes of points while a real nats-server is away: fifteen minutes of an agent's clock pass in between. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { createPointSender, type PointMessage } from '../../../agent/contract/point-sender.ts'
import {
  decodePoints,
  type Point,
  pointIntervalSeconds,
  pointStream,
  pointsHeldSecondsMaximum,
} from '../../../agent/contract/points.ts'
import { startTestNatsServer, type TestNatsServer } from '../../control-plane/test-nats-server.ts'
import { ensurePointStream } from './points-stream.ts'

setDefaultTimeout(60_000)

let server: TestNatsServer
let connection: NatsConnection

beforeAll(async () => {
  server = await startTestNatsServer()
  connection = await connect({ servers: server.url, reconnect: true, maxReconnectAttempts: -1, reconnectTimeWait: 50 })
  await ensurePointStream(connection, 1)
})

afterAll(async () => {
  await connection.close()
  await server.stop()
})

const pointAt = (timeSeconds: number): Point => ({
  host: 'a',
  plugin: 'sluice_host',
  pluginInstance: '',
  type: 'host_load',
  typeInstance: '',
  timeSeconds,
  intervalSeconds: pointIntervalSeconds,
  values: [1],
})

async function readTimes(): Promise<readonly number[]> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  const { state } = await manager.streams.info(pointStream)
  const times: number[] = []
  for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
    const message = await manager.streams.getMessage(pointStream, { seq })
    const batch = message === null ? null : decodePoints(message.subject, message.data)
    times.push(...(batch?.points ?? []).map(({ timeSeconds }) => timeSeconds))
  }
  return times
}

/** As whoever updates it does: a power cut may cost the last second of points. */
async function endServer(): Promise<void> {
  const pid = server.pid()
  process.kill(pid, 'SIGTERM')
  const deadline = performance.now() + 30_000
  while (existsSync(`/proc/${pid}`)) {
    if (performance.now() > deadline) throw new Error('nats-server does not end')
    await Bun.sleep(10)
  }
  await server.kill()
}

const untilReconnected = async () => {
  for await (const { type } of connection.status()) if (type === 'reconnect') return
}

test('a server that is away for long costs what is beyond the bound, and doubles nothing', async () => {
  let seconds = 0
  let isAway = false
  let losesAnswer = false
  const publish = async ({ id, subject, payload }: PointMessage) => {
    if (isAway) throw new Error('there is no connection')
    await jetstream(connection, { checkAPI: false }).publish(subject, payload, { msgID: id, retries: 0 })
    if (losesAnswer) throw new Error('no answer')
  }
  const sender = createPointSender({
    idPrefix: 'a.run',
    send: publish,
    now: () => 1000 * seconds,
    log: () => undefined,
  })
  const measure = async (untilSeconds: number) => {
    while (seconds < untilSeconds) {
      seconds += pointIntervalSeconds
      sender.add({ kind: 'host', host: 'a' }, [pointAt(seconds)])
      await sender.flush()
    }
  }
  await measure(100)
  // Stored, and nobody hears of it before the server goes.
  losesAnswer = true
  await measure(110)
  const reconnected = untilReconnected()
  await endServer()
  isAway = true
  losesAnswer = false
  await measure(110 + 300)
  await server.start()
  await reconnected
  isAway = false
  await sender.flush()
  const all = Array.from({ length: 41 }, (_, i) => 10 * (i + 1))
  expect(await readTimes()).toEqual(all)

  isAway = true
  await measure(410 + 900)
  isAway = false
  await sender.flush()
  const dropped = (900 - pointsHeldSecondsMaximum) / pointIntervalSeconds - 1
  expect(sender.counts()).toEqual({ sent: 41 + 90 - dropped, dropped, waiting: 0 })
  const kept = (await readTimes()).slice(all.length)
  expect(kept).toEqual(Array.from({ length: 90 - dropped }, (_, i) => 410 + 10 * (dropped + i + 1)))
})

test('the server knows a message again for as long as an agent holds it', async () => {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  const { config } = await manager.streams.info(pointStream)
  expect(config.duplicate_window / 1e9).toBeGreaterThan(pointsHeldSecondsMaximum)
})
