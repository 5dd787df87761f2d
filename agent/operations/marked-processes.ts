/**
 * Finds the agent's daemons in /proc by the mark in their environment, which their children inherit: no pid file can be
 * stale and none is needed after a restart of the agent. Reads /proc only.
 */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { type DaemonName, type DaemonReference, daemonNames, type ObservedDaemon } from './operation.ts'

const markVariable = 'SLUICE_DAEMON'

/** One process that bears a mark. */
export interface MarkedProcess extends DaemonReference {
  readonly pid: number
  readonly parentPid: number
  readonly startTimeTicks: number
  readonly fingerprint: string
}

export function markEnvironment(reference: DaemonReference, fingerprint: string): Record<string, string> {
  return { [markVariable]: formatMark(reference, fingerprint) }
}

export const formatMark = ({ objectId, daemon }: DaemonReference, fingerprint: string) =>
  `${objectId}/${daemon}/${fingerprint}`

/** Undefined where it is none of ours. */
export function parseMark(mark: string): (DaemonReference & { readonly fingerprint: string }) | undefined {
  const [objectId, daemon, fingerprint] = mark.split('/')
  if (objectId === undefined || fingerprint === undefined || !isDaemonName(daemon)) return undefined
  return { objectId, daemon, fingerprint }
}

export const daemonKey = ({ objectId, daemon }: DaemonReference) => `${objectId}/${daemon}`

/**
 * All marked processes of this pid namespace. A process whose environment has been read is not read again: what runs in
 * a lab host beside this one, or has no mark, costs one read in its life.
 */
export function createProcessFinder(): { find(): MarkedProcess[]; findAgain(): MarkedProcess[] } {
  let seen = new Map<number, MarkedProcess | undefined>()
  const ownPidNamespace = readlinkSync('/proc/self/ns/pid')

  const find = () => {
    const next = new Map<number, MarkedProcess | undefined>()
    for (const name of readdirSync('/proc')) {
      const pid = Number(name)
      if (!Number.isInteger(pid)) continue
      const known = seen.get(pid)
      if (known ? isRunning(known) : seen.has(pid)) {
        next.set(pid, known)
        continue
      }
      const marked = readMarkedProcess(pid, ownPidNamespace)
      // Between fork and exec a process still wears its parent's environment: what is young is read again.
      if (marked !== 'young') next.set(pid, marked)
    }
    seen = next
    return [...seen.values()].filter((marked) => marked !== undefined)
  }
  const findAgain = () => {
    seen = new Map()
    return find()
  }
  return { find, findAgain }
}

/** The first process of each daemon: the one that no other of the same mark has begotten. */
export function firstProcesses(processes: readonly MarkedProcess[]): MarkedProcess[] {
  const first = new Map<string, MarkedProcess>()
  const pidsByKey = new Map<string, Set<number>>()
  for (const marked of processes) {
    const pids = pidsByKey.get(daemonKey(marked)) ?? new Set()
    pidsByKey.set(daemonKey(marked), pids.add(marked.pid))
  }
  for (const marked of processes) {
    const key = daemonKey(marked)
    if (pidsByKey.get(key)?.has(marked.parentPid)) continue
    const other = first.get(key)
    if (!other || marked.startTimeTicks > other.startTimeTicks) first.set(key, marked)
  }
  return [...first.values()]
}

/** The same process still lives: same pid, same start. */
export function isRunning({ pid, startTimeTicks }: { pid: number; startTimeTicks: number }): boolean {
  const stat = readStat(pid)
  return stat !== undefined && stat.startTimeTicks === startTimeTicks && stat.state !== 'Z' && stat.state !== 'X'
}

export function readStat(pid: number): { state: string; parentPid: number; startTimeTicks: number } | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return undefined
  }
}

/** Of proc(5)'s stat. The name in brackets may hold anything, so the fields are counted from its end. */
export function parseStat(text: string): { state: string; parentPid: number; startTimeTicks: number } {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { state: fields[0] ?? '', parentPid: Number(fields[1]), startTimeTicks: Number(fields[19]) }
}

/**
 * The inode of a process's network namespace; 0 where it is gone, and where it is still in the agent's own, since then it
 * has only just been started and is on its way into its namespace.
 */
export function readNamespaceInode(pid: number): number {
  const inode = readInode(pid)
  return inode === readInode('self') ? 0 : inode
}

function readInode(pid: number | 'self'): number {
  try {
    return Number(/\d+/.exec(readlinkSync(`/proc/${pid}/ns/net`))?.[0] ?? 0)
  } catch {
    return 0
  }
}

export function observeMarkedDaemon(marked: MarkedProcess): ObservedDaemon {
  const { objectId, daemon, pid, startTimeTicks, fingerprint } = marked
  return { objectId, daemon, pid, startTimeTicks, fingerprint, namespaceInode: readNamespaceInode(pid) }
}

function readMarkedProcess(pid: number, pidNamespace: string): MarkedProcess | undefined | 'young' {
  const stat = readStat(pid)
  if (stat === undefined || stat.state === 'Z') return 'young'
  try {
    if (readlinkSync(`/proc/${pid}/ns/pid`) !== pidNamespace) return undefined
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
    const mark = environment.find((entry) => entry.startsWith(`${markVariable}=`))?.slice(markVariable.length + 1)
    if (mark === undefined) return isYoung(stat.startTimeTicks) ? 'young' : undefined
    const parsed = parseMark(mark)
    if (parsed === undefined) return undefined
    return { ...parsed, pid, parentPid: stat.parentPid, startTimeTicks: stat.startTimeTicks }
  } catch {
    return 'young'
  }
}

const youngSeconds = 2
/** The kernel counts a process's start in hundredths of a second on every platform that we run on. */
const ticksPerSecond = 100

function isYoung(startTimeTicks: number): boolean {
  const uptimeSeconds = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0])
  return uptimeSeconds - startTimeTicks / ticksPerSecond < youngSeconds
}

function isDaemonName(name: string | undefined): name is DaemonName {
  return name !== undefined && ((daemonNames as readonly string[]).includes(name) || name.startsWith('workload-'))
}
