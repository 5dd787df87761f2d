/**
 * What one source has said, in the order of its times, each time once: whatever the order in which it comes, and however
 * often, the set is the same. Pure; most of what a source says stays the same, so a column is one number until it changes.
 */

/** One number stands for a column in which all are the same. NaN: not known at that time. */
export type Column = number | number[]

/** Times are milliseconds since the epoch and ascend; each column has a value for each of them. */
export interface Readings {
  readonly times: number[]
  readonly columns: Column[]
}

export const createReadings = (width: number): Readings => ({
  times: [],
  columns: new Array<Column>(width).fill(Number.NaN),
})

export const valueAt = (column: Column | undefined, i: number): number =>
  (typeof column === 'object' ? column[i] : column) ?? Number.NaN

/** True when the set has changed. Of two values at one time the greater one stays, so that the order tells nothing. */
export function addReading(readings: Readings, time: number, values: readonly number[]): boolean {
  const { times, columns } = readings
  const length = times.length
  const isNewest = length === 0 || time > (times[length - 1] ?? 0)
  const at = isNewest ? length : findTime(times, time)
  // A newer program may know more of the same source.
  while (columns.length < values.length) columns.push(Number.NaN)
  if (!isNewest && times[at] === time) return amendReading(readings, at, values)
  if (isNewest) times.push(time)
  else times.splice(at, 0, time)
  for (let i = 0; i < columns.length; i++) {
    const value = values[i] ?? Number.NaN
    const column = columns[i] ?? Number.NaN
    if (typeof column === 'number') {
      if (length === 0) columns[i] = value
      else if (!Object.is(column, value)) columns[i] = insert(new Array<number>(length).fill(column), at, value)
    } else insert(column, at, value)
  }
  return true
}

function insert(column: number[], at: number, value: number): number[] {
  if (at === column.length) column.push(value)
  else column.splice(at, 0, value)
  return column
}

function amendReading({ times, columns }: Readings, at: number, values: readonly number[]): boolean {
  let isChanged = false
  for (let i = 0; i < columns.length; i++) {
    const column = columns[i] ?? Number.NaN
    const value = values[i] ?? Number.NaN
    const before = valueAt(column, at)
    if (Number.isNaN(value) || value <= before) continue
    const changed = typeof column === 'number' ? new Array<number>(times.length).fill(column) : column
    changed[at] = value
    columns[i] = changed
    isChanged = true
  }
  return isChanged
}

/** The first index whose time is not before this one. */
export function findTime(times: readonly number[], time: number): number {
  let [low, high] = [0, times.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((times[middle] ?? 0) < time) low = middle + 1
    else high = middle
  }
  return low
}

/** All of both, in a set of its own. */
export function uniteReadings(a: Readings, b: Readings): Readings {
  const width = Math.max(a.columns.length, b.columns.length)
  const united = createReadings(width)
  for (const { times, columns } of [a, b]) {
    for (const [i, time] of times.entries()) {
      const values = columns.map((column) => valueAt(column, i))
      addReading(united, time, values)
    }
  }
  return united
}

export interface Reading {
  readonly time: number
  readonly value: number
}

/** The last that is known of a column before a time; null: there is none. */
export function lastBefore(times: readonly number[], column: Column | undefined, time: number): Reading | null {
  for (let i = findTime(times, time) - 1; i >= 0; i--) {
    const value = valueAt(column, i)
    if (!Number.isNaN(value)) return { time: times[i] ?? 0, value }
  }
  return null
}
