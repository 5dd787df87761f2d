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
      if (url.pathname === '/gone') return new Response(null, { status: 204 })
      return Response.json({ fine: true })
    },
  })
})
afterAll(async () => {
  await server.stop(true)
})

const connect = () => connectToController({ SLUICE_ADDR: `http://127.0.0.1:${server.port}/`, SLUICE_TOKEN: 'secret' })

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
