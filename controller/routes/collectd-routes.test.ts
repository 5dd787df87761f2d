import { beforeAll, expect, test } from 'bun:test'
import { createTestWorld, type TestWorld } from '../../test/api/api-world.ts'

let world: TestWorld
let projectId: string
let token: string

beforeAll(async () => {
  world = await createTestWorld()
  projectId = String((await world.create('/v1/projects', { name: 'rack', user: 'john' })).id)
  token = String((await world.create('/v1/tokens', { name: 'collectd', projectId })).token)
})

const list = { values: [1], dstypes: ['gauge'], time: 1_700_000_000, host: 'web-1', plugin: 'app', type: 'gauge' }
const post = (body: unknown, query = '', options = {}) => world.call('POST', `/v1/collectd${query}`, body, options)

test("points come in with a project's token, and are the project's", async () => {
  const reply = await post([list], '', { token })
  expect(reply).toMatchObject({ status: 200, body: { taken: 1, refused: 0 } })
  expect(world.takenLists.at(-1)).toMatchObject({ projectId, lists: [{ host: 'web-1', kinds: ['GAUGE'] }] })
})

test('an admin says whose they are, a token of a project never says another', async () => {
  expect((await post([list])).status).toBe(422)
  expect((await post([list], `?projectId=${projectId}`)).status).toBe(200)
  const other = String((await world.create('/v1/projects', { name: 'other', user: 'john' })).id)
  const before = world.takenLists.length
  expect((await post([list], `?projectId=${other}`, { token })).status).toBe(422)
  expect((await post([list], '', { token: null })).status).toBe(401)
  expect(world.takenLists).toHaveLength(before)
})

test('a body that is not as write_http posts it is refused, and says what is wrong', async () => {
  const reply = await post([{ ...list, values: 'many' }], '', { token })
  expect(reply.status).toBe(422)
  expect(JSON.stringify(reply.body)).toContain('values')
})
