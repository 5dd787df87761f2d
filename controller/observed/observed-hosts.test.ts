import { beforeEach, describe, expect, test } from 'bun:test'
import type { MemberStatus } from '../../agent/contract/host-report.ts'
import { makeTestReport } from '../test-rack.ts'
import { mergeMembers } from './merge-members.ts'
import { createObservedHosts, type ReportInbox } from './observed-hosts.ts'

let now: number
let inbox: ReportInbox
let told: string[]
const report = makeTestReport('a', undefined, () => [])

beforeEach(() => {
  now = 1000
  told = []
  inbox = createObservedHosts({ now: () => now })
  inbox.subscribe((host) => told.push(host))
})

describe('a report', () => {
  test('is kept with the time at which it came', () => {
    expect(inbox.accept('a', JSON.stringify(report))).toBeNull()
    expect(inbox.get('a')).toMatchObject({ receivedAt: 1000, report: { host: 'a', agentVersion: 'test' } })
  })

  test('that says the same again renews the time, and wakes nobody', () => {
    inbox.accept('a', JSON.stringify(report))
    const lists = inbox.get('a')?.report.instances
    now = 2000
    inbox.accept('a', JSON.stringify({ ...report, sequence: 2, reportedAt: new Date(2000).toISOString() }))
    expect(inbox.get('a')).toMatchObject({ receivedAt: 2000, report: { sequence: 2 } })
    expect(inbox.get('a')?.report.instances).toBe(lists ?? [])
    expect(told).toEqual(['a'])
    inbox.accept('a', JSON.stringify({ ...report, generation: 3 }))
    expect(told).toEqual(['a', 'a'])
  })

  const malformed: readonly (readonly [string, string, string])[] = [
    ['that is no JSON', '{', 'it is not a JSON object'],
    ['that is no object', '7', 'it is not a JSON object'],
    ['without its fields', '{}', 'format'],
    [
      'with an unknown status',
      JSON.stringify({ ...report, machines: [{ id: 'x', generation: 1, status: 'fine' }] }),
      'machines.0',
    ],
    ['of another host', JSON.stringify({ ...report, host: 'b' }), 'it says that it is of b'],
  ]
  for (const [sentence, text, fault] of malformed) {
    test(`${sentence} is dropped, and what is known stays`, () => {
      inbox.accept('a', JSON.stringify(report))
      expect(inbox.accept('a', text)).toContain(fault)
      expect(inbox.get('a')?.report.agentVersion).toBe('test')
    })
  }
})

test('a member of which nobody can tell at the moment is as it was', () => {
  const checking = [{ serving: true, members: { 'm:80': 'unknown' as const } }]
  expect(mergeMembers(['m'], checking, { m: 'unhealthy' })).toEqual({ m: 'unhealthy' })
  expect(mergeMembers(['m'], [], { m: 'unhealthy' })).toEqual({ m: 'unknown' })
  const healthy = { serving: true, members: { 'm:80': 'healthy' as const } }
  expect(mergeMembers(['m'], [...checking, healthy], { m: 'healthy' })).toEqual({ m: 'healthy' })
  expect(mergeMembers(['m'], [{ serving: true, members: {} }, healthy], { m: 'unhealthy' })).toEqual({ m: 'unhealthy' })
})

test('while nothing can be heard no silence is counted, and a full period begins when it can again', () => {
  expect(inbox.listeningSince).toBe(1000)
  inbox.setListening(false)
  now = 90_000
  expect(inbox.listeningSince).toBe(90_000)
  inbox.setListening(true)
  now = 95_000
  expect(inbox.listeningSince).toBe(90_000)
})

describe('a member is', () => {
  const rows: readonly (readonly [
    string,
    readonly (readonly [boolean, Record<string, MemberStatus>])[],
    MemberStatus,
  ])[] = [
    [
      'healthy when all find it so',
      [
        [true, { 'm:80': 'healthy' }],
        [true, { 'm:80': 'healthy' }],
      ],
      'healthy',
    ],
    [
      'unhealthy when one finds it so',
      [
        [true, { 'm:80': 'healthy' }],
        [true, { 'm:80': 'unhealthy' }],
      ],
      'unhealthy',
    ],
    ['unhealthy when one of its ports is', [[true, { 'm:80': 'healthy', 'm:81': 'unhealthy' }]], 'unhealthy'],
    [
      'draining when it drains',
      [
        [true, { 'm:80': 'draining' }],
        [true, { 'm:80': 'healthy' }],
      ],
      'draining',
    ],
    [
      'unknown when one has not checked yet',
      [
        [true, { 'm:80': 'unknown' }],
        [true, { 'm:80': 'healthy' }],
      ],
      'unknown',
    ],
    [
      'unknown when one has not heard of it',
      [
        [true, {}],
        [true, { 'm:80': 'healthy' }],
      ],
      'unknown',
    ],
    [
      'unhealthy when one finds it so and another has not checked yet',
      [
        [true, { 'm:80': 'unknown' }],
        [true, { 'm:80': 'unhealthy' }],
      ],
      'unhealthy',
    ],
    [
      'judged by those that serve',
      [
        [false, { 'm:80': 'unhealthy' }],
        [true, { 'm:80': 'healthy' }],
      ],
      'healthy',
    ],
    ['unknown when nobody says anything', [[true, {}]], 'unknown'],
    ['unknown before the first check', [[true, { 'm:80': 'unknown' }]], 'unknown'],
  ]
  for (const [sentence, reports, expected] of rows) {
    test(sentence, () => {
      expect(
        mergeMembers(
          ['m'],
          reports.map(([serving, members]) => ({ serving, members })),
        ),
      ).toEqual({ m: expected })
    })
  }
})
