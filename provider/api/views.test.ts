import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import type { Api, ApiRequest } from './api.ts'
import { ApiError } from './api-error.ts'
import { createViews, type Listed } from './views.ts'

const schema = v.object({ id: v.string(), name: v.string() })
const { signal } = new AbortController()

/** An API with networks of one project, which counts what it is asked. Pages have 1,000. */
function createWorld(ids: readonly string[]) {
  const objects = new Map(ids.map((id) => [id, { id, name: `first ${id}` }]))
  const requests: string[] = []
  let now = 0
  const answer = ({ method, path, query }: ApiRequest): unknown => {
    requests.push(`${method} ${path}`)
    if (method !== 'GET') return { id: 'changed', name: 'changed' }
    const [, id] = /^\/v1\/networks\/(.*)$/.exec(path) ?? []
    if (id !== undefined) return objects.get(id)
    const rest = [...objects.values()].filter((one) => one.id > (query?.after ?? ''))
    const items = rest.slice(0, 1000)
    return { items, next: rest.length > 1000 ? (items.at(-1)?.id ?? null) : null }
  }
  const api: Api = {
    endpoint: 'http://127.0.0.1:1',
    async call(request, wanted) {
      await Promise.resolve()
      const body = answer(request)
      if (body === undefined) throw new ApiError({ code: 'not-found', title: 'There is no such network', detail: '' })
      return { status: 200, body: v.parse(wanted, body), isReplayed: false }
    },
    listAll: () => Promise.reject(new Error('BUG: nobody asks for all')),
  }
  const made = createViews(api, () => now)
  const listed = (id: string): Listed => ({ path: '/v1/networks', id, among: { projectId: 'prj_1' } })
  return {
    ...made,
    objects,
    requests,
    pass: (milliseconds: number) => {
      now += milliseconds
    },
    read: (id: string) => made.views.read(listed(id), schema, signal),
  }
}

const idsOf = (count: number) => Array.from({ length: count }, (_, i) => `net_${String(i).padStart(5, '0')}`)
const pagesOf = (requests: readonly string[]) => requests.filter((one) => one === 'GET /v1/networks').length

/** As the CLI reads: ten at once. */
async function readAll(ids: readonly string[], read: (id: string) => Promise<unknown>): Promise<readonly unknown[]> {
  const found: unknown[] = []
  for (let i = 0; i < ids.length; i += 10) found.push(...(await Promise.all(ids.slice(i, i + 10).map(read))))
  return found
}

describe('a refresh', () => {
  test('of few asks for each by itself', async () => {
    const { read, requests } = createWorld(idsOf(2000))
    await readAll(idsOf(20), read)
    expect(requests.length).toBe(20)
    expect(pagesOf(requests)).toBe(0)
  })

  test('of many asks for a page when some were asked for by themselves', async () => {
    const ids = idsOf(500)
    const { read, requests, objects } = createWorld(ids)
    expect(await readAll(ids, read)).toEqual([...objects.values()])
    expect(requests.length).toBe(21)
  })

  test('of more than a page asks for the next ones as they are missed', async () => {
    const ids = idsOf(2500)
    const { read, requests, objects } = createWorld(ids)
    expect(await readAll(ids, read)).toEqual([...objects.values()])
    expect(pagesOf(requests)).toBe(3)
    expect(requests.length).toBeLessThan(100)
  })

  test('is told of what is on no page, and of what is gone', async () => {
    const { read, objects } = createWorld(idsOf(40))
    await readAll(idsOf(40), read)
    objects.set('net_new', { id: 'net_new', name: 'new' })
    expect(await read('net_new')).toEqual({ id: 'net_new', name: 'new' })
    expect(await read('net_gone')).toBeNull()
  })

  test('where no page can be had asks for each by itself', async () => {
    const ids = idsOf(100)
    const { views, requests } = createWorld(ids)
    const read = (id: string) => views.read({ path: '/v1/networks', id, among: null }, schema, signal)
    await readAll(ids, read)
    expect(requests.length).toBe(100)
    await readAll(ids, read)
    expect(requests.length).toBe(100)
  })
})

describe('what was shown', () => {
  const ids = idsOf(100)
  const rename = (objects: Map<string, { readonly id: string; readonly name: string }>) => {
    for (const id of ids) objects.set(id, { id, name: 'second' })
  }

  test('is not answered any more after some seconds', async () => {
    const { read, pass, objects } = createWorld(ids)
    await readAll(ids, read)
    rename(objects)
    expect(await read('net_00050')).toMatchObject({ name: 'first net_00050' })
    pass(5001)
    expect(await read('net_00050')).toMatchObject({ name: 'second' })
  })

  test('is not answered any more after a change, nor is a page that was on its way', async () => {
    const { read, api, objects } = createWorld(ids)
    await readAll(ids.slice(0, 20), read)
    const early = read('net_00050')
    rename(objects)
    await api.call({ method: 'PATCH', path: '/v1/networks/net_00050' }, schema, signal)
    await early
    expect(await read('net_00050')).toMatchObject({ name: 'second' })
    expect(await read('net_00051')).toMatchObject({ name: 'second' })
  })
})
