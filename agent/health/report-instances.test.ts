import { describe, expect, test } from 'bun:test'
import { httpInstance } from '../../templates/golden/instances.ts'
import { backendName, serverName } from '../../templates/haproxy-config.ts'
import type { InstanceInstructions, ListenerInstructions } from '../contract/host-instructions.ts'
import type { MemberStatus } from '../contract/host-report.ts'
import type { ObservedServer } from '../haproxy/observed-haproxy.ts'
import type { ObservedInstance } from './plan-instance.ts'
import { describeInstance } from './report-instances.ts'

type Member = ListenerInstructions['members'][number]

const member: Member = { id: 'mem_00000000000000000000000a1', address: '198.18.16.11', port: 8080, weight: 1 }
const instance = { ...httpInstance, listeners: [80, 81].map((port) => ({ port, members: [member] })) }

const server = (listener: number, of: Member, change: Partial<ObservedServer> = {}): ObservedServer => ({
  backend: backendName(listener),
  name: serverName(httpInstance, of),
  address: of.address,
  port: of.port,
  weight: 1,
  health: 'up',
  isDraining: false,
  isInMaintenance: false,
  isUnresolved: false,
  number: 1,
  connections: 0,
  connectionsInUse: 0,
  ...change,
})

const observe = (servers: readonly ObservedServer[], change: Partial<ObservedInstance['haproxy']> = {}) => ({
  haproxy: {
    status: 'answering' as const,
    config: '',
    answer: { description: '', workerPid: 1, servers },
    drainingSeconds: new Map(),
    fault: '0\n',
    ...change,
  },
  keepalived: { status: 'running' as const, ageSeconds: 1, loaded: '', heldVips: ['198.18.1.101'] },
})

const statusOf = (...servers: ObservedServer[]) => describeInstance(instance, observe(servers)).members

describe('a member', () => {
  const key = `${member.id}:8080`
  test.each<[string, ObservedServer[], string]>([
    ['is healthy when all its checks say so', [server(80, member), server(81, member)], 'healthy'],
    ['is unhealthy when one does not', [server(80, member), server(81, member, { health: 'down' })], 'unhealthy'],
    ['is unknown before its checks', [server(80, member, { health: 'unknown' }), server(81, member)], 'unknown'],
    ['is unknown while haproxy does not have it yet', [server(80, member)], 'unknown'],
    [
      'that is new drains until its first check, and is unknown',
      [server(80, member, { isDraining: true, health: 'unknown' }), server(81, member)],
      'unknown',
    ],
    [
      'that has just been checked is healthy',
      [server(80, member, { isDraining: true }), server(81, member)],
      'healthy',
    ],
  ])('%s', (_, servers, expected) => {
    expect(statusOf(...servers)).toEqual({ [key]: expected } as ReturnType<typeof statusOf>)
  })

  test('at its old address drains unseen while the new one serves', () => {
    const old = server(80, { ...member, address: '198.18.16.99' }, { isDraining: true })
    expect(statusOf(server(80, member), server(81, member), old)).toEqual({ [key]: 'healthy' })
  })

  test('that is no longer wanted is told by its id until it is gone', () => {
    const former = { ...member, id: 'mem_00000000000000000000000b2' }
    const members = statusOf(server(80, member), server(81, member), server(80, former, { isDraining: true }))
    expect(members['mem_00000000000000000000000b2:8080']).toBe('draining')
  })
})

describe('an instance', () => {
  test('serves while haproxy answers and keepalived runs without a fault', () => {
    expect(describeInstance(instance, observe([]))).toMatchObject({
      haproxy: 'running',
      keepalived: 'running',
      serving: true,
      heldVips: ['198.18.1.101'],
    })
  })

  test.each<[string, ObservedInstance]>([
    ['haproxy starts', observe([], { status: 'starting' })],
    ['keepalived has been told of a fault', observe([], { fault: '1\n' })],
    ['keepalived hangs', { ...observe([]), keepalived: { ...observe([]).keepalived, status: 'hanging' } }],
  ])('does not while %s', (_, observed) => {
    expect(describeInstance(instance, observed).serving).toBe(false)
  })
})

describe('a member that is followed by its name', () => {
  const named: InstanceInstructions = {
    ...httpInstance,
    listeners: [
      { port: 80, members: [], namedMembers: [{ id: member.id, host: 'web.shop.internal', port: 8080, weight: 1 }] },
    ],
  }
  const slot = (index: number, change: Partial<ObservedServer> = {}) => ({
    ...server(80, member, change),
    name: `${member.id}.n${index}`,
  })
  const lost = { isInMaintenance: true, isUnresolved: true, health: 'down' } as const
  test.each<[string, ObservedServer[], MemberStatus]>([
    ['is unresolved while none of its places has an address', [slot(1, lost), slot(2, lost)], 'unresolved'],
    ['is healthy where those that have one are', [slot(1), slot(2, lost)], 'healthy'],
    ['is unhealthy where one of its addresses is', [slot(1), slot(2, { health: 'down' })], 'unhealthy'],
    ['is unknown while haproxy does not have it', [], 'unknown'],
  ])('%s', (_, servers, expected) => {
    expect(describeInstance(named, observe(servers)).members).toEqual({ [`${member.id}:8080`]: expected })
  })
})

test('an instance has drained once its VIPs are gone as well', () => {
  const drained = (heldVips: string[], hasDrained: boolean) => {
    const seen = observe([], { fault: '1\n' })
    return describeInstance(instance, { ...seen, keepalived: { ...seen.keepalived, heldVips }, hasDrained }).drained
  }
  expect(drained([], true)).toBe(true)
  expect(drained(['198.18.1.101'], true)).toBeUndefined()
  expect(drained([], false)).toBeUndefined()
})

test('and says whom that cut off', () => {
  const seen = observe([], { fault: '1\n' })
  const drained = { ...seen, keepalived: { ...seen.keepalived, heldVips: [] }, hasDrained: true }
  expect(describeInstance(instance, { ...drained, connectionsCut: 2 }).connectionsCut).toBe(2)
  expect(describeInstance(instance, { ...drained, connectionsCut: 0 })).not.toHaveProperty('connectionsCut')
})
