/** What a program with event credentials can do: read its own project's events, and nothing else. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { eventSubject } from '../control-plane/event-stream.ts'
import type { BusCredentials } from './bus.ts'
import { connectReader, openTestBus, type TestBus } from './test-bus.ts'

/** Each test starts servers of its own, on a machine that may have much else to do. */
setDefaultTimeout(30_000)

const own = 'prj_0000000aaaaaaaaaaaaaaaaaa'
const foreign = 'prj_0000000bbbbbbbbbbbbbbbbbb'
const answerMilliseconds = 2_000

let ground: TestBus
let credentials: BusCredentials
let foreignCredentials: BusCredentials
let reader: NatsConnection

beforeAll(async () => {
  ground = await openTestBus()
  const expiresAt = null
  credentials = await ground.bus.issueEventCredentials({ tokenId: 'tok_own', projectId: own, expiresAt })
  foreignCredentials = await ground.bus.issueEventCredentials({ tokenId: 'tok_foreign', projectId: foreign, expiresAt })
  reader = await connectReader(ground.bus, credentials)
})

afterAll(async () => {
  await reader.close()
  await ground.close()
})

async function tell(projectId: string, text: string): Promise<void> {
  const subject = eventSubject({ projectid: projectId, type: 'network.created' })
  await jetstream(ground.bus.connection).publish(subject, text)
}

describe('a reader may', () => {
  test("fetch its project's events, acknowledge them, and wait for more", async () => {
    await tell(own, 'first')
    await tell(foreign, 'not for us')
    const consumer = await jetstream(reader, { domain: credentials.domain }).consumers.get(
      credentials.stream,
      credentials.consumer,
    )
    const messages = await consumer.consume()
    const seen: string[] = []
    for await (const message of messages) {
      seen.push(message.string())
      expect(await message.ackAck()).toBe(true)
      if (seen.length === 1) await tell(own, 'second')
      if (seen.length === 2) break
    }
    expect(seen).toEqual(['first', 'second'])
  })

  test('go on after a break where it left off', async () => {
    await tell(own, 'while away')
    const again = await connectReader(ground.bus, credentials)
    const consumer = await jetstream(again, { domain: credentials.domain }).consumers.get(
      credentials.stream,
      credentials.consumer,
    )
    const message = await consumer.next({ expires: 5_000 })
    expect(message?.string()).toBe('while away')
    expect(await message?.ackAck()).toBe(true)
    await again.close()
  })
})

describe('the server refuses a reader', () => {
  const requests = () => [
    `$JS.events.API.CONSUMER.MSG.NEXT.EVENTS.${foreignCredentials.consumer}`,
    `$JS.events.API.CONSUMER.INFO.EVENTS.${foreignCredentials.consumer}`,
    `$JS.events.API.STREAM.INFO.EVENTS`,
    `$JS.API.CONSUMER.MSG.NEXT.EVENTS.${credentials.consumer}`,
    `$JS.API.CONSUMER.INFO.EVENTS.${foreignCredentials.consumer}`,
    `$JS.ACK.EVENTS.${foreignCredentials.consumer}.1.1.1.1.1`,
    '$JS.API.CONSUMER.CREATE.EVENTS',
    `$JS.API.CONSUMER.CREATE.EVENTS.x.sluice.events.${own}.>`,
    `$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.${credentials.consumer}`,
    `$JS.API.CONSUMER.DELETE.EVENTS.${credentials.consumer}`,
    '$JS.API.STREAM.INFO.EVENTS',
    '$JS.API.STREAM.PURGE.EVENTS',
    '$JS.API.STREAM.DELETE.EVENTS',
    '$JS.API.STREAM.MSG.GET.EVENTS',
    '$JS.API.DIRECT.GET.EVENTS',
    '$JS.API.INFO',
    `sluice.events.${own}.network.created`,
    '$KV.desired.host.host-a.instructions',
    'cmd.host.host-a.reboot',
    'ms.1.1.project.prj_x',
    '$SYS.REQ.SERVER.PING',
  ]

  test('to send anything else', async () => {
    for (const subject of requests()) {
      const attempt = reader.request(subject, '{}', { timeout: answerMilliseconds })
      await expect(attempt, subject).rejects.toThrow('Permissions Violation for Publish')
    }
  })

  test("to listen to anything else, another project's events above all", async () => {
    const subjects = [
      `sluice.events.${foreign}.>`,
      'sluice.events.>',
      'sluice.events.*.network.created',
      '>',
      '_INBOX.>',
    ]
    for (const subject of [...subjects, `_INBOX.${foreignCredentials.publicKey}.>`, '$KV.>', '$JS.>', '$SYS.>']) {
      const refused = Promise.withResolvers<string>()
      reader.subscribe(subject, {
        callback: (error) => {
          refused.resolve(error?.message ?? 'a message came')
        },
      })
      reader.flush().then(
        () => refused.resolve('allowed'),
        (error: unknown) => refused.reject(error),
      )
      expect(await refused.promise, subject).toContain('Permissions Violation for Subscription')
    }
  })

  test('to aim an event at a stream: the store and the events are behind a wall', async () => {
    const manager = await jetstreamManager(ground.bus.connection)
    await manager.streams.add({ name: 'ms_1', subjects: ['ms.1.>'] })
    await tell(own, 'one to aim')
    const before = (await manager.streams.info('EVENTS')).state.last_seq
    const next = `$JS.events.API.CONSUMER.MSG.NEXT.EVENTS.${credentials.consumer}`
    for (const target of ['ms.1.1.project.prj_x', `sluice.events.${foreign}.network.created`]) {
      reader.publish(next, '{"batch":1,"no_wait":true}', { reply: target })
      reader.publish(`$JS.events.API.CONSUMER.INFO.EVENTS.${credentials.consumer}`, '', { reply: target })
    }
    await reader.flush()
    await reader.request(`$JS.events.API.CONSUMER.INFO.EVENTS.${credentials.consumer}`, '', {
      timeout: answerMilliseconds,
    })
    expect((await manager.streams.info('EVENTS')).state.last_seq).toBe(before)
    expect((await manager.streams.info('ms_1')).state.last_seq).toBe(0)
  })
})

test('a reader whose token was revoked is thrown out, stays out, and leaves no consumer', async () => {
  const revoked = await ground.bus.issueEventCredentials({ tokenId: 'tok_gone', projectId: own, expiresAt: null })
  const connection = await connectReader(ground.bus, revoked)
  const closed = connection.closed()
  await ground.bus.revokeUser(revoked.publicKey)
  await closed
  await expect(connectReader(ground.bus, revoked)).rejects.toThrow('Authorization Violation')
  const manager = await jetstreamManager(ground.bus.connection)
  const consumers = await manager.consumers.list(revoked.stream).next()
  expect(consumers.map(({ name }) => name)).not.toContain(revoked.publicKey)
})

test('a token with an end is no good after it', async () => {
  const expiresAt = new Date(Date.now() - 1000).toISOString()
  const expired = await ground.bus.issueEventCredentials({ tokenId: 'tok_old', projectId: own, expiresAt })
  await expect(connectReader(ground.bus, expired)).rejects.toThrow('Authorization Violation')
})
