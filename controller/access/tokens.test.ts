import { describe, expect, test } from 'bun:test'
import { createGround, expectProblem } from '../../test/api/api-ground.ts'
import { createTestWorld, type Json } from '../../test/api/api-world.ts'
import { admitAdminBearer } from './tokens.ts'

describe('tokens', () => {
  test("a project's token sees its own project, and nothing else", async () => {
    const ground = await createGround()
    const { world, projectId, networkId } = ground
    const other = await world.create('/v1/projects', { name: 'other', user: 'mary' })
    const foreign = await world.create('/v1/networks', { name: 'foreign', projectId: other.id })
    const { token, scope } = await world.create('/v1/tokens', { name: 'ci', projectId })
    const own = { token: String(token) }
    expect(scope as unknown).toBe('project')
    expect((await world.call('GET', '/v1/me', undefined, own)).body).toMatchObject({ projectId } as object)
    expect((await world.call('GET', `/v1/networks/${networkId}`, undefined, own)).status).toBe(200)
    expectProblem(await world.call('GET', `/v1/networks/${foreign.id}`, undefined, own), 404, 'not-found')
    expectProblem(await world.call('GET', `/v1/networks/${foreign.id}/history`, undefined, own), 404, 'not-found')
    expectProblem(await world.call('PATCH', `/v1/networks/${foreign.id}`, { name: 'x' }, own), 404, 'not-found')
    expectProblem(await world.call('DELETE', `/v1/networks/${foreign.id}`, undefined, own), 404, 'not-found')
    expectProblem(await world.call('GET', `/v1/projects/${other.id}`, undefined, own), 404, 'not-found')
    const listed = await world.call('GET', '/v1/networks', undefined, own)
    expect((listed.body.items as unknown as Json[]).map(({ name }) => name as unknown)).toEqual(['web'])
    const intruder = await world.call('POST', '/v1/networks', { name: 'x', projectId: other.id }, own)
    expectProblem(intruder, 422, 'invalid', 'projectId')
    expectProblem(await world.call('POST', '/v1/projects', { name: 'x', user: 'x' }, own), 403, 'forbidden')
    expectProblem(await world.call('GET', '/v1/hosts', undefined, own), 403, 'forbidden')
    expectProblem(await world.call('POST', '/v1/tokens', { name: 'root' }, own), 403, 'forbidden')
  })

  test('are kept as hashes, and work until they expire or are deleted', async () => {
    const { world, projectId } = await createGround()
    const expiresAt = new Date(world.context.now() + 60_000).toISOString()
    const created = await world.create('/v1/tokens', { name: 'ci', projectId, expiresAt })
    const own = { token: String(created.token) }
    const secret = String(created.token).split('_')[2] ?? ''
    const shown = await world.call('GET', `/v1/tokens/${created.id}`)
    expect(JSON.stringify(shown.body)).not.toContain(secret)
    expect((await world.call('GET', '/v1/me', undefined, own)).status).toBe(200)
    const guess = { token: `${String(created.token).slice(0, -1)}${own.token.endsWith('0') ? '1' : '0'}` }
    expectProblem(await world.call('GET', '/v1/me', undefined, guess), 401, 'unauthenticated')
    world.context.advance(60_001)
    expectProblem(await world.call('GET', '/v1/me', undefined, own), 401, 'unauthenticated')
    await world.call('DELETE', `/v1/tokens/${created.id}`)
    expectProblem(await world.call('GET', `/v1/tokens/${created.id}`), 404, 'not-found')
  })

  test('come with credentials for events, which go with them', async () => {
    const revoked: string[] = []
    const world = await createTestWorld({
      issuer: {
        issue: async ({ projectId }) => ({
          publicKey: 'UREADER',
          credentials: 'text',
          servers: [],
          caCertificate: '',
          stream: 'EVENTS',
          consumer: 'UREADER',
          subject: `sluice.events.${projectId}.>`,
          inboxPrefix: '_INBOX.UREADER',
          domain: 'sluice',
        }),
        revoke: async (publicKey) => {
          revoked.push(publicKey)
        },
      },
    })
    const project = await world.create('/v1/projects', { name: 'rack', user: 'john' })
    const created = await world.create('/v1/tokens', { name: 'events', projectId: project.id, nats: true })
    expect(created).toMatchObject({ nats: true, natsCredentials: { consumer: 'UREADER' } } as object)
    await world.call('DELETE', `/v1/projects/${project.id}`)
    expect(revoked).toEqual(['UREADER'])
    expectProblem(
      await world.call('GET', '/v1/me', undefined, { token: String(created.token) }),
      401,
      'unauthenticated',
    )
  })

  test('the first of an admin stays deleted when the controller starts again', async () => {
    const { world } = await createGround()
    const me = await world.call('GET', '/v1/me')
    const { token } = await world.create('/v1/tokens', { name: 'second admin' })
    const second = { token: String(token) }
    expect((await world.call('DELETE', `/v1/tokens/${me.body.tokenId}`, undefined, second)).status).toBe(204)
    expect(await admitAdminBearer(world.context, world.admin)).toEqual({ ok: true, value: null })
    expectProblem(await world.call('GET', '/v1/me'), 401, 'unauthenticated')
  })

  test('the last of an admin can not be deleted', async () => {
    const { world } = await createGround()
    const me = await world.call('GET', '/v1/me')
    expectProblem(await world.call('DELETE', `/v1/tokens/${me.body.tokenId}`), 409, 'in-use')
  })
})
