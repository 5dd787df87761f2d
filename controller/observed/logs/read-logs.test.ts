/** Reading logs from a real server: as they come, from a place, of one instance, and within the stream's bounds. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { encodeLogLines, type LogKind, type LogLine, logStream, logSubject } from '../../../agent/contract/log-lines.ts'
import type { LogEntry } from '../../contract/logs.ts'
import { startTestNatsServer, type TestNatsServer } from '../../control-plane/test-nats-server.ts'
import { ensureLogStream } from './log-stream.ts'
import { openLogs } from './open-logs.ts'
import type { LogReader } from './read-logs.ts'

// Generous, since bun ends every child process, also the server, once a test is late.
setDefaultTimeout(60_000)

const idOf = (prefix: string, number: number) => `${prefix}_${String(number).padStart(25, '0')}`
const [mine, theirs] = [idOf('prj', 1), idOf('prj', 2)]
const [balancer, otherBalancer] = [idOf('lb', 1), idOf('lb', 2)]
const [first, second] = [idOf('lbi', 1), idOf('lbi', 2)]
const own = { projectId: mine, loadBalancerId: balancer }

let server: TestNatsServer
let connection: NatsConnection
let logs: LogReader

beforeAll(async () => {
  server = await startTestNatsServer()
  connection = await connect({ servers: server.url })
  logs = await openLogs({ connection, replicas: 1, now: Date.now })
})
afterAll(async () => {
  await connection.close()
  await server.stop()
})

const say = async (
  messages: readonly string[],
  { instanceId = first, kind = 'haproxy', projectId = mine, loadBalancerId = balancer, at = Date.now() }: Spoken = {},
) => {
  const lines: LogLine[] = messages.map((message) => ({ at, message }))
  const subject = logSubject({ host: 'north', projectId, loadBalancerId, instanceId, kind })
  await jetstream(connection).publish(subject, encodeLogLines(lines))
}
interface Spoken {
  readonly instanceId?: string
  readonly kind?: LogKind
  readonly projectId?: string
  readonly loadBalancerId?: string
  readonly at?: number
}

const messagesOf = ({ items }: { readonly items: readonly LogEntry[] }) => items.map(({ message }) => message)
const clear = async () => {
  await (await jetstreamManager(connection)).streams.purge(logStream)
}

describe('a list', () => {
  test('has what its balancer said, page by page, and nothing of others', async () => {
    await clear()
    await say(['one', 'two'])
    await say(['three'], { instanceId: second, kind: 'keepalived' })
    await say(['not ours'], { projectId: theirs, loadBalancerId: otherBalancer })
    await say(['of another balancer'], { loadBalancerId: otherBalancer })
    const page = await logs.list({ ...own, since: 0, limit: 2 })
    expect(messagesOf(page)).toEqual(['one', 'two'])
    const rest = await logs.list({ ...own, limit: 2, afterId: page.next ?? '' })
    expect([messagesOf(rest), rest.next]).toEqual([['three'], null])
    // In the middle of a message.
    expect(messagesOf(await logs.list({ ...own, limit: 9, afterId: page.items[0]?.id }))).toEqual(['two', 'three'])
    expect(messagesOf(await logs.list({ ...own, limit: 2 }))).toEqual(['two', 'three'])
  })

  test('has one instance, or one kind, where that is asked for', async () => {
    expect(messagesOf(await logs.list({ ...own, instanceId: second, limit: 9 }))).toEqual(['three'])
    expect(messagesOf(await logs.list({ ...own, kinds: ['haproxy'], limit: 9 }))).toEqual(['one', 'two'])
    expect(messagesOf(await logs.list({ ...own, kinds: ['haproxy', 'keepalived'], limit: 9 }))).toHaveLength(3)
    expect(await logs.hasInstance({ ...own, instanceId: second })).toBe(true)
    expect(await logs.hasInstance({ ...own, instanceId: idOf('lbi', 3) })).toBe(false)
  })

  test('begins where it is asked to', async () => {
    await clear()
    const now = Date.now()
    await say(['old'], { at: now - 3600_000 })
    await say(['new'], { at: now })
    expect(messagesOf(await logs.list({ ...own, since: now - 60_000, limit: 9 }))).toEqual(['new'])
    expect(messagesOf(await logs.list({ ...own, limit: 9 }))).toEqual(['old', 'new'])
  })

  test('passes over what is no message of ours', async () => {
    await clear()
    const subject = logSubject({ host: 'north', instanceId: first, kind: 'access', ...own })
    for (const text of ['', '{', '{"stream":"LOGS","seq":1}', '{"format":1,"lines":[{"at":-1}]}', '\0\u00ff']) {
      await jetstream(connection).publish(subject, text)
    }
    await say(['fine'])
    expect(messagesOf(await logs.list({ ...own, limit: 9 }))).toEqual(['fine'])
  })
})

test('who follows gets what comes, and goes on after what it has', async () => {
  await clear()
  await say(['before'])
  const seen: LogEntry[] = []
  const follow = async (count: number, meanwhile: () => Promise<void>, afterId?: string) => {
    const end = new AbortController()
    const options = { ...own, afterId, signal: end.signal, onStarted: () => void meanwhile() }
    for await (const entry of logs.read(options)) {
      if (seen.length < count) seen.push(entry)
      if (seen.length === count) end.abort()
    }
  }
  // From now on: what was before is not told.
  await follow(2, () => say(['one', 'two', 'three']))
  expect(seen.map(({ message }) => message)).toEqual(['one', 'two'])
  await follow(4, () => say(['four']), seen.at(-1)?.id)
  expect(seen.map(({ message }) => message)).toEqual(['one', 'two', 'three', 'four'])
})

test('who names a place that was lost goes on with what comes', async () => {
  await clear()
  const end = new AbortController()
  const started = Promise.withResolvers<void>()
  const read = logs.read({ ...own, afterId: '999999999-0', signal: end.signal, onStarted: started.resolve })
  const next = read.next()
  await started.promise
  await say(['after all'])
  expect((await next).value).toMatchObject({ message: 'after all' })
  end.abort()
  await read.return()
})

test('what is beyond the bound goes, the oldest first', async () => {
  const manager = await jetstreamManager(connection)
  await clear()
  const bytesMaximum = 64 * 1024
  await manager.streams.update(logStream, { max_bytes: bytesMaximum })
  for (let i = 0; i < 40; i++) await say([`${i} ${'x'.repeat(4000)}`])
  const { state } = await manager.streams.info(logStream)
  expect(state.bytes).toBeLessThanOrEqual(bytesMaximum)
  const kept = messagesOf(await logs.list({ ...own, limit: 1000 }))
  expect(kept.at(-1)?.split(' ')[0]).toBe('39')
  expect(kept.length).toBeLessThan(40)
  await ensureLogStream(connection, 1)
  expect((await manager.streams.info(logStream)).config.max_bytes).toBeGreaterThan(bytesMaximum)
})
