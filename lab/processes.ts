/**
 * Knows processes by id and start time, so that a reused id is never mistaken for the process that had it before.
 * Reads /proc; ends only what it is handed, or what carries a lab's mark.
 */

import { readdirSync, readFileSync } from 'node:fs'
import * as v from 'valibot'
import { waitUntil } from './wait.ts'

export const processSchema = v.object({
  pid: v.pipe(v.number(), v.integer(), v.minValue(2)),
  /** Field 22 of /proc/<pid>/stat: clock ticks between the machine's boot and the process's start. */
  startTicks: v.number(),
})
export type ProcessReference = v.InferOutput<typeof processSchema>

const endSeconds = 10

/** The process that has this id now, or undefined. A zombie counts as gone: it holds nothing but its id. */
export function observeProcess(pid: number): ProcessReference | undefined {
  try {
    // The command in parentheses may contain spaces and parentheses, so fields are counted from its end.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined
    return { pid, startTicks: Number(fields[19]) }
  } catch {
    return undefined
  }
}

export function isAlive(reference: ProcessReference | undefined): reference is ProcessReference {
  return reference !== undefined && observeProcess(reference.pid)?.startTicks === reference.startTicks
}

/** All living processes whose environment has `variable=value`. */
export function findMarkedProcesses(variable: string, value: string): ProcessReference[] {
  const wanted = `${variable}=${value}`
  return allProcessIds().flatMap((pid) => {
    const isMarked = readOrEmpty(`/proc/${pid}/environ`).split('\0').includes(wanted)
    const reference = isMarked ? observeProcess(pid) : undefined
    return reference === undefined ? [] : [reference]
  })
}

/** The living processes of this program one of whose arguments names something under `folder`. */
export function findProcessesOfFolder(program: string, folder: string): ProcessReference[] {
  return allProcessIds().flatMap((pid) => {
    const [first = '', ...rest] = readOrEmpty(`/proc/${pid}/cmdline`).split('\0')
    const isOurs = first.endsWith(program) && rest.some((argument) => argument.includes(`${folder}/`))
    const reference = isOurs ? observeProcess(pid) : undefined
    return reference === undefined ? [] : [reference]
  })
}

/** Ends them at once, and waits until they are gone. */
export async function killProcesses(references: readonly ProcessReference[]): Promise<void> {
  for (const reference of references) signalProcess(reference, 'SIGKILL')
  await waitUntil(() => references.every((reference) => !isAlive(reference)), {
    what: () =>
      `the end of ${references
        .filter(isAlive)
        .map((one) => describeProcess(one.pid))
        .join(', ')}`,
    timeoutSeconds: endSeconds,
  })
}

/** Asks it to end, and ends it if it has not within the grace period. */
export async function stopProcess(reference: ProcessReference, graceSeconds: number): Promise<void> {
  signalProcess(reference, 'SIGTERM')
  const options = { what: () => `the end of ${describeProcess(reference.pid)}`, timeoutSeconds: graceSeconds }
  await waitUntil(() => !isAlive(reference), options).catch(() => killProcesses([reference]))
}

export function signalProcess(reference: ProcessReference, signal: NodeJS.Signals): void {
  if (!isAlive(reference)) return
  try {
    process.kill(reference.pid, signal)
  } catch (error) {
    // It may have ended between the look and the signal.
    if (isAlive(reference)) throw error
  }
}

export function describeProcess(pid: number): string {
  const commandLine = readOrEmpty(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim()
  return `process ${pid}${commandLine === '' ? '' : ` (${commandLine.slice(0, 80)})`}`
}

function allProcessIds(): number[] {
  return readdirSync('/proc').flatMap((entry) => (/^\d+$/.test(entry) ? [Number(entry)] : []))
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
