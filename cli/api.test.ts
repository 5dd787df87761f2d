import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { connectToController, describeProblem } from './api.ts'

const problem = {
  type: 'urn:sluice:problem:overlap',
  title: 'The block overlaps',
  status: 409,
  code: 'overlap',
  detail: '198.18.16.0/22 overlaps pool "a"',
  remedy: 'choose another block',
  errors: [{ field: 'cidr', message: 'overlaps 198.18.16.0/20' }],
  traceId: 'abc',
}

const pending = (status: string) => ({
  ...{ id: 'act_1', projectId: null, shardKey: '', version: 1, status, problem: null, escalationId: null },
  action: { actionType: 'x', dataType: 'x', payload: { parameters: {}, query: {}, body: {} }, currentVersion: null },
  ...{ createdAt: '', updatedAt: '' },
})
let [cuts, asked, polls] = [0, 0, 0]

let server: ReturnType<typeof Bun.serve>
const seen: { url: string; method: string; headers: Headers; body: string }[] = []
beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const url = new URL(request.url)
      seen.push({ url: url.search, method: request.method, headers: request.headers, body: await request.text() })
      if (url.pathname === '/problem') return Response.json(problem, { status: 409 })
      if (url.pathname === '/text') return new Response('gateway sleeps', { status: 502 })
      if (url.pathname === '/cut' && cuts-- > 0) return new Response('no server', { status: 502 })
      if (url.pathname === '/slow' && asked++ === 0) return Response.json(pending('reconciling'), { status: 202 })
      if (url.pathname === '/v1/actions/act_1') return Response.json(pending(polls-- > 0 ? 'reconciling' : 'done'))
      if (url.pathname === '/gone') return new Response(null, { status: 204 })
      return Response.json({ fine: true })
    },
  })
})
afterAll(async () => {
  await server.stop(true)
})

const told: string[] = []
const means = { tell: (line: string) => told.push(line), sleep: async () => {} }
const connect = () =>
  connectToController({ SLUICE_ADDR: `http://127.0.0.1:${server.port}/`, SLUICE_TOKEN: 'secret' }, means)

describe('a call', () => {
  test('carries the token, its query and its body', async () => {
    const request = { method: 'POST', path: '/x', query: { a: '1', b: undefined }, body: { c: 2 } } as const
    expect(await connect().call(request)).toEqual({ fine: true })
    const last = seen.at(-1)
    expect([last?.method, last?.url, last?.body]).toEqual(['POST', '?a=1', '{"c":2}'])
    expect(last?.headers.get('authorization')).toBe('Bearer secret')
    expect(last?.headers.get('content-type')).toBe('application/json')
  })

  test('without a body in the answer is undefined', async () => {
    expect(await connect().call({ method: 'DELETE', path: '/gone' })).toBeUndefined()
  })

  test('that is refused tells title, detail, fields, remedy and trace', async () => {
    await expect(connect().call({ method: 'POST', path: '/problem' })).rejects.toThrow(describeProblem(problem))
    expect(describeProblem(problem)).toBe(
      [
        'The block overlaps: 198.18.16.0/22 overlaps pool "a"',
        '  cidr: overlaps 198.18.16.0/20',
        '  remedy: choose another block',
        '  trace: abc',
      ].join('\n'),
    )
  })

  test('that is refused by something else tells what it said', async () => {
    await expect(connect().call({ method: 'GET', path: '/text' })).rejects.toThrow('was answered 502: gateway sleeps')
  })

  test('that was cut off is made again by the same Idempotency-Key, and given up in the end', async () => {
    cuts = 2
    const before = seen.length
    expect(await connect().call({ method: 'POST', path: '/cut', body: {} })).toEqual({ fine: true })
    const keys = seen.slice(before).map(({ headers }) => headers.get('idempotency-key'))
    expect([keys.length, new Set(keys).size, keys[0] === null]).toEqual([3, 1, false])
    cuts = 100
    await expect(connect().call({ method: 'POST', path: '/cut' })).rejects.toThrow('was answered 502: no server')
    const own = { 'idempotency-key': 'mine' }
    cuts = 0
    await connect().call({ method: 'POST', path: '/cut', headers: own })
    expect(seen.at(-1)?.headers.get('idempotency-key')).toBe('mine')
  })

  test('that hangs up is made again too', async () => {
    let hangUps = 1
    const listener = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data(socket) {
          if (hangUps-- > 0) socket.terminate()
          else socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}')
        },
      },
    })
    const api = connectToController({ SLUICE_ADDR: `http://127.0.0.1:${listener.port}`, SLUICE_TOKEN: 'x' }, means)
    expect(await api.call({ method: 'POST', path: '/x' })).toEqual({})
    listener.stop(true)
  })

  test('that takes long is followed to its end, or left to itself', async () => {
    ;[asked, polls] = [0, 12]
    expect(await connect().call({ method: 'PATCH', path: '/slow', body: {} })).toEqual({ fine: true })
    expect(told).toEqual([
      'others keep changing the same; action act_1 goes on (--no-wait leaves it to itself)',
      'action act_1 is reconciling for 5 s',
    ])
    asked = 0
    const left = await connect().call({ method: 'PATCH', path: '/slow', body: {}, isFollowed: false })
    expect(left).toMatchObject({ id: 'act_1', status: 'reconciling' })
  })

  test('that nobody answers tells where it went', async () => {
    const nobody = connectToController({ SLUICE_ADDR: 'http://127.0.0.1:1', SLUICE_TOKEN: 'x' })
    await expect(nobody.call({ method: 'GET', path: '/x' })).rejects.toThrow(
      'no controller answers at http://127.0.0.1:1',
    )
  })
})

test('an address without a token, or nothing at all, is an error that says what to do', () => {
  expect(() => connectToController({ SLUICE_ADDR: 'http://x' })).toThrow('set both')
  expect(() => connectToController({ SLUICE_LAB: 'nosuchlab' })).toThrow('sluice lab up')
})
