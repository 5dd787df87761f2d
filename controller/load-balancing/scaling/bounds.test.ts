import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { type AutoScaling, autoScalingSchema } from '../../contract/scaling.ts'
import { boundsAt } from './bounds.ts'
import { findScalingFaults } from './check-scaling.ts'

const scale = (parts: object): AutoScaling =>
  v.parse(autoScalingSchema, { targets: { cpuPercent: 50 }, minimum: 1, maximum: 4, ...parts })
const holding = (parts: object, at: string) => {
  const { minimum, maximum } = boundsAt(scale(parts), Date.parse(at))
  return [minimum, maximum]
}

const office = { days: ['monday', 'friday'], from: '08:00', until: '18:00', minimum: 3, maximum: 8 }
const night = { days: ['sunday'], from: '22:00', until: '06:00', maximum: 2 }

describe('bounds', () => {
  test.each([
    ['a Monday morning', '2024-01-01T08:00:00Z', [3, 8]],
    ['the minute before', '2024-01-01T07:59:59Z', [1, 4]],
    ['the end, which is no part of it', '2024-01-01T18:00:00Z', [1, 4]],
    ['a Tuesday', '2024-01-02T12:00:00Z', [1, 4]],
    ['a Friday', '2024-01-05T17:59:00Z', [3, 8]],
  ])('of office hours hold on %s as they say', (_, at, bounds) => {
    expect(holding({ schedules: [office] }, at)).toEqual(bounds)
  })

  test('hold past midnight, and past the end of the week', () => {
    expect(holding({ schedules: [night] }, '2024-01-07T23:00:00Z')).toEqual([1, 2])
    expect(holding({ schedules: [night] }, '2024-01-08T05:59:00Z')).toEqual([1, 2])
    expect(holding({ schedules: [night] }, '2024-01-08T06:00:00Z')).toEqual([1, 4])
    expect(holding({ schedules: [night] }, '2024-01-06T23:00:00Z')).toEqual([1, 4])
  })

  test('of several windows are the narrowest', () => {
    const also = { from: '10:00', until: '12:00', minimum: 5, maximum: 6 }
    expect(holding({ schedules: [office, also] }, '2024-01-01T11:00:00Z')).toEqual([5, 6])
  })
})

describe('what is wrong is named', () => {
  const faultsOf = (parts: object) => findScalingFaults(scale(parts)).map(({ field, message }) => `${field} ${message}`)

  test.each([
    ['nothing at all', {}, []],
    ['schedules alone', { targets: {}, schedules: [office] }, []],
    ['a minimum over the maximum', { minimum: 5 }, ['autoScaling.minimum is 5, which is more than the maximum of 4']],
    [
      'no metric',
      { targets: {} },
      [
        'autoScaling.targets name no metric: give one of requestsPerSecond, connections, cpuPercent, latencyMilliseconds, or steps, or schedules',
      ],
    ],
    [
      'steps that only add',
      { targets: {}, steps: [{ metric: 'connections', over: 5, add: 1 }] },
      ['autoScaling.steps only add: give one with under and remove as well, or a target'],
    ],
    [
      'steps that cross',
      {
        steps: [
          { metric: 'connections', over: 5, add: 1 },
          { metric: 'connections', under: 6, remove: 1 },
        ],
      },
      ['autoScaling.steps[1].under is 6, and steps[0] adds over 5: it must be less'],
    ],
    [
      'windows that contradict each other',
      { schedules: [office, { from: '12:00', until: '13:00', maximum: 2 }] },
      [
        'autoScaling.schedules[0] contradicts together with schedules[1]: on monday 12:00 UTC at least 3 and at most 2 would hold',
      ],
    ],
    [
      'a window that contradicts the rest',
      { schedules: [{ from: '12:00', until: '13:00', minimum: 5 }] },
      [
        'autoScaling.schedules[0] contradicts the balancer’s own bounds: on monday 12:00 UTC at least 5 and at most 4 would hold',
      ],
    ],
  ])('%s', (_, parts, faults) => {
    expect(faultsOf(parts)).toEqual(faults)
  })
})
