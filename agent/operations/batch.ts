/**
 * Gathers lines for iproute2 from many objects into few processes. What is asked for while a process of the same channel
 * runs goes together into the next one; every asker learns of its own lines' fate alone.
 */

import type { Channel } from './kernel-commands.ts'
import type { RunCommand } from './run-command.ts'

/** Runs the lines in order, among others'. Gives the first failure's words, or undefined. */
export type RunLines = (channel: Channel, lines: readonly string[]) => Promise<string | undefined>

interface Ask {
  readonly lines: readonly string[]
  readonly settle: (failure: string | undefined) => void
}

/** More lines than this in one process would let one slow batch hold up everybody. */
const batchLinesMaximum = 5000

export function createBatcher(run: RunCommand): RunLines {
  const queues = new Map<Channel, Ask[]>()

  const drain = async (channel: Channel, queue: Ask[]) => {
    // Everybody who asks in this turn of the event loop gets on.
    await Promise.resolve()
    while (queue.length > 0) {
      const asks = takeAsks(queue)
      const failures = await runBatch(run, channel, asks)
      asks.forEach((ask, index) => {
        ask.settle(failures[index])
      })
    }
    queues.delete(channel)
  }

  return (channel, lines) =>
    new Promise((settle) => {
      const queue = queues.get(channel)
      if (queue) {
        queue.push({ lines, settle })
        return
      }
      const fresh = [{ lines, settle }]
      queues.set(channel, fresh)
      void drain(channel, fresh)
    })
}

function takeAsks(queue: Ask[]): Ask[] {
  let lines = 0
  const end = queue.findIndex((ask) => {
    lines += ask.lines.length
    return lines > batchLinesMaximum
  })
  return queue.splice(0, end === -1 ? queue.length : Math.max(1, end))
}

async function runBatch(run: RunCommand, channel: Channel, asks: readonly Ask[]): Promise<(string | undefined)[]> {
  const lines = asks.flatMap((ask) => ask.lines)
  const result = await run([...channel.split(' '), '-force', '-batch', '-'], { input: `${lines.join('\n')}\n` })
  const failures = parseBatchFailures(result.stderr)
  if (result.exitCode === 0) return asks.map(() => undefined)
  // Without a line's number the whole batch is in doubt: the namespace may be gone, or ip itself.
  if (failures.size === 0) return asks.map(() => `${channel}: ${result.stderr.trim() || 'failed without a word'}`)
  let first = 1
  return asks.map((ask) => {
    const index = ask.lines.findIndex((_, offset) => failures.has(first + offset))
    const failure = index === -1 ? undefined : `${channel} ${ask.lines[index]}: ${failures.get(first + index)}`
    first += ask.lines.length
    return failure
  })
}

/** What iproute2 says of each failed line, by its number: the words come first, then `Command failed -:7`. */
export function parseBatchFailures(stderr: string): Map<number, string> {
  const failures = new Map<number, string>()
  let words: string[] = []
  for (const line of stderr.split('\n')) {
    const number = /^Command failed -:(\d+)$/.exec(line)?.[1]
    if (number === undefined) {
      if (line.trim() !== '') words.push(line.trim())
      continue
    }
    failures.set(Number(number), words.join(' ') || 'failed')
    words = []
  }
  return failures
}
