/** How the command line speaks: tables of 80 columns, JSON, progress with times, errors with their causes. Pure. */

const columnsMaximum = 80
const gap = '  '

/**
 * Rows under their headings, columns as wide as what is in them; what passes the last column's share of 80 is cut with
 * an ellipsis. Ends without a newline.
 */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings.map((heading) => heading.toUpperCase()), ...rows]
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  narrow(widths)
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
function narrow(widths: number[]): void {
  let excess = widths.reduce((sum, width) => sum + width, 0) + gap.length * (widths.length - 1) - columnsMaximum
  while (excess > 0) {
    const widest = widths.indexOf(Math.max(...widths))
    widths[widest] = (widths[widest] ?? 0) - 1
    excess--
  }
}

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

function tableOfObjects(rows: readonly Row[]): string {
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((key) =>
    rows.some((row) => row[key] !== null),
  )
  return table(
    keys,
    rows.map((row) => keys.map((key) => plain(row[key]))),
  )
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return '-'
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(plain).join(', ')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
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
