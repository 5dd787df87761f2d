/** Looks at processes in /proc: which are whose daemons, what they hold in memory, how long they ran. Signals what it is told to. */

import { readdirSync, readFileSync } from 'node:fs'

/** Ticks of /proc/<pid>/stat: fixed by the kernel's interface to programs. */
const ticksPerSecond = 100

export interface Usage {
  readonly residentMebibytes: number
  /** Without what is shared with files, as the program itself. */
  readonly anonymousMebibytes: number
  readonly cpuSeconds: number
}

/** The processes of each daemon, on whichever host, by the mark that the agent gives them: `<object id>/<daemon>`. */
export type MarkedProcesses = ReadonlyMap<string, readonly number[]>

/** One look at every process of the machine. */
export function observeMarkedProcesses(): MarkedProcesses {
  const marked = new Map<string, number[]>()
  for (const pid of findProcesses(() => true)) {
    const daemon = /(?:^|\0)SLUICE_DAEMON=([^/]+\/[^/]+)\//.exec(readOrEmpty(`/proc/${pid}/environ`))?.[1]
    if (daemon !== undefined) marked.set(daemon, [...(marked.get(daemon) ?? []), pid])
  }
  return marked
}

export function findDaemonProcesses(
  objectId: string,
  daemon: string,
  marked: MarkedProcesses = observeMarkedProcesses(),
): readonly number[] {
  return marked.get(`${objectId}/${daemon}`) ?? []
}

/** The processes whose program bears this name. */
export function findProgram(name: string): readonly number[] {
  return findProcesses((pid) => readOrEmpty(`/proc/${pid}/comm`).trim() === name.slice(0, 15))
}

export function findByCommandLine(isIt: (words: readonly string[]) => boolean): readonly number[] {
  return findProcesses((pid) => isIt(readOrEmpty(`/proc/${pid}/cmdline`).split('\0')))
}

/** Of all of them together; those that have ended count nothing. */
export function measureUsage(pids: readonly number[]): Usage {
  const usages = pids.map((pid) => {
    const status = readOrEmpty(`/proc/${pid}/status`)
    const mebibytes = (field: string) =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) / 1024
    const stat = readOrEmpty(`/proc/${pid}/stat`)
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const cpuSeconds = stat === '' ? 0 : (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
    return { residentMebibytes: mebibytes('VmRSS'), anonymousMebibytes: mebibytes('RssAnon'), cpuSeconds }
  })
  const sum = (of: (usage: Usage) => number) => usages.reduce((total, usage) => total + of(usage), 0)
  return {
    residentMebibytes: sum((usage) => usage.residentMebibytes),
    anonymousMebibytes: sum((usage) => usage.anonymousMebibytes),
    cpuSeconds: sum((usage) => usage.cpuSeconds),
  }
}

/** SIGKILL to all at once, so that none can start another again. */
export function killAtOnce(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended with its parent, which is as good.
    }
  }
}

/** The share of the machine's processors that did nothing since the earlier of two looks, 0 to 1. */
export function idleShare(before: readonly number[], after: readonly number[]): number {
  const spent = after.map((ticks, index) => ticks - (before[index] ?? 0))
  const total = spent.reduce((sum, ticks) => sum + ticks, 0)
  return total === 0 ? 1 : ((spent[3] ?? 0) + (spent[4] ?? 0)) / total
}

/** user, nice, system, idle, iowait, irq, softirq, steal: ticks since boot. */
export function readProcessorTicks(): readonly number[] {
  const first = readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? ''
  return first.split(/\s+/).slice(1, 9).map(Number)
}

function findProcesses(isIt: (pid: number) => boolean): readonly number[] {
  return readdirSync('/proc')
    .flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []))
    .filter(isIt)
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
