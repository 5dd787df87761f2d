import { expect, test } from 'bun:test'
import * as v from 'valibot'
import { createTestWorld } from '../../test/api/api-world.ts'
import { createApi } from '../system/api.ts'
import { declareDirectly } from './direct-calls.ts'

const itemsSchema = v.object({ items: v.array(v.unknown()) })

test('what is declared by calls is there with everything it needs, and gone when it is taken away', async () => {
  const world = await createTestWorld()
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: (request) => world.app.fetch(request) })
  const api = createApi(server.url.origin, world.admin)
  const count = async (noun: string) => (await api.call(itemsSchema, 'GET', `/v1/${noun}`)).items.length
  let isOver = false
  const hosts = (async () => {
    while (!isOver) {
      await world.settle()
      await Bun.sleep(1)
    }
  })()
  try {
    const before = await count('projects')
    const declared = await declareDirectly(api, 3)
    expect(await Promise.all(['networks', 'shards', 'load-balancers'].map(count))).toEqual([3, 3, 3])
    expect(declared.createSeconds).toBeGreaterThan(0)
    await declared.remove()
    expect(await Promise.all(['networks', 'shards', 'load-balancers', 'pools'].map(count))).toEqual([0, 0, 0, 0])
    expect(await count('projects')).toBe(before)
  } finally {
    isOver = true
    await hosts
    await server.stop(true)
  }
}, 30_000)
