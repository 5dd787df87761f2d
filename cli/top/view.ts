/**
 * What `top` shows: a headline, a table, a line of keys. Pure: rows in, lines of at most so many columns out. Colours only
 * repeat what is said in words.
 */

import { fit, padEnd, padStart, widthOf } from './text-width.ts'

/** `well` is plain, so that what is not stands out. */
export type Tone = 'well' | 'doubtful' | 'bad' | 'faint'

export interface Cell {
  readonly text: string
  readonly tone?: Tone
}

export interface TopColumn<Row> {
  readonly heading: string
  readonly cell: (row: Row) => Cell
  /** Figures stand at the right. */
  readonly isFigure?: boolean
  /** By it rows are sorted, the greatest first, or text from A on. Left out: they can't be. */
  readonly key?: string
  readonly value?: (row: Row) => number | string | null
  /** Takes the columns that the others leave. */
  readonly isFlexible?: boolean
  /** Where there are too few columns those with the highest number are left out first. */
  readonly dispensable?: number
}

export interface TopView<Row> {
  readonly columns: readonly TopColumn<Row>[]
  readonly headline: (rows: readonly Row[]) => string
}

export interface TopLayout {
  readonly width: number
  /** Lines in all; null: as many as it takes. */
  readonly height: number | null
  readonly sortKey: string
  readonly isReversed: boolean
  /** Rows that are above the first one shown. */
  readonly offset: number
  readonly hasColours: boolean
  /** At the right of the headline. */
  readonly time: string
  /** At the bottom; null where nobody presses keys. */
  readonly footer: string | null
}

const gap = ' '
const flexibleMinimum = 10
/** Headline, headings, and the footer. */
const otherLines = 3

export function renderTop<Row>(view: TopView<Row>, rows: readonly Row[], layout: TopLayout): string[] {
  const { width, height, hasColours } = layout
  const sorted = sortRows(view, rows, layout)
  const room = height === null ? sorted.length : Math.max(0, height - otherLines)
  const offset = Math.min(layout.offset, Math.max(0, sorted.length - room))
  const shown = sorted.slice(offset, offset + room)
  const { columns, widths } = layOut(view.columns, sorted, width)
  const describe = (cells: readonly Cell[]) =>
    cells
      .map((cell, i) => {
        const columnWidth = widths[i] ?? 0
        const text = fit(cell.text, columnWidth)
        const padded = columns[i]?.isFigure === true ? padStart(text, columnWidth) : padEnd(text, columnWidth)
        return paint(padded, cell.tone, hasColours)
      })
      .join(gap)
      .trimEnd()
  const mark = layout.isReversed ? '▲' : '▼'
  const headings = columns.map(({ heading, key }) => ({
    text: key === layout.sortKey ? `${heading}${mark}` : heading,
    tone: 'faint' as const,
  }))
  const hidden = sorted.length - shown.length
  const more = hidden === 0 ? '' : `  ${offset + 1}-${offset + shown.length} of ${sorted.length}`
  return [
    `${padEnd(fit(view.headline(rows), width - layout.time.length - 1), width - layout.time.length)}${layout.time}`,
    describe(headings),
    ...shown.map((row) => describe(columns.map(({ cell }) => cell(row)))),
    ...(layout.footer === null ? [] : [fit(`${layout.footer}${more}`, width)]),
  ]
}

export function sortRows<Row>(
  { columns }: TopView<Row>,
  rows: readonly Row[],
  { sortKey, isReversed }: Pick<TopLayout, 'sortKey' | 'isReversed'>,
): readonly Row[] {
  const value = columns.find(({ key }) => key === sortKey)?.value
  if (value === undefined) return rows
  const known = rows.filter((row) => value(row) !== null).toSorted((a, b) => compare(value(a), value(b)))
  // What is not known is last, whichever way.
  return [...(isReversed ? known.reverse() : known), ...rows.filter((row) => value(row) === null)]
}

function compare(a: number | string | null, b: number | string | null): number {
  if (typeof a === 'string' || typeof b === 'string') return String(a).localeCompare(String(b), 'en')
  return Number(b) - Number(a)
}

/** Columns as wide as what is in them; what is dispensable goes where they don't fit. */
function layOut<Row>(all: readonly TopColumn<Row>[], rows: readonly Row[], width: number) {
  // Of all rows, so that nothing moves sideways while one scrolls; once, however many columns have to go.
  let laid = all.map((column) => ({ column, natural: column.isFlexible === true ? 0 : naturalWidth(column, rows) }))
  for (;;) {
    const fixed = laid.reduce((sum, { natural }) => sum + natural, 0)
    const left = width - fixed - gap.length * (laid.length - 1)
    const dispensable = Math.max(0, ...laid.map(({ column }) => column.dispensable ?? 0))
    if (left >= flexibleMinimum || dispensable === 0) {
      const widths = laid.map(({ column, natural }) => (column.isFlexible === true ? Math.max(1, left) : natural))
      return { columns: laid.map(({ column }) => column), widths }
    }
    laid = laid.filter(({ column }) => column.dispensable !== dispensable)
  }
}

const naturalWidth = <Row>({ heading, cell, key }: TopColumn<Row>, rows: readonly Row[]) =>
  rows.reduce(
    (widest, row) => Math.max(widest, widthOf(cell(row).text)),
    widthOf(heading) + (key === undefined ? 0 : 1),
  )

const codes: Readonly<Record<Tone, string | null>> = { well: null, doubtful: '33', bad: '31;1', faint: '2' }

function paint(text: string, tone: Tone = 'well', hasColours: boolean): string {
  const code = codes[tone]
  return !hasColours || code === null ? text : `\u001b[${code}m${text}\u001b[0m`
}
