/**
 * Answers a question from blocks and from the head: which tier, which blocks of it, and what is in no block yet; then the
 * windows of each series into the steps that were asked for, and all series into one. Reads, and writes nothing.
 */

import type { Aggregation, MetricsSeries, TimeAggregation } from '../../contract/metrics.ts'
import { decodeBlock } from './block.ts'
import type { BlockStore } from './block-store.ts'
import type { Head } from './head.ts'
import { lastBefore } from './readings.ts'
import { pauseSecondsMaximum, rollUp } from './rollup.ts'
import type { Match, Selection } from './select-series.ts'
import { kindsOf, ownerOfBlock, type SeriesName, seriesKeyOf } from './series.ts'
import { asReadable, decodeOr, listReadable, type ReadableSeries, toWindows } from './sheets.ts'
import { aggregateSteps, createSteps, type StepRange, type Steps } from './steps.ts'
import { chooseTier, listBlocks, readingsTier, rollupTiers, startOfBlock, type Tier } from './tiers.ts'

export interface Question extends StepRange {
  readonly holder: string
  readonly selections: readonly Selection[]
  /** Left out: as each measure has it. */
  readonly aggregation?: Aggregation
  readonly timeAggregation: TimeAggregation
}

export interface AnswerSources {
  readonly blocks: Pick<BlockStore, 'readMany'>
  readonly head: Pick<Head, 'blocks'>
  /** What begins then or later is in the head, and what ends by then in blocks. */
  readonly headFrom: number
  readonly tier: Tier
}

const pieceMilliseconds = readingsTier.blockSeconds * 1000

/** The tier of a question; null: nothing is kept for so long. */
export const tierOf = ({ from, stepMilliseconds }: StepRange, now: number): Tier | null =>
  chooseTier(stepMilliseconds / 1000, from, now)

export async function answerMetrics(sources: AnswerSources, question: Question): Promise<readonly MetricsSeries[]> {
  const gathering = createGathering(question)
  for (const type of new Set(question.selections.flatMap(({ types }) => [...types]))) {
    const owner = ownerOfBlock(question.holder, type)
    for (const stretch of divide(sources, question)) await takeBlocks(sources, gathering, owner, stretch)
    await takeHead(sources, gathering, owner, question)
  }
  return gathering.finish()
}

interface Stretch {
  readonly tier: Tier
  readonly from: number
  readonly to: number
}

const endOf = ({ from, count, stepMilliseconds }: StepRange) => from + count * stepMilliseconds

/** A window longer than a piece may be in blocks in part: that part is taken from the tier below. */
function divide({ tier, headFrom }: AnswerSources, question: Question): Stretch[] {
  const { from } = question
  const to = Math.min(endOf(question), headFrom)
  if (from >= to) return []
  const milliseconds = tier.seconds * 1000
  const whole = Math.max(from, Math.floor(to / milliseconds) * milliseconds)
  const finer = rollupTiers[rollupTiers.indexOf(tier) - 1]
  if (whole === to || finer === undefined) return [{ tier, from, to }]
  const rest = { tier: finer, from: whole, to }
  return from < whole ? [{ tier, from, to: whole }, rest] : [rest]
}

async function takeBlocks(
  { blocks }: AnswerSources,
  gathering: Gathering,
  owner: string,
  { tier, from, to }: Stretch,
): Promise<void> {
  if (tier !== readingsTier) {
    const starts = listBlocks(tier, from, to)
    const found = await blocks.readMany(tier, owner, starts)
    for (const start of starts) {
      const bytes = found.get(start)
      if (bytes !== undefined) gathering.takeWindows(bytes, from, to)
    }
    return
  }
  // A rate at the beginning of a piece rests on the last reading before it.
  const starts = listBlocks(tier, from - pauseSecondsMaximum * 1000, to)
  const found = await blocks.readMany(tier, owner, starts)
  let previous: Readable | null = null
  for (const start of starts) {
    const bytes = found.get(start)
    const piece = readable(bytes)
    if (piece !== null && start + pieceMilliseconds > from) gathering.takeReadings(piece, previous, start)
    previous = piece
  }
}

async function takeHead(
  { blocks, head, headFrom }: AnswerSources,
  gathering: Gathering,
  owner: string,
  question: Question,
): Promise<void> {
  const { from } = question
  const first = Math.max(headFrom, startOfBlock(readingsTier, from))
  const readHead = (start: number): Readable | null => {
    const series = head.blocks.get(start)?.get(owner)?.series
    return series === undefined ? null : new Map([...series].map(([key, one]) => [key, asReadable(one)]))
  }
  const starts = [...head.blocks.keys()].filter((start) => start >= first && start < endOf(question))
  for (const start of starts.toSorted((a, b) => a - b)) {
    const piece = readHead(start)
    if (piece === null) continue
    const before = start - pieceMilliseconds
    const previous = before >= headFrom ? readHead(before) : await readPiece(blocks, owner, before)
    gathering.takeReadings(piece, previous, start)
  }
}

async function readPiece(blocks: AnswerSources['blocks'], owner: string, start: number): Promise<Readable | null> {
  return readable((await blocks.readMany(readingsTier, owner, [start])).get(start))
}

type Readable = ReadonlyMap<string, ReadableSeries>

const readable = (bytes: Uint8Array | undefined): Readable | null =>
  bytes === undefined ? null : decodeOr<Readable | null>(null, () => listReadable(bytes))

interface Gathering {
  takeWindows(bytes: Uint8Array, from: number, to: number): void
  takeReadings(piece: Readable, previous: Readable | null, start: number): void
  finish(): readonly MetricsSeries[]
}

/** One series, as far as it has come: of each data source that is asked for its steps. */
interface Gathered {
  readonly match: Match
  readonly columns: Map<number, Steps>
}

function createGathering(question: Question): Gathering {
  const { selections, timeAggregation } = question
  const gathered = selections.map(() => new Map<string, Gathered>())

  /** Calls back for each data source that is asked for. */
  function visit(name: SeriesName, take: (steps: Steps, column: number) => void): void {
    for (const [i, selection] of selections.entries()) {
      const match = selection.match(name)
      if (match === null) continue
      const key = seriesKeyOf(name)
      const series = gathered[i]?.get(key) ?? { match, columns: new Map<number, Steps>() }
      gathered[i]?.set(key, series)
      for (const column of match.columns) {
        const steps = series.columns.get(column) ?? createSteps(question)
        series.columns.set(column, steps)
        take(steps, column)
      }
    }
  }

  return {
    takeWindows(bytes, from, to) {
      const block = decodeOr(null, () => decodeBlock(bytes))
      if (block === null) return
      for (const [series, { name, partCount }] of block.names.entries()) {
        visit(name, (steps, column) => {
          if (column < partCount) steps.add(toWindows(block.read(series, column)), from, to)
        })
      }
    },
    takeReadings(piece, previous, start) {
      for (const [key, series] of piece) {
        const kinds = kindsOf(series.name.type, series.width)
        visit(series.name, (steps, column) => {
          const own = series.read(column)
          const last = previous?.get(key)?.read(column)
          const before = last === undefined ? null : lastBefore(last.times, last.column, start)
          const kind = kinds[column] ?? 'gauge'
          const windows = rollUp(own.times, own.column, { kind, windowSeconds: readingsTier.seconds, before })
          steps.add(windows, start, start + pieceMilliseconds)
        })
      }
    },
    finish: () =>
      selections.flatMap((selection, i) =>
        finishSelection(selection, [...(gathered[i]?.values() ?? [])], {
          aggregation: question.aggregation ?? selection.aggregation,
          timeAggregation,
          count: question.count,
        }),
      ),
  }
}

function finishSelection(
  { measure, unit }: Selection,
  gathered: readonly Gathered[],
  asked: { readonly aggregation: Aggregation; readonly timeAggregation: TimeAggregation; readonly count: number },
): MetricsSeries[] {
  const groups = Map.groupBy(gathered, ({ match }) => JSON.stringify(match.group))
  if (groups.size === 0) return [{ measure, unit, labels: {}, values: new Array<null>(asked.count).fill(null) }]
  return [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, ofGroup]) => {
      const [first] = ofGroup
      const all = ofGroup.map(({ columns }) => addColumns([...columns.values()], asked.timeAggregation))
      const values = aggregateSteps(all, asked.aggregation, first?.match.factor ?? 1)
      return { measure, unit, labels: { ...first?.match.group }, values }
    })
}

/** The data sources of one series are parts of one figure. */
function addColumns(columns: readonly Steps[], timeAggregation: TimeAggregation): Float64Array {
  const [first = new Float64Array(), ...rest] = columns.map((steps) => steps.values(timeAggregation))
  for (const one of rest) for (const [i, value] of one.entries()) first[i] = (first[i] ?? 0) + value
  return first
}
