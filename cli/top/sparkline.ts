/** Values over time as a row of bars. Pure. */

const bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const

/**
 * The newest at the right, as many as there are columns; what is not known is a space. The highest of those that are shown
 * is a full bar, and nothing at all the lowest.
 *
 * @example sparkline([0, 1, null, 4], 6) === '  ▁▃ █'
 */
export function sparkline(values: readonly (number | null)[], columns: number): string {
  const shown = values.slice(-columns)
  const highest = Math.max(0, ...shown.filter((value) => value !== null))
  const cells = shown.map((value) => (value === null ? ' ' : barOf(value, highest)))
  return cells.join('').padStart(columns)
}

function barOf(value: number, highest: number): string {
  if (highest <= 0 || value <= 0) return bars[0]
  // Whatever there is can be told from nothing.
  const height = Math.ceil((value / highest) * (bars.length - 1))
  return bars[Math.min(bars.length - 1, Math.max(1, height))] ?? bars[0]
}
