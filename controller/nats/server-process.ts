/**
 * One nats-server process: starts it, finds the one that an ended controller left behind, and ends it. It signals only
 * the process that holds the lock of its own folder, after its start time has been compared.
 *
 * The lock is what keeps two servers from one store: flock(1) takes it and becomes nats-server, so that the kernel gives
 * it back at the very moment at which the server is gone, whoever started it and whatever became of him.
 */

import { readFileSync } from 'node:fs'
import { mkdir, open, readdir, readlink, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Address } from './bus-address.ts'
import { readFileOrNull } from './durable-file.ts'

export interface ServerFolder {
  readonly folder: string
  readonly configurationFile: string
  /** Where nats-server logs. */
  readonly logFile: string
}

export interface ServerProcess {
  readonly pid: number
  /** True: another controller started it. */
  readonly isAdopted: boolean
  /** Resolves when it is gone, with its exit code; null where that can't be known. */
  readonly exited: Promise<number | null>
  /** False: it is gone. */
  signal(signal: 'SIGHUP' | 'SIGTERM' | 'SIGKILL'): boolean
}

const lockConflictExitCode = 75
const pollMilliseconds = 20
const greetingMillisecondsMaximum = 1_000
const logTailCharactersMaximum = 2000

const lockFileOf = (place: ServerFolder) => join(place.folder, 'lock')
const outputFileOf = (place: ServerFolder) => join(place.folder, 'nats-server.out')

/** Starts it. It fails where another holds the folder: see `findServerProcess`. */
export async function startServerProcess(place: ServerFolder, program: string): Promise<ServerProcess> {
  await mkdir(place.folder, { recursive: true, mode: 0o700 })
  // Not a pipe: the server goes on when the controller dies, and would be ended by a pipe that nobody reads.
  const output = await open(outputFileOf(place), 'w', 0o600)
  try {
    const lock = ['flock', '--no-fork', '--nonblock', '--conflict-exit-code', String(lockConflictExitCode)]
    const child = Bun.spawn([...lock, lockFileOf(place), program, '--config', place.configurationFile], {
      stdin: 'ignore',
      stdout: output.fd,
      stderr: output.fd,
      // A session of its own, so that an interrupt from the terminal reaches the controller alone, which ends it last.
      detached: true,
    })
    const startTicks = readStartTicks(child.pid)
    return {
      pid: child.pid,
      isAdopted: false,
      exited: child.exited,
      signal: (signal) => child.exitCode === null && signalProcess({ pid: child.pid, startTicks }, signal),
    }
  } finally {
    await output.close()
  }
}

/** The server that holds the folder's lock, whoever started it; null: none. */
export async function findServerProcess(place: ServerFolder): Promise<ServerProcess | null> {
  const pid = await findLockHolder(lockFileOf(place))
  if (pid === null) return null
  const startTicks = readStartTicks(pid)
  if (startTicks === null) return null
  const isAlive = () => readStartTicks(pid) === startTicks
  return {
    pid,
    isAdopted: true,
    // It is no child of ours, so the kernel doesn't tell of its end.
    exited: waitUntil(() => !isAlive(), Number.POSITIVE_INFINITY).then(() => null),
    signal: (signal) => signalProcess({ pid, startTicks }, signal),
  }
}

/** Asks it to end, and ends it if it has not within the grace. */
export async function endServerProcess(server: ServerProcess, graceMilliseconds: number): Promise<void> {
  server.signal('SIGTERM')
  const timer = setTimeout(() => server.signal('SIGKILL'), graceMilliseconds)
  await server.exited
  clearTimeout(timer)
}

export type Readiness = 'ready' | 'ended' | 'late'

/** Where a server is expected, and what it calls itself: on that port there may be another one. */
export interface ExpectedServer extends Address {
  readonly serverName: string
}

/** Waits until the server answers on its address, ends, or is late. */
export async function waitUntilReady(
  server: ServerProcess,
  expected: ExpectedServer,
  limitMilliseconds: number,
): Promise<Readiness> {
  const ended = server.exited.then(() => 'ended' as const)
  const deadline = performance.now() + limitMilliseconds
  while (performance.now() < deadline) {
    const answer = await Promise.race([ended, askName(expected)])
    if (answer === 'ended') return 'ended'
    if (answer === expected.serverName) return 'ready'
    await Bun.sleep(pollMilliseconds)
  }
  return 'late'
}

/** What the server said last, for an error's message. */
export async function readLastWords(place: ServerFolder): Promise<string> {
  const [output, log] = await Promise.all([readTail(outputFileOf(place)), readTail(place.logFile)])
  return [output, log].filter((text) => text !== '').join('\n') || '(it said nothing)'
}

export function isLockConflict(exitCode: number | null): boolean {
  return exitCode === lockConflictExitCode
}

/** The version of the program, e.g. `2.15.2`. Rejects where it can't be run. */
export async function readServerVersion(program: string): Promise<string> {
  let answer: string
  try {
    const child = Bun.spawn([program, '--version'], { stdin: 'ignore', stdout: 'pipe', stderr: 'ignore' })
    answer = await new Response(child.stdout).text()
  } catch (cause) {
    throw new Error(`${program} can't be run. scripts/setup installs it`, { cause })
  }
  const version = /v?(\d+\.\d+\.\d+\S*)/.exec(answer)?.[1]
  if (version === undefined) throw new Error(`${program} --version says '${answer.trim()}', which is no version`)
  return version
}

/** The process that has the lock's very file open: flock's descriptor is handed down to what it becomes. */
async function findLockHolder(lockFile: string): Promise<number | null> {
  const lock = await stat(lockFile).catch(() => null)
  if (lock === null) return null
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue
    const folder = `/proc/${entry}/fd`
    for (const descriptor of await readdir(folder).catch(() => [])) {
      const target = await readlink(`${folder}/${descriptor}`).catch(() => '')
      if (target !== lockFile) continue
      const opened = await stat(`${folder}/${descriptor}`).catch(() => null)
      if (opened?.ino === lock.ino && opened.dev === lock.dev) return Number(entry)
    }
  }
  return null
}

/** Field 22 of /proc/<pid>/stat: with the pid it says which process is meant. Null: gone, or a zombie. */
export function readStartTicks(pid: number): number | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in brackets may hold anything, so the fields are counted from its end.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? null : Number(fields[19])
  } catch {
    return null
  }
}

function signalProcess(
  target: { readonly pid: number; readonly startTicks: number | null },
  signal: NodeJS.Signals,
): boolean {
  if (target.startTicks === null || readStartTicks(target.pid) !== target.startTicks) return false
  try {
    process.kill(target.pid, signal)
    return true
  } catch {
    // It ended between the look and the signal.
    return false
  }
}

/** The name of the server on that address: it greets whoever connects. Null: there is none, or it is silent. */
function askName(address: Address): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host: address.host, port: address.port })
    const end = (answer: string | null) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    const timer = setTimeout(() => end(null), greetingMillisecondsMaximum)
    let text = ''
    socket.on('data', (data) => {
      text += data.toString('utf8')
      if (text.includes('\r\n')) end(/^INFO .*"server_name":"([^"]*)"/.exec(text)?.[1] ?? null)
    })
    socket.once('error', () => end(null))
    socket.once('close', () => end(null))
  })
}

async function waitUntil(condition: () => boolean | Promise<boolean>, limitMilliseconds: number): Promise<void> {
  const deadline = performance.now() + limitMilliseconds
  while (!(await condition()) && performance.now() < deadline) await Bun.sleep(pollMilliseconds)
}

async function readTail(path: string): Promise<string> {
  const text = (await readFileOrNull(path)) ?? ''
  return text.trim().slice(-logTailCharactersMaximum)
}
