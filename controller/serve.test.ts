import { afterEach, describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { Hono } from 'hono'
import { createTestWorld, type TestWorld } from '../test/api/api-world.ts'
import { type ServedApp, serve } from './serve.ts'

const served: ServedApp[] = []
afterEach(async () => {
  for (const one of served.splice(0)) await one.close()
})

async function start(app: { fetch(request: Request): Response | Promise<Response> }, drainMilliseconds = 1_000) {
  const one = await serve({ app, listen: ['127.0.0.1:0'], drainMilliseconds })
  served.push(one)
  return { url: one.urls[0] ?? '', close: () => one.close() }
}

/** An app whose requests end when they are let go. */
function createSlowApp() {
  const entered = Promise.withResolvers<AbortSignal>()
  const released = Promise.withResolvers<void>()
  const app = new Hono()
  app.get('/slow', async (c) => {
    entered.resolve(c.req.raw.signal)
    await released.promise
    return c.text('done')
  })
  return { app, entered: entered.promise, release: () => released.resolve() }
}

/** Sends bytes as they are, and reads what comes until the other side ends. */
function sendRaw(url: string, text: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const { hostname, port } = new URL(url)
  let received = ''
  const socket = connect(Number(port), hostname, () => socket.write(text))
  socket.on('data', (data) => {
    received += data.toString()
  })
  socket.on('close', () => resolve(received))
  socket.on('error', reject)
  return promise
}

const json = (response: Response) => response.json() as Promise<Record<string, unknown>>

describe('serving', () => {
  test('keeps the body of a GET', async () => {
    const world = await createTestWorld()
    const { url } = await start(world.app)
    const body = JSON.stringify({ action: 'info', type: 'project', info: { name: 'none' } })
    const authorization = `Authorization: Bearer ${world.admin}\r\n`
    const answered = await sendRaw(
      url,
      `GET /v1/actions HTTP/1.1\r\nHost: x\r\n${authorization}Connection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
    expect(answered).toContain("there is no project 'none'")
  })

  test('answers many requests on one connection, bodies read or not', async () => {
    const world = await createTestWorld()
    const { url } = await start(world.app)
    const headers = { authorization: `Bearer ${world.admin}` }
    for (let i = 0; i < 20; i++) {
      const created = await fetch(`${url}/v1/projects`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ name: `p${i}`, user: 'john' }),
      })
      expect(created.status).toBe(201)
      const unread = await fetch(`${url}/nowhere`, { method: 'POST', body: 'x'.repeat(100_000) })
      expect(unread.status).toBe(404)
    }
    expect(((await json(await fetch(`${url}/v1/projects`, { headers }))).items as unknown[]).length).toBe(20)
  })

  test('refuses a body that is too large, declared or not', async () => {
    const world = await createTestWorld()
    const { url } = await start(world.app)
    const headers = { authorization: `Bearer ${world.admin}` }
    const large = 'x'.repeat(3_000_000)
    const declared = await fetch(`${url}/v1/projects`, { method: 'POST', headers, body: large })
    expect(declared.status).toBe(413)
    const chunked = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(large))
        controller.close()
      },
    })
    const streamed = await fetch(`${url}/v1/projects`, { method: 'POST', headers, body: chunked })
    expect(streamed.status).toBe(413)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  test('takes a target for a path, whatever it looks like', async () => {
    const world = await createTestWorld()
    const { url } = await start(world.app)
    for (const target of ['//evil/v1/me', '/%zz', '/v1/../v1/me', '*']) {
      const answered = await sendRaw(url, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      expect(answered).toMatch(/^HTTP\/1\.1 4\d\d/)
    }
  })

  test('tells the app when the caller has gone', async () => {
    const { app, entered, release } = createSlowApp()
    const { url } = await start(app)
    const abort = new AbortController()
    const asking = fetch(`${url}/slow`, { signal: abort.signal }).catch(() => 'gone')
    const signal = await entered
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    abort.abort()
    await aborted
    expect(await asking).toBe('gone')
    release()
  })

  test('finishes what is under way before it closes, and takes nothing new', async () => {
    const { app, entered, release } = createSlowApp()
    const { url, close } = await start(app, 10_000)
    const asking = fetch(`${url}/slow`)
    await entered
    const closing = close()
    await expect(fetch(`${url}/slow`)).rejects.toThrow()
    release()
    expect(await (await asking).text()).toBe('done')
    await closing
  })

  test('cuts off what takes longer than it may', async () => {
    const { app, entered, release } = createSlowApp()
    const { url, close } = await start(app, 20)
    const asking = fetch(`${url}/slow`)
    await entered
    await close()
    await expect(asking).rejects.toThrow()
    release()
  })

  test('says which address is taken', async () => {
    const world = await createTestWorld()
    const { url } = await start(world.app)
    const address = new URL(url).host
    await expect(serve({ app: world.app, listen: ['127.0.0.1:0', address] })).rejects.toThrow(address)
    await expect(serve({ app: world.app, listen: ['7480'] })).rejects.toThrow('127.0.0.1:7480')
  })
})

describe('the stream of events', () => {
  /** Reads a stream's text until it holds what is waited for. */
  async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array>, words: string): Promise<string> {
    let text = ''
    while (!text.includes(words)) {
      const next = await reader.read()
      if (next.done) throw new Error(`the stream ended without '${words}': ${text}`)
      text += new TextDecoder().decode(next.value)
    }
    return text
  }

  async function open(world: TestWorld, url: string, query = '', token = world.admin, headers = {}) {
    const abort = new AbortController()
    const response = await fetch(`${url}/v1/events${query}`, {
      headers: { authorization: `Bearer ${token}`, ...headers },
      signal: abort.signal,
    })
    const reader = response.body?.getReader()
    if (reader === undefined) throw new Error(`answered ${response.status} without a body`)
    return { response, reader, abort: () => abort.abort() }
  }

  const create = (world: TestWorld, name: string) => world.create('/v1/projects', { name, user: 'john' })
  const idsOf = (text: string) => [...text.matchAll(/^id: (\S+)$/gm)].map(([, id]) => id)

  test('tells what happens from when it says that it follows', async () => {
    const world = await createTestWorld()
    const { url } = await start(world.app)
    await create(world, 'before')
    const { response, reader, abort } = await open(world, url)
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(response.headers.get('traceparent')).toMatch(/^00-/)
    const begun = await readUntil(reader, ': following')
    await create(world, 'after')
    const text = begun + (await readUntil(reader, '\n\n'))
    expect(text).toMatch(/^id: evt_\w+\nevent: project\.created\ndata: \{.*"name":"after".*\}\n\n/m)
    expect(text).not.toContain('before')
    abort()
  })

  test('goes on after the event that the caller has seen last', async () => {
    const world = await createTestWorld()
    const { url } = await start(world.app)
    for (const name of ['a', 'b', 'c']) await create(world, name)
    const [first, second, third] = world.events.filter(({ type }) => type === 'project.created')
    for (const [query, headers] of [
      [`?after=${first?.id}`, {}],
      ['', { 'last-event-id': first?.id ?? '' }],
    ] as const) {
      const { reader, abort } = await open(world, url, query, world.admin, headers)
      expect(idsOf(await readUntil(reader, String(third?.id)))).toEqual([second?.id, third?.id])
      abort()
    }
  })

  test('is of its own project for a project, and of the types that are asked for', async () => {
    const world = await createTestWorld()
    const { url } = await start(world.app)
    const own = await create(world, 'own')
    const { token } = await world.create('/v1/tokens', { name: 'ci', projectId: own.id })
    const { reader, abort } = await open(world, url, '?type=network.*', String(token))
    await readUntil(reader, ': following')
    const foreign = await create(world, 'foreign')
    await world.create('/v1/networks', { name: 'hidden', projectId: foreign.id })
    await world.create('/v1/pools', { name: 'unasked', projectId: own.id, cidr: '10.0.0.0/16' })
    await world.create('/v1/networks', { name: 'seen', projectId: own.id })
    const text = await readUntil(reader, 'seen')
    expect(text).not.toMatch(/hidden|unasked/)
    abort()
    const other = await world.call('GET', `/v1/events?projectId=${foreign.id}`, undefined, { token: String(token) })
    expect(other.status).toBe(422)
  })

  test('is also a list', async () => {
    const world = await createTestWorld()
    for (const name of ['a', 'b', 'c']) await create(world, name)
    const newest = await world.call('GET', '/v1/events?format=json&limit=2&type=project.*')
    const names = (items: unknown) => (items as { data: { name: string } }[]).map(({ data }) => data.name)
    expect(names(newest.body.items)).toEqual(['b', 'c'])
    const first = world.events.find(({ type }) => type === 'project.created')
    const page = await world.call('GET', `/v1/events?format=json&limit=1&after=${first?.id}`)
    expect(names(page.body.items)).toEqual(['b'])
    expect(String(page.body.next)).toStartWith('evt_')
  })

  test('ends when the server closes, and when the caller goes', async () => {
    const world = await createTestWorld()
    const { url, close } = await start(world.app)
    const { reader } = await open(world, url)
    await readUntil(reader, ': following')
    const closing = close()
    for (let next = await reader.read(); !next.done; next = await reader.read());
    await closing
  })
})
