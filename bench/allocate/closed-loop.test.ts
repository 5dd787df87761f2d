import { expect, test } from 'bun:test'
import { driveClosedLoop } from './closed-loop.ts'

/** A clock that stands until it is told of time. */
function createClock() {
  let time = 0
  const pass = (milliseconds: number) => {
    time += milliseconds
  }
  return { now: () => time, pass }
}

test('what is answered while it warms up, or after the end, does not count', async () => {
  const clock = createClock()
  const report = await driveClosedLoop({
    inFlight: 1,
    warmUpMilliseconds: 100,
    milliseconds: 1000,
    now: clock.now,
    work: async () => {
      clock.pass(30)
      return 2
    },
  })
  // Answered at 30, 60, 90 | 120 … 1080 | 1110.
  expect(report).toEqual({ operationsPerSecond: 66, failed: 0, p50Milliseconds: 30, p99Milliseconds: 30 })
})

test('so many are under way at a time', async () => {
  const clock = createClock()
  let underWay = 0
  let most = 0
  await driveClosedLoop({
    inFlight: 8,
    warmUpMilliseconds: 0,
    milliseconds: 100,
    now: clock.now,
    work: async () => {
      most = Math.max(most, ++underWay)
      await Promise.resolve()
      underWay--
      clock.pass(1)
      return 1
    },
  })
  expect(most).toBe(8)
})

test('what fails is counted apart', async () => {
  const clock = createClock()
  const report = await driveClosedLoop({
    inFlight: 1,
    warmUpMilliseconds: 0,
    milliseconds: 100,
    now: clock.now,
    work: async () => {
      clock.pass(20)
      return 0
    },
  })
  expect(report).toEqual({ operationsPerSecond: 0, failed: 4, p50Milliseconds: 0, p99Milliseconds: 0 })
})
