import { beforeEach, describe, expect, test } from 'bun:test'
import { createHash, createHmac } from 'node:crypto'
import { createUser } from '@nats-io/nkeys'
import type { JoinRequest } from '../../agent/contract/enrolment.ts'
import { createTestContext, projectCaller, type TestContext } from '../access/test-context.ts'
import type { HostCreated } from '../contract/machine.ts'
import type { Outcome, Problem } from '../contract/problem.ts'
import { write } from '../control-plane/store.ts'
import { hostKind, joinTokenKind, type MachineValue, machineKind } from '../objects.ts'
import type { Services } from '../services.ts'
import type { HostBus } from './host-bus.ts'
import { createHostsService } from './hosts.ts'

let context: TestContext
let hosts: Services['hosts']
/** What the bus was told, in order. */
let revoked: string[]
let refusesRevocation: boolean

const bus: HostBus = {
  natsServers: ['tls://198.18.0.254:4222'],
  caCertificate: 'the authority',
  caFingerprint: 'ab'.repeat(32),
  issueAgentJwt: async ({ host, publicKey }) => `jwt of ${host} for ${publicKey}`,
  async revokeUser(publicKey) {
    if (refusesRevocation) throw new Error('the bus does not answer')
    revoked.push(publicKey)
  },
}
const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`

beforeEach(() => {
  context = createTestContext()
  hosts = createHostsService(context, bus)
  revoked = []
  refusesRevocation = false
})

function must<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(`refused: ${outcome.problem.detail}`)
  return outcome.value
}

function mustFail(outcome: Outcome<unknown>): Problem {
  if (outcome.ok) throw new Error('it was not refused')
  return outcome.problem
}

const add = async (name: string, joinTokenLifetimeSeconds = 900): Promise<HostCreated> =>
  must(await hosts.create({ name, joinTokenLifetimeSeconds }, context.request()))

const newKey = () => createUser().getPublicKey()

/** What an agent sends that has this token. */
function prove(token: string, publicKey = newKey(), underlayAddress = '198.18.0.1'): JoinRequest {
  const [, host, tokenId = '', secret = ''] = token.split('.')
  const key = createHash('sha256').update(secret).digest('hex')
  const proof = createHmac('sha256', key).update(`${host}\n${publicKey}\n${underlayAddress}`).digest('hex')
  return { tokenId, publicKey, proof, underlayAddress, agentVersion: '0.1.0' }
}

const join = (name: string, request: JoinRequest) => hosts.join(name, request, traceparent)

describe('a host that is added', () => {
  test('awaits its joining, with a token that names all that the agent must know', async () => {
    const host = await add('host-1')
    expect(host).toMatchObject({ name: 'host-1', status: 'awaiting-join', underlayAddress: null, maintenance: false })
    expect(host.joinToken).toMatch(/^sluice-join\.host-1\.jtk_[0-9a-z]{25}\.[0-9a-f]{48}\.(ab){32}$/)
    expect(host.joinTokenExpiresAt).toBe('2030-01-01T00:15:00.000Z')
  })

  test('keeps no secret in the store', async () => {
    const { joinToken } = await add('host-1')
    const [, , , secret = ''] = joinToken.split('.')
    expect(JSON.stringify(context.store.snapshot(joinTokenKind))).not.toContain(secret)
  })

  test('again gets a new token, and the old one is no good', async () => {
    const first = await add('host-1')
    const second = await add('host-1')
    expect(second.id).toBe(first.id)
    expect(mustFail(await join('host-1', prove(first.joinToken))).detail).toContain('unknown, or it has been used')
    expect(must(await join('host-1', prove(second.joinToken))).host).toBe('host-1')
  })

  test('by the repetition of a request whose answer was lost is the same host', async () => {
    const first = must(await hosts.create({ name: 'host-1', joinTokenLifetimeSeconds: 900 }, context.request('add')))
    const second = must(await hosts.create({ name: 'host-1', joinTokenLifetimeSeconds: 900 }, context.request('add')))
    expect(second.id).toBe(first.id)
    expect(context.store.snapshot(joinTokenKind)).toHaveLength(1)
    expect(must(await join('host-1', prove(second.joinToken))).hostId).toBe(first.id)
  })

  test('is for admins only', async () => {
    const request = context.request('add', { caller: projectCaller('prj_x') })
    const refusal = mustFail(await hosts.create({ name: 'host-1', joinTokenLifetimeSeconds: 900 }, request))
    expect(refusal.code).toBe('forbidden')
    expect(context.store.snapshot(hostKind)).toHaveLength(0)
  })
})

describe('joining', () => {
  test('gives the agent what it needs, and the host its key and address', async () => {
    const host = await add('host-1')
    const request = prove(host.joinToken)
    expect(must(await join('host-1', request))).toEqual({
      hostId: host.id,
      host: 'host-1',
      natsServers: ['tls://198.18.0.254:4222'],
      userJwt: `jwt of host-1 for ${request.publicKey}`,
      caCertificate: 'the authority',
    })
    expect((await context.store.get(hostKind, host.id))?.value).toMatchObject({
      publicKey: request.publicKey,
      underlayAddress: '198.18.0.1',
      joinedAt: '2030-01-01T00:00:00.000Z',
    })
    expect(context.store.snapshot(joinTokenKind)).toHaveLength(0)
  })

  test('again by the same key, since the answer was lost, is answered again', async () => {
    const host = await add('host-1')
    const request = prove(host.joinToken)
    const first = must(await join('host-1', request))
    expect(must(await join('host-1', request))).toEqual(first)
    expect(revoked).toEqual([])
  })

  test('by two racers with one token: one wins, the other is told that it is used', async () => {
    for (let round = 0; round < 20; round++) {
      const name = `host-${round}`
      const { joinToken, id } = await add(name)
      const address = `198.18.1.${round}`
      const racers = [prove(joinToken, newKey(), address), prove(joinToken, newKey(), address)]
      const outcomes = await Promise.all(racers.map((racer) => join(name, racer)))
      expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1)
      const winner = racers[outcomes.findIndex(({ ok }) => ok)]
      expect((await context.store.get(hostKind, id))?.value.publicKey).toBe(winner?.publicKey ?? '')
      const loser = outcomes.find(({ ok }) => !ok)
      expect(loser === undefined ? null : mustFail(loser).detail).toContain('used')
    }
  })

  const refusals: readonly [
    string,
    (token: string) => { name?: string; request: JoinRequest; late?: boolean },
    string,
  ][] = [
    ['for another host', (token) => ({ name: 'host-2', request: prove(token) }), "is for the host 'host-1'"],
    ['after its time', (token) => ({ request: prove(token), late: true }), 'was valid until 2030-01-01T00:15:00'],
    [
      'with another secret',
      (token) => ({ request: prove(token.replace(/[0-9a-f]{48}/, 'a'.repeat(48))) }),
      'does not match the proof',
    ],
    [
      'with a key put in the place of the one that was proved',
      (token) => ({ request: { ...prove(token), publicKey: newKey() } }),
      'does not match the proof',
    ],
    [
      'with an address put in the place of the one that was proved',
      (token) => ({ request: { ...prove(token), underlayAddress: '198.18.0.9' } }),
      'does not match the proof',
    ],
    [
      'with a token that never was',
      (token) => ({ request: { ...prove(token), tokenId: 'jtk_0000000000000000000000000' } }),
      'is unknown, or it has been used',
    ],
    ['with no token id at all', (token) => ({ request: { ...prove(token), tokenId: '../x' } }), 'is unknown'],
  ]
  test.each(refusals)('%s is refused and changes nothing', async (_, describeAttempt, words) => {
    const { joinToken, id } = await add('host-1')
    await add('host-2')
    const { name = 'host-1', request, late = false } = describeAttempt(joinToken)
    if (late) context.advance(900_000)
    const refusal = mustFail(await join(name, request))
    expect(refusal.detail).toContain(words)
    expect(refusal.remedy).toContain(`sluice host add ${name}`)
    expect((await context.store.get(hostKind, id))?.value.publicKey).toBeNull()
    if (!late) expect(must(await join('host-1', prove(joinToken))).hostId).toBe(id)
  })

  test('with an underlay address that another host has is refused', async () => {
    must(await join('host-1', prove((await add('host-1')).joinToken)))
    const refusal = mustFail(await join('host-2', prove((await add('host-2')).joinToken)))
    expect(refusal).toMatchObject({ code: 'conflict', errors: [{ field: 'underlayAddress' }] })
    expect(refusal.detail).toContain("198.18.0.1 is the host 'host-1'")
  })

  test('anew, after the host was installed again, throws the old key out before the new one counts', async () => {
    const host = await add('host-1')
    const old = prove(host.joinToken)
    must(await join('host-1', old))
    const { joinToken } = await add('host-1')
    const fresh = prove(joinToken)
    refusesRevocation = true
    expect(mustFail(await join('host-1', fresh)).code).toBe('unavailable')
    expect((await context.store.get(hostKind, host.id))?.value.publicKey).toBe(old.publicKey)
    refusesRevocation = false
    must(await join('host-1', fresh))
    expect(revoked).toEqual([old.publicKey])
    expect((await context.store.get(hostKind, host.id))?.value.publicKey).toBe(fresh.publicKey)
    expect(mustFail(await join('host-1', old)).detail).toContain('used')
  })
})

describe('removing', () => {
  const machineId = 'mch_0000000000000000000000000'

  async function runMachineOn(hostId: string): Promise<void> {
    const value: MachineValue = {
      name: 'web-1',
      projectId: 'prj_x',
      networkId: 'net_x',
      hostId,
      driver: 'netns',
      mac: '02:00:00:00:00:01',
      workloads: [],
      addresses: [],
    }
    await context.store.transact({ writes: [write({ kind: machineKind, id: machineId, expect: 'absent', value })] })
  }

  test('a host that runs something is refused, names it, and leaves its agent alone', async () => {
    const host = await add('host-1')
    must(await join('host-1', prove(host.joinToken)))
    await runMachineOn(host.id)
    const refusal = mustFail(await hosts.remove(host.id, context.request()))
    expect(refusal.code).toBe('in-use')
    expect(refusal.detail).toContain('web-1')
    expect(revoked).toEqual([])
  })

  test('an idle one throws its agent out, and takes its tokens with it', async () => {
    const host = await add('host-1')
    const request = prove(host.joinToken)
    must(await join('host-1', request))
    const { joinToken } = await add('host-1')
    expect(must(await hosts.remove(host.id, context.request()))).toBe(true)
    expect(revoked).toEqual([request.publicKey])
    expect(context.store.snapshot(joinTokenKind)).toHaveLength(0)
    expect(mustFail(await join('host-1', prove(joinToken))).detail).toContain('unknown')
    expect(mustFail(await join('host-1', request)).detail).toContain('unknown')
    expect(mustFail(await hosts.show(host.id, context.request())).code).toBe('not-found')
  })

  test('is not done when the agent could not be thrown out, and is carried on by its repetition', async () => {
    const host = await add('host-1')
    must(await join('host-1', prove(host.joinToken)))
    refusesRevocation = true
    expect(mustFail(await hosts.remove(host.id, context.request('remove'))).code).toBe('unavailable')
    expect(await context.store.get(hostKind, host.id)).not.toBeNull()
    refusesRevocation = false
    expect(must(await hosts.remove(host.id, context.request('remove')))).toBe(true)
  })

  test('with a stale If-Match throws nobody out', async () => {
    const host = await add('host-1')
    must(await join('host-1', prove(host.joinToken)))
    const request = context.request('remove', { expectedVersion: host.version })
    expect(mustFail(await hosts.remove(host.id, request)).code).toBe('precondition-failed')
    expect(revoked).toEqual([])
  })

  test('frees the name', async () => {
    const host = await add('host-1')
    must(await hosts.remove(host.id, context.request()))
    expect((await add('host-1')).id).not.toBe(host.id)
  })
})

describe('updating', () => {
  test('changes labels and maintenance, and keeps what joining wrote', async () => {
    const host = await add('host-1')
    const request = prove(host.joinToken)
    must(await join('host-1', request))
    const updated = must(await hosts.update(host.id, { labels: { rack: 'a' }, maintenance: true }, context.request()))
    expect(updated).toMatchObject({ labels: { rack: 'a' }, maintenance: true, underlayAddress: '198.18.0.1' })
    expect((await context.store.get(hostKind, host.id))?.value.publicKey).toBe(request.publicKey)
  })
})
