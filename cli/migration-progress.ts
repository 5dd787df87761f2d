/** How a migration is told while it goes on: a bar with a line for each holder under way, or plain lines. */

import type { Migration } from '../controller/contract/migration.ts'
import { ProblemError } from './api.ts'

type Move = Migration['moves'][number]

export type WatchOptions = {
  readonly read: () => Promise<Migration>
  readonly write: (text: string) => void
  /** Drawn anew in place, or a line for each change. */
  readonly style: 'bar' | 'lines' | 'json'
  readonly columns: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly sleep: (milliseconds: number) => Promise<unknown>
}

const pollMilliseconds = 500
/** A controller that starts again is back long before that. */
const failuresMaximum = 120
const barWidth = 30
const rowsMaximum = 16

/** From here it goes no further by itself. */
export const isAtRest = ({ status }: Pick<Migration, 'status'>): boolean =>
  status === 'done' || status === 'blocked' || status === 'cancelled' || status === 'rolled-back'

/** Tells of a migration until it is at rest, and answers how it is then. */
export async function watchMigration(options: WatchOptions): Promise<Migration> {
  const { write, now, sleep } = options
  let before: Migration | null = null
  let drawn = 0
  for (;;) {
    const migration = await readPatiently(options, before !== null)
    if (options.style === 'bar') {
      const frame = describeFrame(migration, now(), options.columns)
      // Up to where the last frame begins, and all below is cleared.
      write(`${drawn === 0 ? '' : `\u001b[${drawn}A\u001b[J`}${frame.join('\n')}\n`)
      drawn = frame.length
    } else {
      for (const line of options.style === 'json'
        ? describeJson(before, migration)
        : describeChanges(before, migration))
        write(`${line}\n`)
    }
    if (isAtRest(migration)) return migration
    before = migration
    await sleep(pollMilliseconds)
  }
}

/** A controller that does not answer for a while is waited for, once the migration has been seen. */
async function readPatiently({ read, sleep }: WatchOptions, wasSeen: boolean): Promise<Migration> {
  for (let failures = 0; ; failures++) {
    try {
      return await read()
    } catch (error) {
      const isRefused = error instanceof ProblemError && error.problem.status < 500
      if (!wasSeen || isRefused || failures >= failuresMaximum) throw error
      await sleep(pollMilliseconds)
    }
  }
}

/** The lines of one picture: the bar, then whoever is under way. */
export function describeFrame(migration: Migration, now: number, columns: number): readonly string[] {
  const { name, status, movesDone, movesTotal, movesFailed } = migration
  const failed = movesFailed === 0 ? '' : `  ${movesFailed} failed`
  const seconds = secondsBetween(migration.startedAt, migration.finishedAt ?? now)
  const head = `${name}  ${describeBar(movesDone, movesTotal)}  ${movesDone}/${movesTotal}${failed}  ${status}  ${clock(seconds)}`
  const underWay = migration.moves.filter(isUnderWay)
  const rows = alignColumns(underWay.slice(0, rowsMaximum).map((move) => describeMove(move, now)))
  const more = underWay.length - rows.length
  return [head, ...rows.map((row) => `  ${row}`), ...(more > 0 ? [`  and ${more} more`] : [])].map((line) =>
    cut(line, columns),
  )
}

export function describeBar(done: number, total: number, width = barWidth): string {
  const filled = total === 0 ? width : Math.floor((width * done) / total)
  return `[${'█'.repeat(filled)}${'░'.repeat(width - filled)}]`
}

const isUnderWay = ({ step }: Move) => !['waiting', 'done', 'failed', 'undone', 'gone'].includes(step)

const describeMove = (move: Move, now: number): readonly string[] => [
  move.name,
  `${move.from} → ${move.to ?? '?'}`,
  move.step,
  move.startedAt === null ? '' : clock(secondsBetween(move.startedAt, now)),
  move.reason ?? '',
]

function alignColumns(rows: readonly (readonly string[])[]): readonly string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)))
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** What is new since it was read before: a line for each. */
export function describeChanges(before: Migration | null, after: Migration): readonly string[] {
  const steps = new Map(before?.moves.map(({ ownerId, step }) => [ownerId, step]))
  const moved = after.moves
    .filter(({ ownerId, step }) => step !== (steps.get(ownerId) ?? 'waiting'))
    .map(({ name, from, to, step, reason }) => {
      const why = reason === null ? '' : `: ${reason}`
      return `${name}  ${from} → ${to ?? '?'}  ${step}${why}`
    })
  const isSameStatus = before !== null && before.status === after.status
  return isSameStatus ? moved : [...moved, describeStanding(after)]
}

const describeJson = (before: Migration | null, after: Migration): readonly string[] =>
  before !== null && JSON.stringify(before) === JSON.stringify(after) ? [] : [JSON.stringify(after)]

/** `shard web  running  12 of 40 moved`, and why it is blocked. */
export function describeStanding({ name, status, movesDone, movesTotal, movesFailed, reason }: Migration): string {
  const failed = movesFailed === 0 ? '' : `, ${movesFailed} failed`
  const why = reason === null ? '' : `: ${reason}`
  return `shard ${name}  ${status}  ${movesDone} of ${movesTotal} moved${failed}${why}`
}

const secondsBetween = (from: string, to: string | number) =>
  Math.max(0, Math.round(((typeof to === 'number' ? to : Date.parse(to)) - Date.parse(from)) / 1000))

const clock = (seconds: number) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`

const cut = (line: string, columns: number) =>
  line.length <= columns ? line : `${line.slice(0, Math.max(0, columns - 1))}…`
