/** Reads what the kernel says of a process, each fact by one short file. Reads /proc only. */

import { readFileSync } from 'node:fs'
import { isRunning, readStat } from '../operations/marked-processes.ts'

export { isRunning, readStat }

/** How often the process has been given a processor; undefined when it is gone. */
export function readTurns(pid: number): number | undefined {
  const turns = Number(readText(`/proc/${pid}/schedstat`)?.split(' ')[2])
  return Number.isInteger(turns) ? turns : undefined
}

/** Whether a process of this number lives; a zombie doesn't. */
export function isAlive(pid: number): boolean {
  const state = readStat(pid)?.state
  return state !== undefined && state !== 'Z' && state !== 'X'
}

/** Seconds since a process started, by the kernel's own clock. */
export function ageSeconds(startTimeTicks: number): number {
  const uptimeSeconds = Number(readText('/proc/uptime')?.split(' ')[0])
  return Math.max(0, uptimeSeconds - startTimeTicks / ticksPerSecond)
}

/** The kernel counts a process's start in hundredths of a second on every platform that we run on. */
const ticksPerSecond = 100

/** Which of these addresses are on a device of the process's network namespace, without entering it. */
export function readHeldAddresses(pid: number, addresses: readonly string[]): string[] {
  const table = readText(`/proc/${pid}/net/fib_trie`)
  return table === undefined ? [] : findLocalAddresses(table, addresses)
}

/** In fib_trie an address of one's own is a leaf that is followed by its kind. */
export function findLocalAddresses(table: string, addresses: readonly string[]): string[] {
  return addresses.filter((address) =>
    new RegExp(`-- ${address.replaceAll('.', '\\.')}\\n\\s+/32 host LOCAL`).test(table),
  )
}

export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
