/**
 * Makes log lines of what an instance's haproxy workers write: each once, however often it is read, and with a word where
 * some are missing. Pure but for what it remembers.
 */

import type { LogLine } from '../contract/log-lines.ts'
import { type CountStart, type Counts, createMissingCounter, type MissingCounter } from './count-missing.ts'
import type { LineLimit } from './line-limit.ts'
import { type AccessLine, parseAccessLine } from './parse-access-line.ts'

/** How far the newest worker's lines have been read. */
export interface AccessPosition {
  readonly worker: number
  /** Of the last line's request. */
  readonly number: number
  readonly counts: Counts
}

export interface AccessCollector {
  /** The ring of this worker is about to be read, from the oldest line that it still holds. */
  connect(worker: number): void
  take(worker: number, line: string): void
  end(worker: number): void
  /** What is new since the last call. */
  flush(): { readonly lines: readonly LogLine[]; readonly position: AccessPosition | undefined }
}

export interface AccessCollectorOptions {
  /** Where an earlier agent had got to. */
  readonly before: AccessPosition | undefined
  readonly limit: LineLimit
  /** Milliseconds by a clock that never jumps. */
  readonly now: () => number
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/** A ring has been read through after this long: the line that was last is not in it any more. */
const seekMilliseconds = 2000
/** A ring holds fewer. */
const heldLinesMaximum = 4000

interface Worker {
  readonly missing: MissingCounter
  /** The last line's. */
  number: number | undefined
  seeking: { readonly since: number; held: AccessLine[] } | undefined
}

export function createAccessCollector({ before, limit, now, clock }: AccessCollectorOptions): AccessCollector {
  const workers = new Map<number, Worker>()
  let newest: number | undefined
  let isFirst = true
  let lines: LogLine[] = []
  let overRate = 0

  const remember = (worker: number): Worker => {
    const known = workers.get(worker)
    if (known !== undefined) return known
    const number = before?.worker === worker ? before.number : undefined
    const made: Worker = { missing: createMissingCounter(startOf(worker, before, isFirst)), number, seeking: undefined }
    isFirst = false
    workers.set(worker, made)
    return made
  }

  const accept = (memory: Worker, line: AccessLine) => {
    memory.number = line.number
    memory.missing.take(line)
    if (limit.admit()) lines.push({ at: line.at, request: line.request })
    else overRate += 1
  }

  /** What was read before is passed over; where its last line is gone, all that is there is new. */
  const seek = (memory: Worker, line: AccessLine) => {
    const { seeking } = memory
    if (seeking === undefined) return
    if (line.number === memory.number) memory.seeking = undefined
    else if (seeking.held.push(line) >= heldLinesMaximum) endSeeking(memory)
  }
  const endSeeking = (memory: Worker) => {
    const held = memory.seeking?.held ?? []
    memory.seeking = undefined
    for (const line of held) accept(memory, line)
  }

  return {
    connect(worker) {
      const memory = remember(worker)
      newest = worker
      endSeeking(memory)
      if (memory.number !== undefined) memory.seeking = { since: now(), held: [] }
    },
    take(worker, text) {
      const line = parseAccessLine(text)
      if (line === undefined) return
      const memory = remember(worker)
      if (memory.seeking === undefined) accept(memory, line)
      else seek(memory, line)
    },
    end(worker) {
      const memory = workers.get(worker)
      if (memory === undefined || worker === newest) return
      endSeeking(memory)
      workers.delete(worker)
    },
    flush() {
      let unread = 0
      for (const memory of workers.values()) {
        if (memory.seeking !== undefined && now() - memory.seeking.since >= seekMilliseconds) endSeeking(memory)
        unread += memory.missing.tell()
      }
      const dropped = ([overRate, unread] as const).map(
        (count, i) => ({ count, reason: i === 0 ? 'rate' : 'unread' }) as const,
      )
      const told = dropped.flatMap(({ count, reason }): LogLine[] =>
        count === 0 ? [] : [{ at: clock(), dropped: { lines: count, reason } }],
      )
      const flushed = [...lines, ...told]
      lines = []
      overRate = 0
      return { lines: flushed, position: positionOf(newest, workers) }
    },
  }
}

/** Only a worker that has come while somebody was there to see it is known to be read from its first line. */
function startOf(worker: number, before: AccessPosition | undefined, isFirst: boolean): CountStart {
  if (before?.worker === worker) return { kind: 'at', counts: before.counts }
  return isFirst && before === undefined ? { kind: 'unknown' } : { kind: 'new' }
}

function positionOf(newest: number | undefined, workers: ReadonlyMap<number, Worker>): AccessPosition | undefined {
  const memory = newest === undefined ? undefined : workers.get(newest)
  if (newest === undefined || memory?.number === undefined) return undefined
  return { worker: newest, number: memory.number, counts: memory.missing.counts() }
}
