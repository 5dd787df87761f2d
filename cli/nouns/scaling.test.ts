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
