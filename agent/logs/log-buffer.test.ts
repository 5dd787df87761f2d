import { expect, setDefaultTimeout, test } from 'bun:test'
import { decodeLogLines } from '../contract/log-lines.ts'
import { createLogBuffer } from './log-buffer.ts'

// A machine that is busy with other things takes its time.
setDefaultTimeout(30_000)

function createBench(charactersMaximum = 100_000) {
  let isThere = true
  const kept: string[] = []
  const settled: string[] = []
  const buffer = createLogBuffer({
    publish: async (subject, payload) => {
      if (!isThere) return false
      for (const line of decodeLogLines(new TextEncoder().encode(payload)) ?? []) {
        kept.push(
          `${subject} ${'dropped' in line ? JSON.stringify(line.dropped) : 'message' in line ? line.message : ''}`,
        )
      }
      return true
    },
    charactersMaximum,
    clock: () => 0,
  })
  return {
    kept,
    settled,
    drain: buffer.drain,
    setThere: (value: boolean) => {
      isThere = value
    },
    say: (subject: string, ...messages: string[]) => {
      const lines = messages.map((message) => ({ at: 0, message }))
      buffer.add({ subject, lines, onSettled: () => settled.push(messages.join()) })
    },
  }
}

test('lines wait for the bus, and come in their order', async () => {
  const bench = createBench()
  bench.setThere(false)
  bench.say('a', 'one', 'two')
  await bench.drain()
  bench.say('b', 'three')
  await bench.drain()
  expect([bench.kept, bench.settled]).toEqual([[], []])
  bench.setThere(true)
  await bench.drain()
  expect(bench.kept).toEqual(['a one', 'a two', 'b three'])
  expect(bench.settled).toEqual(['one,two', 'three'])
})

test('beyond its bound the oldest go, and what went is told before what comes next', async () => {
  const bench = createBench(200)
  bench.setThere(false)
  for (const message of ['one', 'two', 'three', 'four', 'five']) bench.say('a', message)
  bench.setThere(true)
  await bench.drain()
  const lost = bench.kept.filter((line) => line.includes('buffer'))
  const came = bench.kept.filter((line) => !line.includes('buffer'))
  const sum = lost.reduce((total, line) => total + Number(/"lines":(\d+)/.exec(line)?.[1]), 0)
  expect(came.at(-1)).toBe('a five')
  expect(sum + came.length).toBe(5)
  expect(sum).toBeGreaterThan(0)
  expect(bench.settled.toSorted()).toEqual(['five', 'four', 'one', 'three', 'two'])
})

test('what went of one that falls silent is told as well', async () => {
  const bench = createBench(120)
  bench.setThere(false)
  bench.say('quiet', 'x'.repeat(60))
  for (let i = 0; i < 5; i++) bench.say('loud', `${i}`)
  bench.setThere(true)
  await bench.drain()
  await bench.drain()
  expect(bench.kept).toContain('quiet {"lines":1,"reason":"buffer"}')
})
