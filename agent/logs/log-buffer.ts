/**
 * Keeps lines until the bus has them, in order. It holds so many bytes; beyond, the oldest go, and what went is told in the
 * lines that come after. It speaks to nobody but by `publish`.
 */

import { encodeLogLines, type LogLine } from '../contract/log-lines.ts'

export interface LogBatch {
  readonly subject: string
  readonly lines: readonly LogLine[]
  /** Called once they need not be read again: they are kept by the bus, or were dropped. */
  readonly onSettled: () => void
}

/** True once it is kept. The same id again is not kept twice. */
export type PublishLogs = (subject: string, payload: string, id: string) => Promise<boolean>

export interface LogBuffer {
  add(batch: LogBatch): void
  /** Sends what is there, oldest first, until something is not taken. */
  drain(): Promise<void>
}

interface Waiting extends LogBatch {
  readonly payload: string
}

const inFlightMaximum = 32

export function createLogBuffer(options: {
  readonly publish: PublishLogs
  readonly charactersMaximum: number
  /** Milliseconds since 1970. */
  readonly clock: () => number
}): LogBuffer {
  const { publish, charactersMaximum, clock } = options
  let waiting: Waiting[] = []
  let characters = 0
  const dropped = new Map<string, number>()
  let draining: Promise<void> | undefined
  let inFlight: ReadonlySet<Waiting> = new Set()

  const push = ({ subject, lines, onSettled }: LogBatch) => {
    const payload = encodeLogLines(lines)
    waiting.push({ subject, lines, onSettled, payload })
    characters += payload.length
  }
  const describeDropped = (lines: number): LogLine => ({ at: clock(), dropped: { lines, reason: 'buffer' } })
  const dropOldest = () => {
    const oldest = waiting.find((batch) => !inFlight.has(batch))
    if (oldest === undefined) return false
    waiting = waiting.filter((batch) => batch !== oldest)
    dropped.set(oldest.subject, (dropped.get(oldest.subject) ?? 0) + countLines(oldest.lines))
    release(oldest)
    return true
  }
  const release = (batch: Waiting) => {
    characters -= batch.payload.length
    batch.onSettled()
  }

  const drain = async () => {
    for (;;) {
      const batches = waiting.slice(0, inFlightMaximum)
      if (batches.length === 0) return
      inFlight = new Set(batches)
      const kept = await Promise.all(
        batches.map(({ subject, payload }) =>
          publish(subject, payload, Bun.hash(`${subject} ${payload}`).toString(36)),
        ),
      )
      const sent = new Set(batches.filter((_, i) => kept[i] === true))
      inFlight = new Set()
      waiting = waiting.filter((batch) => !sent.has(batch))
      for (const batch of sent) release(batch)
      if (sent.size < batches.length) return
      if (waiting.length === 0) tellDropped()
    }
  }
  /** Of those that have said nothing since. */
  const tellDropped = () => {
    for (const [subject, lines] of dropped)
      push({ subject, lines: [describeDropped(lines)], onSettled: () => undefined })
    dropped.clear()
  }

  return {
    add(batch) {
      const before = dropped.get(batch.subject) ?? 0
      dropped.delete(batch.subject)
      push(before === 0 ? batch : { ...batch, lines: [describeDropped(before), ...batch.lines] })
      while (characters > charactersMaximum && waiting.length > 1 && dropOldest());
    },
    drain() {
      draining ??= drain().finally(() => {
        draining = undefined
      })
      return draining
    },
  }
}

/** What was dropped before counts as well. */
const countLines = (lines: readonly LogLine[]) =>
  lines.reduce((sum, line) => sum + ('dropped' in line ? line.dropped.lines : 1), 0)
