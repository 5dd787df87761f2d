/** How the command line speaks: tables of 80 columns, JSON, progress with times, errors with their causes. Pure. */

const columnsMaximum = 80
const gap = '  '
/** A column cut to less says nothing. */
const cutMinimum = 5
/** Half of it is of no use. */
const headingsKeptWhole: readonly string[] = ['id', 'cidr', 'address', 'from', 'to']

/**
 * Rows under their headings, columns as wide as what is in them. Where that is more than 80 in all, the widest columns
 * are cut with an ellipsis, ids and addresses last, since half of one is of no use. Ends without a newline.
 */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings.map((heading) => heading.toUpperCase()), ...rows]
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  narrow(widths, headings)
  return lines
    .map((line) =>
      widths
        .map((width, column) => cut(line[column] ?? '', width).padEnd(width))
        .join(gap)
        .trimEnd(),
    )
    .join('\n')
}

/** Takes from the widest column until all fit. */
function narrow(widths: number[], headings: readonly string[]): void {
  for (let excess = widthOf(widths) - columnsMaximum; excess > 0; excess--) {
    const mayBeCut = widths.map((width, column) => (headingsKeptWhole.includes(headings[column] ?? '') ? 0 : width))
    const most = Math.max(...mayBeCut)
    const widest = most > cutMinimum ? mayBeCut.indexOf(most) : widths.indexOf(Math.max(...widths))
    widths[widest] = (widths[widest] ?? 0) - 1
  }
}

const widthOf = (widths: readonly number[]) =>
  widths.reduce((sum, width) => sum + width, 0) + gap.length * (widths.length - 1)

const cut = (text: string, width: number) => (text.length <= width ? text : `${text.slice(0, Math.max(width - 1, 0))}…`)

/** One object as an operator reads it: a field a line, lists of objects as tables below. */
export function describeObject(value: unknown): string {
  if (typeof value !== 'object' || value === null) return plain(value)
  const entries = flatten(value, '')
  const lines = entries.filter((entry) => !isTable(entry[1]))
  const width = Math.max(0, ...lines.map(([key]) => key.length))
  const tables = entries.flatMap(([key, rows]) => (isTable(rows) ? [`${key}:\n${indent(tableOfObjects(rows))}`] : []))
  return [...lines.map(([key, one]) => `${key.padEnd(width)}${gap}${plain(one)}`.trimEnd()), ...tables].join('\n')
}

/** The text behind a heading that is read once and kept by the reader: secrets, certificates. */
export const indent = (text: string) => text.replaceAll(/^(?=.)/gm, gap)

type Row = Readonly<Record<string, unknown>>

const isTable = (value: unknown): value is readonly Row[] =>
  Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'object' && one !== null)

function flatten(value: object, prefix: string): [string, unknown][] {
  return Object.entries(value).flatMap(([key, one]: [string, unknown]) =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
      ? flatten(one, `${prefix}${key}.`)
      : [[`${prefix}${key}`, one] satisfies [string, unknown]],
  )
}

/** A table where it fits without a cut; else a block for each. */
function tableOfObjects(rows: readonly Row[]): string {
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((key) =>
    rows.some((row) => row[key] !== null),
  )
  const cells = rows.map((row) => keys.map((key) => plain(row[key])))
  const widths = keys.map((key, column) => Math.max(key.length, ...cells.map((line) => (line[column] ?? '').length)))
  if (widthOf(widths) + gap.length <= columnsMaximum) return table(keys, cells)
  const keyWidth = Math.max(...keys.map((key) => key.length))
  const block = (line: readonly string[]) =>
    line.map((cell, column) => `${column === 0 ? '- ' : gap}${(keys[column] ?? '').padEnd(keyWidth)}${gap}${cell}`)
  return cells.flatMap(block).join('\n')
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return '-'
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(plain).join(', ')
  if (typeof value !== 'object') return String(value)
  return 'message' in value && 'changedAt' in value ? describeCondition(value) : JSON.stringify(value)
}

/** As it is said of an object that is shown within another. */
function describeCondition(condition: Row): string {
  const { type, status, message, changedAt } = condition
  return `${plain(type)} ${plain(status)} since ${plain(changedAt)}: ${plain(message)}`
}

export const json = (value: unknown) => JSON.stringify(value, null, 2)

/** An error with its causes, one a line. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return `sluice: ${String(error)}`
  const causes = error.cause === undefined ? '' : `\n  because ${describeError(error.cause).replace(/^sluice: /, '')}`
  return `sluice: ${error.message}${causes}`
}

export function duration(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`
}
