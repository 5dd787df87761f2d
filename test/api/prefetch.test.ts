import { describe, expect, test } from 'bun:test'
import { createGround, expectProblem } from './api-ground.ts'
import type { TestWorld } from './api-world.ts'

const path = '/v1/prediction/prefetch'

/** What is told of an answer: where it came from. */
const word = ({ headers }: { readonly headers: Headers }) =>
  /cache;desc=(\w+)/.exec(headers.get('server-timing') ?? '')?.[1] ?? 'untold'

const history = (world: TestWorld, id: string, headers: Record<string, string> = {}) =>
  world.call('GET', `/v1/networks/${id}/history`, undefined, { headers })

const versionsOf = (reply: { readonly body: object }) =>
  (reply.body as { readonly items: readonly { readonly version: number }[] }).items.map(({ version }) => version)

const rename = (world: TestWorld, id: string, name: string) => world.call('PATCH', `/v1/networks/${id}`, { name })

describe('a read that the store has to be asked for', () => {
  test('is kept by the first who asks, and shown anew after a change', async () => {
    const { world, networkId } = await createGround()
    const words: string[] = []
    for (const name of [null, null, 'a', null]) {
      if (name !== null) await rename(world, networkId, name)
      words.push(word(await history(world, networkId)))
    }
    expect(words).toEqual(['miss', 'hit', 'miss', 'hit'])
    expect(versionsOf(await history(world, networkId))).toEqual([1, 2])
  })

  test('is read for who names a newer version than is kept', async () => {
    const { world, networkId } = await createGround()
    await history(world, networkId)
    expect(word(await history(world, networkId, { 'if-none-match': '"9"' }))).toBe('miss')
  })

  test('is not sent again to who has it', async () => {
    const { world, networkId } = await createGround()
    const { headers } = await history(world, networkId)
    const again = await history(world, networkId, { 'if-none-match': headers.get('etag') ?? '' })
    expect([again.status, word(again)]).toEqual([304, 'hit'])
  })

  test('of one version is kept by itself', async () => {
    const { world, networkId } = await createGround()
    const show = () => world.call('GET', `/v1/networks/${networkId}?version=1`)
    expect([word(await show()), word(await show())]).toEqual(['miss', 'hit'])
    const refused = await world.call('GET', `/v1/networks/${networkId}?version=7`)
    expectProblem(refused, 404, 'not-found')
    expect(word(refused)).toBe('untold')
  })

  test('is not shown to another project, however often its own has asked', async () => {
    const { world, networkId } = await createGround()
    await history(world, networkId)
    const other = await world.create('/v1/projects', { name: 'other', user: 'eve' })
    const { token } = await world.create('/v1/tokens', { name: 'eve', projectId: other.id })
    const asked = await world.call('GET', `/v1/networks/${networkId}/history`, undefined, { token: String(token) })
    expectProblem(asked, 404, 'not-found')
  })

  test('is told apart from what is answered out of memory anyway', async () => {
    const { world, networkId } = await createGround()
    expect(word(await world.call('GET', `/v1/networks/${networkId}`))).toBe('untold')
  })
})

describe('what a user will read next', () => {
  /** Looks at one network after the other, and reads the history of each. */
  async function work(world: TestWorld, ids: readonly string[], turns: number): Promise<readonly string[]> {
    const words: string[] = []
    for (let turn = 0; turn < turns; turn++) {
      for (const id of ids) {
        await world.call('GET', `/v1/networks/${id}`)
        await world.prefetch.settle()
        words.push(word(await history(world, id)))
        await rename(world, id, `${id}-${turn}`)
      }
    }
    return words
  }

  test('is in memory before it is asked for, shown with its reasons, and explained', async () => {
    const { world, projectId, networkId } = await createGround()
    const second = await world.create('/v1/networks', { name: 'second', projectId })
    const words = await work(world, [networkId, String(second.id)], 6)
    expect(words.slice(-4)).toEqual(['prefetched', 'prefetched', 'prefetched', 'prefetched'])
    await world.call('GET', `/v1/networks/${networkId}`)
    await world.prefetch.settle()
    const shown = await world.call('GET', path)
    const { tokenId } = (await world.call('GET', '/v1/me')).body
    expect(shown.body).toMatchObject({
      isOn: true,
      entries: [
        {
          actionType: 'showNetworkHistory',
          parameters: { id: networkId },
          source: `network/${networkId}`,
          microshard: 'test',
          reason: 'prefetched',
          userAccountId: tokenId,
        },
      ],
    } as object)
    const explained = await world.call('GET', `${path}/explain?userAccountId=${tokenId}`)
    expect(explained.status).toBe(200)
    expect(JSON.stringify(explained.body)).toContain('showNetworkHistory')
  })

  test('is not read ahead, kept or logged while that is switched off', async () => {
    const { world, networkId } = await createGround()
    await work(world, [networkId], 4)
    const off = await world.call('PATCH', path, { isOn: false, logsActions: false })
    expect(off.body).toMatchObject({ isOn: false, logsActions: false } as object)
    const logged = world.prefetch.actions.length
    expect(await work(world, [networkId], 2)).toEqual(['untold', 'untold'])
    expect(world.prefetch.actions.length).toBe(logged)
    const on = await world.call('PATCH', path, { isOn: true })
    expect(on.body).toMatchObject({ isOn: true, logsActions: false } as object)
  })

  test('is told by its probability, also of actions that nobody knows', async () => {
    const { world, networkId } = await createGround()
    await work(world, [networkId], 6)
    const at = '2030-01-01T09:00:00Z'
    const recentActions = [
      { actionType: 'neverHeardOf', at },
      { actionType: 'showNetwork', at: '2029-01-01T09:00:00Z' },
    ]
    const resourceUsage = { loadShare: 1, milliseconds: 3 }
    const asked = { userAccountId: 'nobody', recentActions, resourceUsage }
    const reply = await world.call('POST', '/v1/prediction/next-action', asked)
    expect(reply.status).toBe(200)
    expect(JSON.stringify(reply.body)).toStartWith('[{"actionType":"showNetworkHistory"')
  })
})

describe('the log of actions', () => {
  test('has who did what to which object, and nothing of what was sent', async () => {
    const { world, projectId } = await createGround()
    const { id } = await world.create('/v1/networks', { name: 'secret-name', projectId })
    await world.call('GET', `/v1/networks/${id}?version=1`)
    const actions = world.prefetch.actions.slice(-2)
    expect(actions).toMatchObject([
      { actionType: 'createNetwork', isRead: false, parameters: {}, query: {}, status: 201 },
      { actionType: 'showNetwork', isRead: true, parameters: { id: String(id) }, query: { version: '1' }, status: 200 },
    ])
    expect(JSON.stringify(world.prefetch.actions)).not.toContain('secret-name')
  })

  test('has nothing of those who are not known', async () => {
    const { world } = await createGround()
    const before = world.prefetch.actions.length
    await world.call('GET', '/v1/networks', undefined, { token: 'slt_wrong' })
    await world.call('GET', '/healthz', undefined, { token: null })
    expect(world.prefetch.actions.length).toBe(before)
  })
})

describe('who may ask', () => {
  test('a project asks about its own tokens, and sees nothing of what is kept', async () => {
    const { world, projectId } = await createGround()
    const own = await world.create('/v1/tokens', { name: 'ci', projectId })
    const token = String(own.token)
    const ask = (userAccountId: unknown) =>
      world.call('POST', '/v1/prediction/next-action', { userAccountId }, { token })
    expect((await ask(own.id)).status).toBe(200)
    const { tokenId } = (await world.call('GET', '/v1/me')).body
    expectProblem(await ask(tokenId), 404, 'not-found')
    expectProblem(await ask('nobody'), 404, 'not-found')
    expectProblem(await world.call('GET', path, undefined, { token }), 403, 'forbidden')
    expectProblem(await world.call('PATCH', path, { isOn: false }, { token }), 403, 'forbidden')
  })

  const at = '2030-01-01T09:00:00Z'
  const bad: readonly (readonly [string, unknown])[] = [
    ['without a user', {}],
    ['with a time that is none', { userAccountId: 'a', recentActions: [{ actionType: 'x', at: 'yesterday' }] }],
    [
      'with more actions than are looked at',
      { userAccountId: 'a', recentActions: Array(65).fill({ actionType: 'x', at }) },
    ],
    ['with a load above all there is', { userAccountId: 'a', resourceUsage: { loadShare: 1.5 } }],
    ['with less than no time', { userAccountId: 'a', resourceUsage: { milliseconds: -1 } }],
    ['with a usage that is not known', { userAccountId: 'a', resourceUsage: { cores: 3 } }],
  ]
  for (const [sentence, body] of bad) {
    test(`a question ${sentence} is refused`, async () => {
      const { world } = await createGround()
      expectProblem(await world.call('POST', '/v1/prediction/next-action', body), 422, 'invalid')
    })
  }

  test('an explanation of nobody is refused', async () => {
    const { world } = await createGround()
    expectProblem(await world.call('GET', `${path}/explain?userAccountId=nobody`), 404, 'not-found')
  })
})
