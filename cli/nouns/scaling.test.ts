import { expect, test } from 'bun:test'
import { autoScalingDefaults, type Scaling } from '../../controller/contract/scaling.ts'
import { explainScaling } from './scaling.ts'

const scaling: Scaling = {
  loadBalancerId: 'lb_1',
  name: 'shop',
  autoScaling: autoScalingDefaults,
  instanceCount: 2,
  desiredCount: 4,
  servingCount: 3,
  leavingCount: 0,
  bounds: { minimum: 2, maximum: 8 },
  reasons: [
    {
      reason: 'target',
      message: 'Each of 4 instances has 410 requests a second; the target is 500: 4 instances are enough.',
    },
  ],
  load: { heardCount: 3, requestsPerSecond: 1640, connections: 200, cpuPercent: 61.5, latencyMilliseconds: 4.2 },
  forecast: null,
  nextOutAt: null,
  nextInAt: '2030-01-01T00:05:00.000Z',
  decisions: [
    { decidedAt: '2030-01-01T00:00:00.000Z', from: 2, to: 4, reasons: [{ reason: 'target', message: 'More.' }] },
  ],
}

test('an explanation says how many, why, on what load, and what was decided before', () => {
  expect(explainScaling(scaling)).toBe(`shop is to have 4 instances, of 2 to 8: 3 serve

  Each of 4 instances has 410 requests a second; the target is 500: 4 instances are enough.
  Fewer can come from 2030-01-01T00:05:00.000Z on.

load, of 3 instances
  1640 requests a second, 200 connections, 61.5 % CPU in all; 4.2 ms

decided
  2030-01-01T00:00:00.000Z  2 → 4
    More.`)
})

const forecast: Scaling['forecast'] = {
  at: '2030-01-01T00:10:00.000Z',
  requestsPerSecond: 2400,
  low: 2210.5,
  high: 2600,
  skill: 0.314,
  measured: 90,
  isUsed: true,
}

test.each<readonly [string, Partial<Scaling>, string]>([
  [
    'that has been good counts',
    { forecast },
    `expected by 2030-01-01T00:10:00.000Z
  2400 requests a second, 2210.5 to 2600
  Of late such forecasts were 31 % less wrong than going on as before, over 90 of them: this one counts.`,
  ],
  [
    'that has been bad does not',
    { forecast: { ...forecast, skill: -0.1, isUsed: false } },
    'were no better than going on as before, over 90 of them: this one does not count.',
  ],
  [
    'does not count where nobody wants it to',
    { forecast: { ...forecast, isUsed: false }, autoScaling: { ...autoScalingDefaults, predictive: false } },
    'this one does not count (predictive is off).',
  ],
])('a forecast %s, and it is said why', (_, parts, text) => {
  expect(explainScaling({ ...scaling, ...parts })).toContain(text)
})

test('what is not known is said to be so, and one that goes is told of', () => {
  const nothing = {
    heardCount: 0,
    requestsPerSecond: null,
    connections: null,
    cpuPercent: null,
    latencyMilliseconds: null,
  }
  const text = explainScaling({
    ...scaling,
    load: nothing,
    decisions: [],
    servingCount: 1,
    leavingCount: 2,
    bounds: null,
  })
  expect(text).toContain('shop is to have 4 instances: 1 serves, 2 on the way out')
  expect(text).toContain('? requests a second')
  expect(text).not.toContain('decided')
})
