/** What callers are told when others change the same: 200, 202 with an action, 409 with an escalation, 412 with If-Match. */

import { beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { write } from '../../controller/control-plane/store.ts'
import { abandonedMilliseconds, settledKeptMilliseconds } from '../../controller/control-plane/writes/perform-action.ts'
import { type NetworkValue, networkKind } from '../../controller/objects.ts'
import { createTestWorld, type Json, type TestWorld } from './api-world.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let world: TestWorld
let projectId: string
let network: Json
/** Somebody who writes the network right before each write of it, for so many times. */
let rivalWrites = 0
let isRivalWriting = false
/** Whoever is kept waiting gives up waiting at once. */
let isImpatient = false
/** Who has lost a race waits for ever before the next. */
let areRoundsEndless = false
const patienceFromMilliseconds = 2000

beforeEach(async () => {
  rivalWrites = 0
  isImpatient = false
  areRoundsEndless = false
  world = await createTestWorld({
    fault({ writes: [first] }) {
      const isHit = first?.kind.name === networkKind.name && first.expect !== 'absent' && !isRivalWriting
      if (isHit && rivalWrites-- > 0) writeAsRival(first.id)
      return 'none'
    },
    sleep: (milliseconds) => {
      const isEndless = milliseconds >= patienceFromMilliseconds ? !isImpatient : areRoundsEndless
      return isEndless ? new Promise(() => {}) : Promise.resolve()
    },
  })
  projectId = String((await world.create('/v1/projects', { name: 'shop', user: 'ann' })).id)
  network = await world.create('/v1/networks', { name: 'web', projectId })
})

/** The store in memory writes at once. */
function writeAsRival(id: string): void {
  const [before] = world.context.store.snapshot(networkKind).filter((one) => one.id === id)
  if (before === undefined) return
  isRivalWriting = true
  const value: NetworkValue = { ...before.value, addressPolicy: { quarantineSeconds: before.version } }
  void world.context.store.transact({ writes: [write({ kind: networkKind, id, expect: before.version, value })] })
  isRivalWriting = false
}

const path = () => `/v1/networks/${network.id}`
const rename = (name: string, query = '', headers = {}) =>
  world.call('PATCH', `${path()}${query}`, { name }, { headers })
const show = async () => (await world.call('GET', path())).body
const eventsOf = (type: string) => world.events.filter((event) => event.type === type)
const escalationOf = async (problem: Json) =>
  (await world.call('GET', `/v1/escalations/${problem.escalationId}`)).body as Json

describe('without If-Match', () => {
  test('a change is made on what is there, and answered with its version', async () => {
    await world.call('PATCH', path(), { addressPolicy: { quarantineSeconds: 7 } })
    const { status, body } = await rename('front')
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { version: 3, addressPolicy: { quarantineSeconds: 7 } },
    })
  })

  test('one that others are faster than is decided anew, and nothing of theirs is lost', async () => {
    rivalWrites = 3
    const { status, body } = await rename('front')
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { name: 'front', version: 5, addressPolicy: { quarantineSeconds: 3 } },
    })
  })

  test('many at once are all made, in fewer writes', async () => {
    const asked = Array.from({ length: 40 }, (_, i) =>
      world.call('PATCH', path(), i % 2 === 0 ? { name: `web-${i}` } : { addressPolicy: { quarantineSeconds: i } }),
    )
    const statuses = (await Promise.all(asked)).map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([200]))
    expect(Number((await show()).version)).toBeLessThan(40)
  })

  test('one that others are always faster than is escalated, with both versions and the fields', async () => {
    rivalWrites = Number.POSITIVE_INFINITY
    const { status, body: problem } = await rename('front')
    expect({ status, problem }).toMatchObject({ status: 409, problem: { code: 'escalated' } })
    rivalWrites = 0
    const escalation = await escalationOf(problem)
    expect(escalation).toMatchObject({
      status: 'open',
      projectId,
      action: { actionType: 'updateNetwork', dataType: 'network', payload: { body: { name: 'front' } } },
      clash: { kind: 'network', id: network.id, reason: 'contended', baseVersion: 1 },
      raisedBy: expect.any(String),
    })
    expect(escalation.clash?.differences).toContainEqual({
      ...{ field: 'name', base: 'web', wanted: 'front', latest: 'web' },
    } as never)
    expect(escalation.clash?.latestVersion as unknown).toBe((await show()).version)
    expect(eventsOf('escalation.raised')).toMatchObject([{ subject: escalation.id, projectid: projectId }])
    expect((await show()).name as unknown).toBe('web')
  })
})

describe('a change that names the version it was decided on', () => {
  test('keeps what others have changed since', async () => {
    await world.call('PATCH', path(), { addressPolicy: { quarantineSeconds: 7 } })
    const { status, body } = await rename('front', '?currentVersion=1')
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { name: 'front', addressPolicy: { quarantineSeconds: 7 } },
    })
  })

  test('is escalated when somebody else gave the same field another value', async () => {
    await rename('shop')
    const { status, body: problem } = await rename('front', '?currentVersion=1')
    expect([status, problem.code as unknown]).toEqual([409, 'escalated'])
    expect(await escalationOf(problem)).toMatchObject({
      action: { currentVersion: 1 },
      clash: {
        ...{ reason: 'sameField', baseVersion: 1, latestVersion: 2 },
        differences: [{ field: 'name', base: 'web', wanted: 'front', latest: 'shop' }],
      },
    })
  })

  test('is made when that other value is the same', async () => {
    await rename('front')
    expect((await rename('front', '?currentVersion=1')).status).toBe(200)
  })

  test('is escalated when that version is not kept any more', async () => {
    for (let i = 0; i < 20; i++) await rename(`web-${i}`)
    const { body: problem } = await rename('front', '?currentVersion=1')
    expect(await escalationOf(problem)).toMatchObject({ clash: { reason: 'forgotten', baseVersion: null } })
  })

  test('does not delete what others have changed since', async () => {
    await rename('shop')
    const { status } = await world.call('DELETE', `${path()}?currentVersion=1`)
    expect([status, (await show()).name as unknown]).toEqual([409, 'shop'])
  })

  for (const version of ['0', '-1', 'x', '1e3', '9'.repeat(20)]) {
    test(`is refused when it names version ${version}`, async () => {
      expect((await rename('front', `?currentVersion=${version}`)).status).toBe(422)
    })
  }
})

test('with If-Match nothing is reconciled: 412 with both versions, and no escalation', async () => {
  await rename('shop')
  const { status, body } = await rename('front', '', { 'if-match': '"1"' })
  expect([status, String(body.detail)]).toEqual([412, expect.stringMatching(/version 1 .* version is 2/)])
  expect((await world.call('GET', '/v1/escalations')).body.items as unknown).toEqual([])
})

describe('an escalation', () => {
  async function escalate(): Promise<Json> {
    await rename('shop')
    return (await rename('front', '?currentVersion=1')).body
  }

  test('is resolved by making the change on what is there now', async () => {
    const { escalationId } = await escalate()
    const { status, body } = await world.call('POST', `/v1/escalations/${escalationId}/retry`)
    expect({ status, body }).toMatchObject({
      ...{ status: 200, body: { status: 'resolved', resolution: { kind: 'retried', version: 3 } } },
    })
    expect(await show()).toMatchObject({ name: 'front', version: 3 } as never)
    expect(eventsOf('escalation.resolved')).toMatchObject([
      { subject: String(escalationId), data: { resolution: 'retried' } },
    ])
  })

  test('is resolved by another value', async () => {
    const { escalationId } = await escalate()
    const edited = await world.call('POST', `/v1/escalations/${escalationId}/edit`, { body: { name: 'both' } })
    expect(edited.body).toMatchObject({ resolution: { kind: 'edited' } } as never)
    expect((await show()).name as unknown).toBe('both')
  })

  test('stays open when the other value is refused', async () => {
    const { escalationId } = await escalate()
    const edited = await world.call('POST', `/v1/escalations/${escalationId}/edit`, { body: { name: '' } })
    expect(edited.status).toBe(422)
    expect((await world.call('GET', `/v1/escalations/${escalationId}`)).body.status as unknown).toBe('open')
  })

  test('is resolved by giving the change up, and then by nothing else', async () => {
    const { escalationId } = await escalate()
    const discarded = await world.call('POST', `/v1/escalations/${escalationId}/discard`)
    expect(discarded.body).toMatchObject({
      status: 'resolved',
      resolution: { kind: 'discarded', version: null },
    } as never)
    for (const verb of ['retry', 'discard']) {
      expect((await world.call('POST', `/v1/escalations/${escalationId}/${verb}`)).status).toBe(409)
    }
    expect((await show()).name as unknown).toBe('shop')
  })

  test('is listed, by its status, for those who may see it', async () => {
    const { escalationId } = await escalate()
    const token = String((await world.create('/v1/tokens', { name: 'own', projectId })).token)
    const otherProject = await world.create('/v1/projects', { name: 'other', user: 'bob' })
    const other = { name: 'other', projectId: otherProject.id }
    const stranger = String((await world.create('/v1/tokens', other)).token)
    const idsFor = async (bearer: string, query = '') => {
      const { body } = await world.call('GET', `/v1/escalations${query}`, undefined, { token: bearer })
      return (body.items as unknown as readonly Json[]).map(({ id }) => id as unknown)
    }
    expect(await idsFor(token)).toEqual([escalationId])
    expect(await idsFor(token, '?status=resolved')).toEqual([])
    expect(await idsFor(stranger)).toEqual([])
    for (const verb of ['', '/retry', '/discard']) {
      const method = verb === '' ? 'GET' : 'POST'
      const asked = await world.call(method, `/v1/escalations/${escalationId}${verb}`, undefined, { token: stranger })
      expect(asked.status).toBe(404)
    }
  })
})

describe('a change that takes long', () => {
  const actionOf = async (accepted: { readonly headers: Headers }) => {
    const location = accepted.headers.get('location') ?? ''
    expect(location).toMatch(/^\/v1\/actions\/act_/)
    return (await world.call('GET', location)).body
  }
  const until = async (isSo: () => Promise<boolean>) => {
    for (let turn = 0; turn < 1000; turn++) {
      if (await isSo()) return
      await new Promise((resolve) => setImmediate(resolve))
    }
    throw new Error('it has not come to it')
  }

  test('is answered 202, and is made all the same', async () => {
    isImpatient = true
    const accepted = await rename('front')
    isImpatient = false
    expect(accepted).toMatchObject({
      status: 202,
      body: { status: 'reconciling', action: { actionType: 'updateNetwork' } },
    })
    await until(async () => (await actionOf(accepted)).status === ('done' as unknown))
    expect(await show()).toMatchObject({ name: 'front', version: 2 } as never)
  })

  test('is answered 200 when the same request asks again', async () => {
    const key = { 'idempotency-key': 'one-and-the-same' }
    isImpatient = true
    expect((await rename('front', '', key)).status).toBe(202)
    isImpatient = false
    expect(await rename('front', '', key)).toMatchObject({ status: 200, body: { name: 'front', version: 2 } })
  })

  test('is waited for by who says so', async () => {
    isImpatient = true
    expect((await rename('front', '?wait=true')).status).toBe(200)
  })

  test('is escalated when others go on being faster', async () => {
    isImpatient = true
    rivalWrites = Number.POSITIVE_INFINITY
    const accepted = await rename('front')
    expect(accepted.status).toBe(202)
    await until(async () => (await actionOf(accepted)).status === ('escalated' as unknown))
    rivalWrites = 0
    const { escalationId } = await actionOf(accepted)
    expect(await escalationOf({ escalationId } as never)).toMatchObject({
      status: 'open',
      clash: { reason: 'contended' },
    })
  })

  test('tells what it was refused with', async () => {
    await world.create('/v1/networks', { name: 'taken', projectId })
    isImpatient = true
    const accepted = await rename('taken')
    isImpatient = false
    await until(async () => (await actionOf(accepted)).status === ('refused' as unknown))
    expect(await actionOf(accepted)).toMatchObject({ problem: { code: 'name-taken' } } as never)
  })

  test('is carried on by another controller when that which took it in has died, once', async () => {
    isImpatient = true
    rivalWrites = 40
    areRoundsEndless = true
    const accepted = await rename('front')
    await until(async () => Number((await show()).version) > 30)
    areRoundsEndless = false
    rivalWrites = 0
    await world.sweep()
    expect((await actionOf(accepted)).status as unknown).toBe('reconciling')
    world.context.advance(abandonedMilliseconds + 1)
    await world.sweep()
    expect([(await actionOf(accepted)).status as unknown, (await show()).name as unknown]).toEqual(['done', 'front'])
    const { version } = await show()
    world.context.advance(abandonedMilliseconds + 1)
    await world.sweep()
    expect((await show()).version).toEqual(version as never)
  })

  test('can be read for an hour after it is settled', async () => {
    isImpatient = true
    const accepted = await rename('front')
    isImpatient = false
    await until(async () => (await actionOf(accepted)).status === ('done' as unknown))
    world.context.advance(settledKeptMilliseconds + 1)
    await world.sweep()
    expect((await world.call('GET', accepted.headers.get('location') ?? '')).status).toBe(404)
  })
})
