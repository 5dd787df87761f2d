import { beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createBalancer, createGround, expectProblem, type Ground } from '../../test/api/api-ground.ts'
import type { LogEntry } from '../contract/logs.ts'
import { createKeptLogs } from '../observed/logs/test-logs.ts'

// A machine that is busy with other things takes its time.
setDefaultTimeout(30_000)

const instanceId = `lbi_${'1'.repeat(25)}`
const entries: LogEntry[] = []
let ground: Ground
let path: string

beforeAll(async () => {
  ground = await createGround({}, { logs: createKeptLogs(entries) })
  const { id } = await createBalancer(ground)
  path = `/v1/load-balancers/${id}/logs`
  const about = { loadBalancerId: String(id), instanceId, host: 'north', request: null, dropped: null }
  entries.push(
    { ...about, id: '1-0', at: '2026-01-01T00:00:00.000Z', kind: 'haproxy', message: 'one' },
    { ...about, id: '1-1', at: '2026-01-02T00:00:00.000Z', kind: 'keepalived', message: 'two' },
    { ...about, id: '2-0', at: '2026-01-02T00:00:00.000Z', kind: 'haproxy', message: 'other', loadBalancerId: 'lb_x' },
  )
})

const list = async (query = '') => {
  const reply = await ground.world.call('GET', `${path}?format=json${query}`)
  expect(reply.status).toBe(200)
  return (reply.body.items as unknown as LogEntry[]).map(({ message }) => message)
}

test('a list has what is asked for', async () => {
  expect(await list()).toEqual(['one', 'two'])
  expect(await list('&kind=keepalived')).toEqual(['two'])
  expect(await list('&kind=haproxy,keepalived&since=2026-01-01T12:00:00Z')).toEqual(['two'])
  // One that is gone, and has left its words behind.
  expect(await list(`&instance=${instanceId}`)).toEqual(['one', 'two'])
})

test('who follows is sent entries with their ids, and is told when nothing more is missed', async () => {
  const caller = new AbortController()
  const response = await ground.world.app.request(path, {
    headers: { authorization: `Bearer ${ground.world.admin}`, 'last-event-id': '0-0' },
    signal: caller.signal,
  })
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += new TextDecoder().decode(chunk)
    if (text.includes('"two"')) break
  }
  expect(text).toContain(': following\n\n')
  expect(text).toContain('id: 1-0\nevent: haproxy\ndata: {')
})

describe('refused are', () => {
  test.each([
    ['a balancer that is not there', () => `/v1/load-balancers/lb_${'0'.repeat(25)}/logs`, 404, 'not-found', undefined],
    ['an instance that never was', () => `${path}?instance=lbi_${'2'.repeat(25)}`, 422, 'invalid', 'instance'],
    ['an instance that is no id', () => `${path}?instance=first`, 422, 'invalid', 'instance'],
    ['a kind that is none', () => `${path}?kind=access,nginx`, 422, 'invalid', 'kind'],
    ['a time that is none', () => `${path}?since=yesterday`, 422, 'invalid', 'since'],
    ['a time that is to come', () => `${path}?since=2999-01-01T00:00:00Z`, 422, 'invalid', 'since'],
    ['a place that is none', () => `${path}?after=evt_1`, 422, 'invalid', 'after'],
    ['a limit of a stream', () => `${path}?limit=5`, 422, 'invalid', 'limit'],
    ['a limit that is absurd', () => `${path}?format=json&limit=100000`, 422, 'invalid', 'limit'],
    ['an unknown word', () => `${path}?follow=true`, 422, 'invalid', 'follow'],
  ] as const)('%s', async (_, ask, status, code, field) => {
    expectProblem(await ground.world.call('GET', ask()), status, code, field)
  })

  test('another Last-Event-ID than ours', async () => {
    const reply = await ground.world.call('GET', path, undefined, { headers: { 'last-event-id': '../../etc' } })
    expectProblem(reply, 422, 'invalid', 'after')
  })

  test("another project's token, which finds no such balancer", async () => {
    const other = await ground.world.create('/v1/projects', { name: 'other', user: 'jane' })
    const made = await ground.world.create('/v1/tokens', { name: 't', projectId: other.id })
    const reply = await ground.world.call('GET', `${path}?format=json`, undefined, { token: String(made.token) })
    expectProblem(reply, 404, 'not-found')
  })

  test.each([
    [{ access: 'maybe' }, 'logging.access'],
    [{ access: 'on', sample: '1/0' }, 'logging.sample'],
    [{ access: 'on', sample: '2/3' }, 'logging.sample'],
    [{ access: 'on', sample: '1/10001' }, 'logging.sample'],
    [{ access: 'on', sample: 10 }, 'logging.sample'],
    [{ clientAddress: 'half' }, 'logging.clientAddress'],
    [{ query: true }, 'logging.query'],
  ])('logging as %p', async (logging, field) => {
    const reply = await ground.world.call('PATCH', path.replace('/logs', ''), { logging })
    expectProblem(reply, 422, 'invalid', field)
  })
})

test('logging is off unless it is said, and says what is not said', async () => {
  const balancer = path.replace('/logs', '')
  const show = async () => (await ground.world.call('GET', balancer)).body.logging as unknown
  expect(await show()).toEqual({ access: 'off', sample: '1/1', clientAddress: 'shortened' })
  await ground.world.call('PATCH', balancer, { logging: { access: 'on', sample: '1/100' } })
  expect(await show()).toEqual({ access: 'on', sample: '1/100', clientAddress: 'shortened' })
})
