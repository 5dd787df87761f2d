import { afterEach, expect, setDefaultTimeout, test } from 'bun:test'
import { followCommand } from './follow-command.ts'

setDefaultTimeout(30_000)

let stop: (() => void) | undefined
afterEach(() => {
  stop?.()
})

async function waitUntil(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('waited 20 s in vain')
    await Bun.sleep(5)
  }
}

function follow(script: string) {
  const lines: string[] = []
  let missed = 0
  stop = followCommand({
    argv: ['sh', '-c', script],
    onLine: (line) => lines.push(line),
    onMissed: () => {
      missed += 1
    },
    pauseMilliseconds: 5,
  })
  return { lines, missed: () => missed }
}

test('lines come whole, however they were written', async () => {
  const { lines } = follow("printf 'one\\ntw'; sleep 0.05; printf 'o\\nthree\\n'; exec sleep 60")
  await waitUntil(() => lines.length === 3)
  expect(lines).toEqual(['one', 'two', 'three'])
})

test('a program that ends is started again, and something may have been missed', async () => {
  const { lines, missed } = follow('echo hello')
  await waitUntil(() => lines.length >= 3)
  expect(missed()).toBeGreaterThanOrEqual(3)
})

test('a complaint means that something may have been missed', async () => {
  const { missed } = follow('echo No buffer space available >&2; exec sleep 60')
  await waitUntil(() => missed() === 2)
})
