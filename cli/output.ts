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
