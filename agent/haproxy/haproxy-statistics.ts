/** Reads the table that haproxy answers to `show stat`, and the lines of `show info`, without a copy of each of its cells. Pure. */

/** One line of the table: of a frontend, a backend or a server. */
export interface StatisticsRow {
  readonly proxy: string
  /** `FRONTEND`, `BACKEND` or the server's name. */
  readonly server: string
  /** Undefined where haproxy says nothing of it. */
  text(column: string): string | undefined
  /** NaN where haproxy says nothing of it. */
  number(column: string): number
}

const tableHead = '# pxname,'

/** Undefined where there is no table. */
export function parseStatistics(answer: string): readonly StatisticsRow[] | undefined {
  const start = answer.indexOf(tableHead)
  if (start === -1) return undefined
  const [head = '', ...lines] = answer.slice(start + 2).split('\n')
  const columns = columnsOf(head)
  const rows: StatisticsRow[] = []
  for (const line of lines) {
    if (line === '') break
    const cells = line.split(',')
    // Where the answer breaks off there may be half a line.
    if (cells.length < columns.size) continue
    const text = (column: string) => {
      const cell = cells[columns.get(column) ?? -1]
      return cell === '' ? undefined : cell
    }
    rows.push({
      proxy: cells[0] ?? '',
      server: cells[1] ?? '',
      text,
      number: (column) => Number(text(column) ?? Number.NaN),
    })
  }
  return rows
}

/** The same line for every instance of one version of haproxy. */
let lastHead = ''
let lastColumns: ReadonlyMap<string, number> = new Map()

function columnsOf(head: string): ReadonlyMap<string, number> {
  if (head === lastHead) return lastColumns
  lastHead = head
  // The line ends with a comma, and so with a name of nothing.
  lastColumns = new Map(
    head
      .split(',')
      .map((name, index): [string, number] => [name, index])
      .filter(([name]) => name !== ''),
  )
  return lastColumns
}

/** One line of `show info`; NaN where it is not there. */
export function infoNumber(answer: string, name: string): number {
  const start = answer.startsWith(`${name}: `) ? 0 : answer.indexOf(`\n${name}: `) + 1
  if (start === 0 && !answer.startsWith(`${name}: `)) return Number.NaN
  const end = answer.indexOf('\n', start)
  return Number(answer.slice(start + name.length + 2, end === -1 ? undefined : end))
}
