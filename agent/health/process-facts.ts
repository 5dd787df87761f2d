/** Reads what the kernel says of a process, each fact by one short file. Reads /proc only. */

import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { readStat } from '../operations/marked-processes.ts'

/** Reads how often a process has been given a processor; the file stays open, since it is read many times a second. */
export interface TurnsReader {
  /** Undefined when the process is gone. */
  read(): number | undefined
  close(): void
}

const turnsBuffer = Buffer.alloc(128)

export function openTurns(pid: number): TurnsReader | undefined {
  let file: number
  try {
    file = openSync(`/proc/${pid}/schedstat`, 'r')
  } catch {
    return undefined
  }
  return {
    read() {
      try {
        const length = readSync(file, turnsBuffer, 0, turnsBuffer.length, 0)
        const turns = Number(turnsBuffer.toString('latin1', 0, length).split(' ')[2])
        return Number.isInteger(turns) ? turns : undefined
      } catch {
        return undefined
      }
    },
    close() {
      closeSync(file)
    },
  }
}

/** Whether a process of this number lives; a zombie doesn't. */
export function isAlive(pid: number): boolean {
  const state = readStat(pid)?.state
  return state !== undefined && state !== 'Z' && state !== 'X'
}

/** What the observers of an instance read, of this host or of an appliance: the same questions, answered at once. */
export interface InstanceFacts {
  readText(path: string): string | undefined
  isAlive(pid: number): boolean
  uptimeSeconds(): number
  /** Which of these addresses are on a device of the process's network namespace. */
  heldAddresses(pid: number, addresses: readonly string[]): string[]
}

export const hostFacts: InstanceFacts = {
  readText: (path) => readText(path),
  isAlive: (pid) => isAlive(pid),
  uptimeSeconds: () => readUptimeSeconds(),
  heldAddresses: (pid, addresses) => readHeldAddresses(pid, addresses),
}

/** Since the machine's boot, by the clock that dates the starts of processes. */
export const readUptimeSeconds = () => Number(readText('/proc/uptime')?.split(' ')[0])

/** Seconds since a process started. */
export const ageSeconds = (startTimeTicks: number, uptimeSeconds = readUptimeSeconds()) =>
  Math.max(0, uptimeSeconds - startTimeTicks / ticksPerSecond)

/** The kernel counts a process's start in hundredths of a second on every platform that we run on. */
const ticksPerSecond = 100

/** How long a process has had a processor, of its own and the kernel's work for it; undefined: it is gone. */
export function readCpuSeconds(pid: number): number | undefined {
  const text = readText(`/proc/${pid}/stat`)
  if (text === undefined) return undefined
  // proc(5): the 14th and 15th field. The name in brackets may hold anything, so they are counted from its end.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  return Number.isFinite(ticks) ? ticks / ticksPerSecond : undefined
}

/** For how long a process was ready to run and had no processor, since its start; undefined: it is gone. */
export function readWaitedSeconds(pid: number): number | undefined {
  const nanoseconds = Number(readText(`/proc/${pid}/schedstat`)?.split(' ')[1])
  return Number.isFinite(nanoseconds) ? nanoseconds / 1e9 : undefined
}

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
