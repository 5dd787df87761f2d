import { describe, expect, test } from 'bun:test'
import { createGround, expectProblem } from '../../test/api/api-ground.ts'

describe('an Idempotency-Key', () => {
  test('has a creation done once, and its answer kept', async () => {
    const { world, projectId } = await createGround()
    const ask = () =>
      world.call('POST', '/v1/networks', { name: 'api', projectId }, { headers: { 'idempotency-key': 'k1' } })
    const [first, second] = [await ask(), await ask()]
    expect(first.status).toBe(201)
    expect(second.body).toEqual(first.body)
    expect(second.headers.get('location')).toBe(first.headers.get('location'))
    expect(second.headers.get('etag')).toBe(first.headers.get('etag'))
    expect(second.headers.get('idempotent-replayed')).toBe('true')
  })

  test('has ten at once answered alike', async () => {
    const { world, projectId } = await createGround()
    const ask = () =>
      world.call('POST', '/v1/networks', { name: 'api', projectId }, { headers: { 'idempotency-key': 'k1' } })
    const replies = await Promise.all(Array.from({ length: 10 }, ask))
    expect(new Set(replies.map(({ body }) => String(body.id))).size).toBe(1)
  })

  test('is refused for another body', async () => {
    const { world, projectId } = await createGround()
    const headers = { 'idempotency-key': 'k1' }
    await world.call('POST', '/v1/networks', { name: 'api', projectId }, { headers })
    const other = await world.call('POST', '/v1/networks', { name: 'web-2', projectId }, { headers })
    expectProblem(other, 422, 'idempotency-key-reused', 'Idempotency-Key')
  })

  test('is forgotten after a day', async () => {
    const { world, projectId } = await createGround()
    const headers = { 'idempotency-key': 'k1' }
    await world.call('POST', '/v1/networks', { name: 'api', projectId }, { headers })
    world.context.advance(24 * 3600 * 1000 + 1)
    const other = await world.call('POST', '/v1/networks', { name: 'web-2', projectId }, { headers })
    expect(other.status).toBe(201)
  })

  test('of a refusal may be asked again when the cause is gone', async () => {
    const { world, projectId } = await createGround({ networks: 1 })
    const ask = () =>
      world.call('POST', '/v1/networks', { name: 'api', projectId }, { headers: { 'idempotency-key': 'k1' } })
    expectProblem(await ask(), 409, 'quota-exceeded')
    await world.call('PATCH', `/v1/projects/${projectId}`, { quota: { networks: 2 } })
    expect((await ask()).status).toBe(201)
  })

  test("of a token's creation gives the token a new secret", async () => {
    const { world, projectId } = await createGround()
    const ask = () =>
      world.call('POST', '/v1/tokens', { name: 'ci', projectId }, { headers: { 'idempotency-key': 'k1' } })
    const [first, second] = [await ask(), await ask()]
    expect(second.body.id).toBe(first.body.id)
    expectProblem(
      await world.call('GET', '/v1/me', undefined, { token: String(first.body.token) }),
      401,
      'unauthenticated',
    )
    expect((await world.call('GET', '/v1/me', undefined, { token: String(second.body.token) })).status).toBe(200)
  })
})
