/** Reads the tables in which Linux counts: devices, sockets, tracked connections, processors, memory, disks. Pure. */

/** `/proc/PID/net/dev`, by device; it is of the namespace of that process. */
export interface DeviceCounts {
  readonly rx_bytes: number
  readonly tx_bytes: number
  readonly rx_packets: number
  readonly tx_packets: number
  readonly rx_errors: number
  readonly tx_errors: number
  readonly rx_dropped: number
  readonly tx_dropped: number
}

export function parseDevices(text: string): ReadonlyMap<string, DeviceCounts> {
  const devices = new Map<string, DeviceCounts>()
  for (const line of text.split('\n').slice(2)) {
    const colon = line.indexOf(':')
    if (colon === -1) continue
    const numbers = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(Number)
    const at = (index: number) => numbers[index] ?? Number.NaN
    devices.set(line.slice(0, colon).trim(), {
      rx_bytes: at(0),
      rx_packets: at(1),
      rx_errors: at(2),
      rx_dropped: at(3),
      tx_bytes: at(8),
      tx_packets: at(9),
      tx_errors: at(10),
      tx_dropped: at(11),
    })
  }
  return devices
}

/** What one end of a cable has sent, the other has received. */
export const otherEnd = (counts: DeviceCounts): DeviceCounts => ({
  rx_bytes: counts.tx_bytes,
  tx_bytes: counts.rx_bytes,
  rx_packets: counts.tx_packets,
  tx_packets: counts.rx_packets,
  rx_errors: counts.tx_errors,
  tx_errors: counts.rx_errors,
  rx_dropped: counts.tx_dropped,
  tx_dropped: counts.rx_dropped,
})

const pageBytes = 4096

/** `/proc/PID/net/sockstat`: lines as `TCP: inuse 1 orphan 0 tw 0 alloc 2 mem 1`. */
export function parseSockets(text: string) {
  const find = (line: string, name: string) => {
    const words =
      text
        .split('\n')
        .find((each) => each.startsWith(`${line}: `))
        ?.split(' ') ?? []
    const index = words.indexOf(name)
    return index === -1 ? Number.NaN : Number(words[index + 1])
  }
  return {
    tcp_in_use: find('TCP', 'inuse'),
    tcp_orphan: find('TCP', 'orphan'),
    tcp_time_wait: find('TCP', 'tw'),
    udp_in_use: find('UDP', 'inuse'),
    tcp_memory: find('TCP', 'mem') * pageBytes,
  }
}

/** `/proc/PID/net/stat/nf_conntrack`: hexadecimal, a line a processor, the entries being the same in each. */
export function parseConnectionTracking(text: string) {
  const [head = '', ...lines] = text.trim().split('\n')
  const names = head.trim().split(/\s+/)
  const rows = lines.map((line) => line.trim().split(/\s+/))
  const cell = (row: readonly string[] | undefined, name: string) =>
    Number.parseInt(row?.[names.indexOf(name)] ?? '', 16)
  const sum = (name: string) => rows.reduce((total, row) => total + cell(row, name), 0)
  return {
    entries: cell(rows[0], 'entries'),
    drops: sum('drop') + sum('early_drop'),
    insert_failures: sum('insert_failed'),
  }
}

/** The kernel counts processor time in hundredths of a second. */
const microsecondsPerTick = 10_000

/** `/proc/stat`: of all processors together, and how many there are. */
export function parseProcessors(text: string) {
  const lines = text.split('\n')
  const ticks = (lines[0] ?? '').split(/\s+/).slice(1).map(Number)
  const at = (...indexes: readonly number[]) =>
    indexes.reduce((total, index) => total + (ticks[index] ?? Number.NaN), 0) * microsecondsPerTick
  return {
    user: at(0, 1),
    system: at(2),
    idle: at(3),
    wait: at(4),
    interrupt: at(5, 6),
    steal: at(7),
    processors: lines.filter((line) => /^cpu\d/.test(line)).length,
  }
}

/** `/proc/meminfo`: lines as `MemTotal:  8123456 kB`. */
export function parseMemory(text: string) {
  const find = (name: string) => {
    const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]
    return kibibytes === undefined ? Number.NaN : 1024 * Number(kibibytes)
  }
  return {
    total: find('MemTotal'),
    available: find('MemAvailable'),
    cached: find('Cached'),
    swap_total: find('SwapTotal'),
    swap_free: find('SwapFree'),
  }
}

/** `/proc/loadavg` and `/proc/uptime`. */
export function parseLoadAverage(text: string, uptime: string) {
  const [one, five, fifteen, running] = text.split(' ')
  const number = (word: string | undefined) => (word === undefined || word === '' ? Number.NaN : Number(word))
  return {
    one_minute: number(one),
    five_minutes: number(five),
    fifteen_minutes: number(fifteen),
    processes: number(running?.split('/')[1]),
    uptime: number(uptime.split(' ')[0]),
  }
}

/** Whole disks as Linux names them; parts of them are counted within, and loops and RAM disks are none. */
const diskPattern = /^(?:sd[a-z]+|vd[a-z]+|xvd[a-z]+|nvme\d+n\d+|mmcblk\d+|md\d+|dm-\d+)$/
/** The kernel counts in these, whatever the disk has. */
const sectorBytes = 512
const microsecondsPerMillisecond = 1000

/** `/proc/diskstats`, of whole disks that have ever been used. */
export function parseDisks(text: string) {
  return text.split('\n').flatMap((line) => {
    const [, , name = '', ...counts] = line.trim().split(/\s+/)
    const at = (index: number) => Number(counts[index] ?? Number.NaN)
    if (!diskPattern.test(name) || at(0) + at(4) === 0) return []
    const disk = {
      read_bytes: at(2) * sectorBytes,
      written_bytes: at(6) * sectorBytes,
      reads: at(0),
      writes: at(4),
      busy: at(9) * microsecondsPerMillisecond,
    }
    return [{ name, disk }]
  })
}

/** `/proc/PID/statm`: the second number is of the pages that are in memory. */
export const parseResidentBytes = (text: string) => Number(text.split(' ')[1] ?? Number.NaN) * pageBytes
