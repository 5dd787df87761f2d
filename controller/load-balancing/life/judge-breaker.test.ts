import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { closedBreaker, type FailingHost, judgeBreaker } from './judge-breaker.ts'
import { lifeDefaults } from './life-settings.ts'
import type { BreakerValue } from './life-values.ts'

const start = Date.parse('2030-01-01T00:00:00Z')
const at = (seconds: number) => start + seconds * 1000
/** Hosts by when they failed, in seconds. */
const failing = (...seconds: readonly number[]): FailingHost[] =>
  seconds.map((second, i) => ({ id: `hst_${i}`, name: `host-${i}`, since: at(second) }))

const judge = (hosts: readonly FailingHost[], hostCount: number, before: BreakerValue = closedBreaker(start)) =>
  judgeBreaker({ before, failing: hosts, hostCount, settings: lifeDefaults, now: at(1000) })

describe('the breaker', () => {
  test.each<[string, readonly FailingHost[], number, 'open' | 'closed']>([
    ['stays closed when nobody fails', [], 3, 'closed'],
    ['stays closed for one host, whatever its share', failing(0), 1, 'closed'],
    ['opens for two of three', failing(0, 30), 3, 'open'],
    ['opens for both of two', failing(0, 0), 2, 'open'],
    ['stays closed for exactly a quarter', failing(0, 10), 8, 'closed'],
    ['opens for more than a quarter', failing(0, 10, 20), 8, 'open'],
    ['stays closed when they fail further apart than the window', failing(0, 61), 3, 'closed'],
    ['opens for those within a window, whoever failed before', failing(0, 500, 550), 3, 'open'],
  ])('%s', (_, hosts, hostCount, expected) => {
    expect(judge(hosts, hostCount).status).toBe(expected)
  })

  const open = judge(failing(0, 10), 3)

  test('says who failed', () => {
    expect([open.reason, open.hostIds]).toEqual([
      'host-0 and host-1, 2 of 3 hosts, failed within 60 s.',
      ['hst_0', 'hst_1'],
    ])
  })

  test('stays open while they fail, and closes when so many have recovered', () => {
    expect(judge(failing(0, 10), 3, open)).toBe(open)
    const closed = judge(failing(0), 3, open)
    expect([closed.status, closed.reason]).toEqual(['closed', 'All have recovered but host-0.'])
  })

  test('after a reset counts only those that fail later', () => {
    const reset: BreakerValue = { ...closedBreaker(start), resetAt: new Date(at(20)).toISOString() }
    expect(judge(failing(0, 10), 3, reset).status).toBe('closed')
    expect(judge(failing(0, 10, 30), 3, reset).status).toBe('closed')
    expect(judge(failing(0, 25, 30), 3, reset).status).toBe('open')
  })

  test('never opens for fewer than two, and its judgement holds when it is judged again', () => {
    const times = fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 8 })
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 12 }), (seconds, more) => {
        const hosts = failing(...seconds)
        const judged = judge(hosts, hosts.length + more)
        if (judged.status === 'open') expect(judged.hostIds.length).toBeGreaterThanOrEqual(2)
        // Those who fail all the same may be more than those who opened it.
        const again = judge(hosts, hosts.length + more, judged)
        expect(judge(hosts, hosts.length + more, again)).toBe(again)
      }),
    )
  })
})
