/** What a thief can do with the credentials of one host: use that host's subjects, and nothing else. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { Kvm } from '@nats-io/kv'
import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { encodeLogLines, logSubject } from '../../agent/contract/log-lines.ts'
import { pointSubject } from '../../agent/contract/points.ts'
import { inboxPrefix, instructionsKey, reportKey } from '../../agent/contract/subjects.ts'
import { ensureEventStream } from '../control-plane/event-stream.ts'
import { ensureLogStream } from '../observed/logs/log-stream.ts'
import { ensurePointStream } from '../observed/metrics/points-stream.ts'
import { connectAgent, openTestBus, patientOptions, type TestAgent, type TestBus, waitFor } from './test-bus.ts'

/** Each test starts servers of its own, on a machine that may have much else to do. */
setDefaultTimeout(30_000)

const thief = 'host-a'
const victim = 'host-b'
const desiredSubject = (host: string) => `$KV.desired.${instructionsKey(host)}`
const statusSubject = (host: string) => `$KV.status.${reportKey(host)}`
const answerMilliseconds = 2_000
const logSource = {
  host: thief,
  projectId: `prj_${'0'.repeat(25)}`,
  loadBalancerId: `lb_${'0'.repeat(25)}`,
  instanceId: `lbi_${'0'.repeat(25)}`,
  kind: 'access',
} as const

let ground: TestBus
let agent: TestAgent
let other: TestAgent

beforeAll(async () => {
  ground = await openTestBus()
  agent = await connectAgent(ground.bus, thief)
  other = await connectAgent(ground.bus, victim)
  await ensureEventStream(ground.bus.connection, 1)
  await ensureLogStream(ground.bus.hostsConnection, 1)
  const manager = await jetstreamManager(ground.bus.connection)
  await manager.streams.add({ name: 'ms_1', subjects: ['ms.1.>'] })
  await ground.bus.buckets.desired.put(instructionsKey(thief), 'for the thief')
  await ground.bus.buckets.desired.put(instructionsKey(victim), 'for the victim')
  await waitFor('the mirror', async () => (await mirroredText(victim)) === 'for the victim')
})

afterAll(async () => {
  await Promise.all([agent.connection.close(), other.connection.close()])
  await ground.close()
})

/** What agents can read of a host's instructions. */
async function mirroredText(host: string): Promise<string | undefined> {
  const bucket = await new Kvm(ground.bus.hostsConnection).open('desired', { allow_direct: true })
  return (await bucket.get(instructionsKey(host)))?.string()
}

describe('an agent may', () => {
  test('watch its own instructions, as they are and as they come', async () => {
    const bucket = await new Kvm(jetstream(agent.connection, { checkAPI: false })).open('desired')
    const watch = await bucket.watch({ key: instructionsKey(thief), ignoreDeletes: true })
    const seen: string[] = []
    for await (const entry of watch) {
      seen.push(entry.string())
      if (seen.length === 1) await ground.bus.buckets.desired.put(instructionsKey(thief), 'something newer')
      if (seen.length === 2) watch.stop()
    }
    expect(seen).toEqual(['for the thief', 'something newer'])
  })

  test('read its own instructions directly', async () => {
    const bucket = await new Kvm(jetstream(agent.connection, { checkAPI: false })).open('desired', {
      allow_direct: true,
    })
    expect((await bucket.get(instructionsKey(thief)))?.string()).toMatch(/^(for the thief|something newer)$/)
  })

  test('report', async () => {
    agent.connection.publish(statusSubject(thief), 'all is well')
    await waitFor('the report', async () => {
      return (await ground.bus.buckets.status.get(reportKey(thief)))?.string() === 'all is well'
    })
  })

  test('have its points stored, once however often they are sent', async () => {
    await ensurePointStream(ground.bus.hostsConnection, 1)
    const publish = () =>
      jetstream(agent.connection, { checkAPI: false }).publish(pointSubject({ kind: 'host', host: thief }), 'points', {
        msgID: 'the same',
      })
    expect((await publish()).duplicate).toBe(false)
    expect((await publish()).duplicate).toBe(true)
  })

  test('have what its instances say kept', async () => {
    const stream = jetstream(agent.connection, { checkAPI: false })
    const { seq } = await stream.publish(logSubject(logSource), encodeLogLines([{ at: 0, message: 'all is well' }]))
    expect(seq).toBeGreaterThan(0)
  })

  test('answer an order, once', async () => {
    const orders = agent.connection.subscribe(`cmd.host.${thief}.>`, {
      callback: (_, message) => {
        message.respond('done')
      },
    })
    await agent.connection.flush()
    const answer = await ground.bus.hostsConnection.request(`cmd.host.${thief}.drain`, '', { timeout: 2000 })
    expect(answer.string()).toBe('done')
    orders.unsubscribe()
  })
})

const consumerRequest = (config: object) =>
  JSON.stringify({ stream_name: 'KV_desired', config: { name: 'x', ack_policy: 'none', mem_storage: true, ...config } })
const ownConsumer = `$JS.API.CONSUMER.CREATE.KV_desired.x.${desiredSubject(thief)}`

/** Requests that the server must not even let through. */
const forbiddenRequests: readonly { readonly subject: string; readonly body?: string }[] = [
  { subject: desiredSubject(victim), body: 'from the thief' },
  { subject: desiredSubject(thief), body: 'from the thief' },
  { subject: statusSubject(victim), body: 'from the thief' },
  { subject: `$KV.status.host.${thief}.another-key` },
  { subject: pointSubject({ kind: 'host', host: victim }), body: 'from the thief' },
  { subject: pointSubject({ kind: 'project', projectId: 'prj_x' }), body: 'from the thief' },
  { subject: pointSubject({ kind: 'controller' }), body: 'from the thief' },
  { subject: `cmd.host.${victim}.reboot` },
  { subject: `cmd.host.${thief}.reboot` },
  { subject: `${inboxPrefix(victim)}.x` },
  { subject: `${inboxPrefix(thief)}.x` },
  { subject: `$JS.API.DIRECT.GET.KV_desired.${desiredSubject(victim)}` },
  { subject: '$JS.API.DIRECT.GET.KV_desired', body: `{"last_by_subj":"${desiredSubject(victim)}"}` },
  { subject: `$JS.API.DIRECT.GET.KV_status.${statusSubject(victim)}` },
  { subject: '$JS.API.STREAM.MSG.GET.KV_desired', body: `{"last_by_subj":"${desiredSubject(victim)}"}` },
  { subject: '$JS.API.STREAM.MSG.GET.KV_status', body: `{"last_by_subj":"${statusSubject(victim)}"}` },
  { subject: `$JS.API.CONSUMER.CREATE.KV_desired.x.${desiredSubject(victim)}` },
  { subject: '$JS.API.CONSUMER.CREATE.KV_desired.x.$KV.desired.>' },
  { subject: '$JS.API.CONSUMER.CREATE.KV_desired.x.$KV.desired.host.*.instructions' },
  { subject: '$JS.API.CONSUMER.CREATE.KV_desired.x' },
  { subject: '$JS.API.CONSUMER.CREATE.KV_desired' },
  { subject: '$JS.API.CONSUMER.DURABLE.CREATE.KV_desired.x' },
  { subject: `$JS.API.CONSUMER.CREATE.KV_status.x.${statusSubject(thief)}` },
  { subject: '$JS.API.CONSUMER.MSG.NEXT.KV_desired.x' },
  { subject: '$JS.API.CONSUMER.DELETE.KV_desired.x' },
  { subject: '$JS.API.CONSUMER.LIST.KV_desired' },
  { subject: '$JS.API.CONSUMER.NAMES.KV_desired' },
  { subject: '$JS.API.CONSUMER.INFO.KV_desired.x' },
  { subject: '$JS.API.CONSUMER.PAUSE.KV_desired.x' },
  { subject: '$JS.API.STREAM.DELETE.KV_desired' },
  { subject: '$JS.API.STREAM.PURGE.KV_desired' },
  { subject: '$JS.API.STREAM.UPDATE.KV_desired' },
  { subject: '$JS.API.STREAM.MSG.DELETE.KV_desired', body: '{"seq":1}' },
  { subject: '$JS.API.STREAM.SNAPSHOT.KV_desired' },
  { subject: '$JS.API.STREAM.CREATE.mine', body: '{"name":"mine","subjects":["mine"]}' },
  { subject: '$JS.API.STREAM.LIST' },
  { subject: '$JS.API.STREAM.NAMES' },
  { subject: '$JS.API.STREAM.INFO.KV_status' },
  { subject: '$JS.API.STREAM.PURGE.KV_status' },
  { subject: '$JS.API.INFO' },
  { subject: '$JS.API.STREAM.INFO.EVENTS' },
  { subject: '$JS.API.CONSUMER.MSG.NEXT.EVENTS.x' },
  { subject: 'JS.control.API.CONSUMER.CREATE.KV_desired' },
  { subject: 'mirror.desired.x' },
  { subject: 'sluice.events.prj_x.host.joined', body: '{}' },
  { subject: 'ms.1.1.project.prj_x', body: '{}' },
  { subject: logSubject({ ...logSource, host: victim }), body: '{"format":1,"lines":[]}' },
  { subject: '$JS.API.STREAM.INFO.LOGS' },
  { subject: '$JS.API.STREAM.MSG.GET.LOGS', body: '{"seq":1}' },
  { subject: '$JS.API.STREAM.PURGE.LOGS' },
  { subject: `$JS.API.CONSUMER.CREATE.LOGS.x.logs.host.${thief}.>` },
  { subject: '$SYS.REQ.SERVER.PING' },
  { subject: '$SYS.REQ.USER.INFO' },
  { subject: '$SYS.REQ.CLAIMS.UPDATE' },
]

const forbiddenSubscriptions = [
  '>',
  '*',
  '$KV.>',
  desiredSubject(thief),
  desiredSubject(victim),
  statusSubject(victim),
  '_INBOX.>',
  '_INBOX.*.>',
  `${inboxPrefix(victim)}.>`,
  'cmd.>',
  `cmd.host.${victim}.>`,
  'cmd.host.*.reboot',
  'mirror.>',
  '$JS.>',
  '$JSC.>',
  '$SYS.>',
  'sluice.events.>',
  'ms.>',
]

describe('the server refuses a thief', () => {
  test.each(forbiddenRequests.map((request) => [request.subject, request.body ?? ''] as const))(
    'to send %s',
    async (subject, body) => {
      const attempt = agent.connection.request(subject, body, { timeout: answerMilliseconds })
      await expect(attempt).rejects.toThrow('Permissions Violation for Publish')
    },
  )

  test.each(forbiddenSubscriptions.map((subject) => [subject] as const))('to listen on %s', async (subject) => {
    expect(await listen(agent.connection, subject)).toContain('Permissions Violation for Subscription')
  })

  test.each([
    ["another's key, by its own subject", { filter_subject: desiredSubject(victim) }],
    ['two keys', { filter_subjects: [desiredSubject(thief), desiredSubject(victim)] }],
    ['all keys', {}],
  ])('a consumer of %s', async (_, filter) => {
    const config = { ...filter, deliver_subject: `${inboxPrefix(thief)}.stolen` }
    const answer = await agent.connection.request(ownConsumer, consumerRequest(config), { timeout: answerMilliseconds })
    expect(answer.json<{ error?: { code: number } }>().error?.code).toBe(400)
  })

  test("another's token with its own key", async () => {
    const attempt = connect({
      ...patientOptions(ground.bus),
      reconnect: false,
      authenticator: jwtAuthenticator(other.token, agent.user.getSeed()),
    })
    await expect(attempt).rejects.toThrow('Authorization Violation')
  })

  test('a connection without credentials', async () => {
    const attempt = connect({ ...patientOptions(ground.bus), reconnect: false })
    await expect(attempt).rejects.toThrow('Authorization Violation')
  })
})

/**
 * Whoever asks says where the answer goes, and whoever makes a consumer says where it delivers; the server sends both in
 * its own name. So what must not be overwritten is behind a wall, or takes no messages at all.
 */
describe('a thief can not aim', () => {
  test.each([
    ["an answer at another's instructions", desiredSubject(victim)],
    ['an answer at the store', 'ms.1.1.project.prj_x'],
    ['an answer at the events', 'sluice.events.prj_x.host.joined'],
  ])('%s', async (_, target) => {
    const before = await describeWorld()
    agent.connection.publish('$JS.API.STREAM.INFO.KV_desired', '', { reply: target })
    agent.connection.publish(statusSubject(thief), 'x', { reply: target })
    agent.connection.publish(`$JS.API.DIRECT.GET.KV_desired.${desiredSubject(thief)}`, '', { reply: target })
    await settle()
    expect(await describeWorld()).toEqual(before)
  })

  test.each([
    ["a consumer at another's instructions", desiredSubject(victim)],
    ['a consumer at the store', 'ms.1.1.project.prj_x'],
    ['a consumer at the events', 'sluice.events.prj_x.host.joined'],
  ])('%s', async (_, target) => {
    const before = await describeWorld()
    const name = `x${Bun.hash(target).toString(36)}`
    const config = { name, filter_subject: desiredSubject(thief), deliver_subject: target }
    await agent.connection
      .request(`$JS.API.CONSUMER.CREATE.KV_desired.${name}.${desiredSubject(thief)}`, consumerRequest(config), {
        timeout: answerMilliseconds,
      })
      .catch(() => null)
    await settle()
    expect(await describeWorld()).toEqual(before)
  })

  test("its own words at another's report: what comes there is the server's, and no report", async () => {
    agent.connection.publish(statusSubject(thief), '{"format":1}', { reply: statusSubject(victim) })
    await settle()
    const entry = await ground.bus.buckets.status.get(reportKey(victim))
    expect(entry?.json<{ format?: number }>().format).toBeUndefined()
  })
})

/** After this, all that the thief has sent has been dealt with: its connection and the streams keep their order. */
async function settle(): Promise<void> {
  await agent.connection.flush()
  await agent.connection.request('$JS.API.STREAM.INFO.KV_desired', '', { timeout: answerMilliseconds })
  await ground.bus.hostsConnection.flush()
}

/** All that a thief might want to change, as it is now. */
async function describeWorld() {
  const control = await jetstreamManager(ground.bus.connection)
  const { state: events } = await control.streams.info('EVENTS')
  const { state: desired } = await control.streams.info('KV_desired')
  const { state: store } = await control.streams.info('ms_1')
  return {
    store: store.last_seq,
    events: events.last_seq,
    desired: desired.last_seq,
    victim: (await ground.bus.buckets.desired.get(instructionsKey(victim)))?.string(),
    victimsView: await mirroredText(victim),
  }
}

/** Subscribes, and gives the server's refusal; 'allowed' when there was none. */
async function listen(connection: NatsConnection, subject: string): Promise<string> {
  const outcome = Promise.withResolvers<string>()
  const subscription = connection.subscribe(subject, {
    callback: (error) => {
      if (error !== null) outcome.resolve(error.message)
    },
  })
  // The server answers in order: a refusal comes before what the flush awaits.
  connection.flush().then(
    () => outcome.resolve('allowed'),
    (error: unknown) => outcome.reject(error),
  )
  const answer = await outcome.promise
  if (!subscription.isClosed()) subscription.unsubscribe()
  return answer
}
