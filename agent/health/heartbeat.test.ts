import { describe, expect, test } from 'bun:test'
import { type HeartbeatFacts, hasStoodStill, judgeHeartbeat } from './heartbeat.ts'

const facts = (silentMilliseconds: number, turns: number, change: Partial<HeartbeatFacts> = {}): HeartbeatFacts => ({
  before: { atMilliseconds: 1000, turns: 50 },
  now: { atMilliseconds: 1000 + silentMilliseconds, turns: 50 + turns },
  readState: () => 'S',
  advertIntervalSeconds: 0.05,
  isExpectedToSpeak: true,
  ...change,
})
const stopped = { readState: () => 'T' }

describe('a keepalived', () => {
  test.each<[string, HeartbeatFacts, ReturnType<typeof judgeHeartbeat>]>([
    ['that has had a turn beats', facts(5000, 1), 'beating'],
    ['that has had none for a moment rests', facts(100, 0), 'resting'],
    ['is not suspected within four advertisements', facts(150, 0, stopped), 'resting'],
    ['that was stopped hangs', facts(250, 0, stopped), 'hanging'],
    ['that only waits for a processor rests', facts(1000, 0, { readState: () => 'R' }), 'resting'],
    ['that has had no turn for longer than anything explains hangs', facts(1500, 0), 'hanging'],
    ['that has nothing to say may rest', facts(60_000, 0, { isExpectedToSpeak: false }), 'resting'],
    [
      'that has nothing to say and was stopped hangs',
      facts(300, 0, { ...stopped, isExpectedToSpeak: false }),
      'hanging',
    ],
    ['that speaks seldom is given the time', facts(3000, 0, { ...stopped, advertIntervalSeconds: 1 }), 'resting'],
  ])('%s', (_, given, expected) => {
    expect(judgeHeartbeat(given)).toBe(expected)
  })

  test('is asked for its state only in doubt', () => {
    const readState = () => {
      throw new Error('nobody should have asked')
    }
    expect(judgeHeartbeat(facts(100, 0, { readState }))).toBe('resting')
  })
})

describe('after a gap', () => {
  test.each<[string, number, number, boolean]>([
    ['a short one is no standstill', 500, 0, false],
    ['who had no turns stood still', 2000, 0, true],
    ['who had a few when time went on again stood still', 2000, 6, true],
    ['who had its turns did not: only the agent was held up', 2000, 40, false],
  ])('%s', (_, gapMilliseconds, turns, expected) => {
    expect(hasStoodStill(gapMilliseconds, turns, 0.05)).toBe(expected)
  })
})
