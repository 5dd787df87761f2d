import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { LogLine } from '../contract/log-lines.ts'
import { type AccessPosition, createAccessCollector } from './collect-access.ts'

// A machine that is busy with other things takes its time.
setDefaultTimeout(30_000)

interface Spoken {
  readonly worker?: number
  readonly port?: number
  readonly oneOf?: number
}

/** A worker that has counted as many requests before, one of so many of which is written down. */
const speak = (count: number, { worker = 100, port = 80, oneOf = 1 }: Spoken = {}) =>
  JSON.stringify({
    at: 1_000_000 + count,
    w: worker,
    n: count,
    r: 10 * count + port,
    o: oneOf,
    f: `listener_${port}`,
    t: [],
  })

function createBench(before?: AccessPosition, linesAdmitted = 1000) {
  let at = 0
  let left = linesAdmitted
  const collector = createAccessCollector({
    before,
    limit: { admit: () => left-- > 0 },
    now: () => at,
    clock: () => 5,
  })
  return {
    ...collector,
    pass: (milliseconds: number) => {
      at += milliseconds
    },
    /** What came, by when it was; and what is said to be missing. */
    flushed() {
      const { lines } = collector.flush()
      return lines.map((line: LogLine) => ('dropped' in line ? line.dropped : line.at - 1_000_000))
    },
    position: () => collector.flush().position,
  }
}

describe('lines of one worker', () => {
  test('come as they are', () => {
    const bench = createBench()
    bench.connect(100)
    for (const count of [0, 1, 2]) bench.take(100, speak(count))
    expect(bench.flushed()).toEqual([0, 1, 2])
    expect(bench.flushed()).toEqual([])
  })

  test('that are missing are told once it is sure', () => {
    const bench = createBench()
    bench.connect(100)
    for (const count of [0, 1, 5]) bench.take(100, speak(count))
    expect(bench.flushed()).toEqual([0, 1, 5])
    expect(bench.flushed()).toEqual([{ lines: 3, reason: 'unread' }])
    expect(bench.flushed()).toEqual([])
  })

  test('that are only late are not told as missing', () => {
    const bench = createBench()
    bench.connect(100)
    for (const count of [0, 2]) bench.take(100, speak(count))
    expect(bench.flushed()).toEqual([0, 2])
    bench.take(100, speak(1))
    expect(bench.flushed()).toEqual([1])
    expect(bench.flushed()).toEqual([])
  })

  test('of a sample miss only what belongs to it, listener by listener', () => {
    const bench = createBench()
    bench.connect(100)
    for (const count of [0, 10, 40]) bench.take(100, speak(count, { oneOf: 10 }))
    for (const count of [0, 10]) bench.take(100, speak(count, { oneOf: 10, port: 81 }))
    bench.flushed()
    expect(bench.flushed()).toEqual([{ lines: 2, reason: 'unread' }])
  })

  test('beyond the rate are counted', () => {
    const bench = createBench(undefined, 2)
    bench.connect(100)
    for (const count of [0, 1, 2, 3]) bench.take(100, speak(count))
    expect(bench.flushed()).toEqual([0, 1, { lines: 2, reason: 'rate' }])
    expect(bench.flushed()).toEqual([])
  })
})

describe('an agent that is started again', () => {
  const readUpTo = (count: number): AccessPosition => {
    const bench = createBench()
    bench.connect(100)
    for (let i = 0; i <= count; i++) bench.take(100, speak(i))
    const position = bench.position()
    if (position === undefined) throw new Error('BUG: nothing was read')
    return position
  }

  test('passes over what the one before it has read', () => {
    const bench = createBench(readUpTo(2))
    bench.connect(100)
    for (let i = 0; i <= 4; i++) bench.take(100, speak(i))
    expect(bench.flushed()).toEqual([3, 4])
    expect(bench.flushed()).toEqual([])
  })

  test('tells what the ring has lost since', () => {
    const bench = createBench(readUpTo(2))
    bench.connect(100)
    for (const count of [8, 9]) bench.take(100, speak(count))
    expect(bench.flushed()).toEqual([])
    bench.pass(3000)
    expect(bench.flushed()).toEqual([8, 9])
    expect(bench.flushed()).toEqual([{ lines: 5, reason: 'unread' }])
  })

  test('reads a worker that has come meanwhile from its first line', () => {
    const bench = createBench(readUpTo(2))
    bench.connect(200)
    bench.take(200, speak(1, { worker: 200 }))
    bench.flushed()
    expect(bench.flushed()).toEqual([{ lines: 1, reason: 'unread' }])
  })

  test('that has forgotten everything says nothing of what was before', () => {
    const bench = createBench()
    bench.connect(100)
    bench.take(100, speak(1000))
    expect(bench.flushed()).toEqual([1000])
    expect(bench.flushed()).toEqual([])
  })
})

test('a connection that breaks is taken up where it broke', () => {
  const bench = createBench()
  bench.connect(100)
  for (const count of [0, 1]) bench.take(100, speak(count))
  bench.end(100)
  bench.connect(100)
  for (const count of [0, 1, 2]) bench.take(100, speak(count))
  expect(bench.flushed()).toEqual([0, 1, 2])
  expect(bench.flushed()).toEqual([])
})

test('a worker that a reload has replaced is heard to its end', () => {
  const bench = createBench()
  bench.connect(100)
  bench.take(100, speak(0))
  bench.connect(200)
  bench.take(200, speak(0, { worker: 200 }))
  bench.take(100, speak(1))
  bench.end(100)
  expect(bench.flushed()).toEqual([0, 0, 1])
  expect(bench.position()?.worker).toBe(200)
})
