/**
 * Makes a machine out of namespaces: net, mount, pid and uts, with a first process whose death is the plug being pulled.
 * Inside, `/run` and `ip netns` names are its own, and `/etc` and `/var/lib` are the real machine's with what it writes
 * itself laid over, on a disk that outlives it.
 */

import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Run } from './commands.ts'
import { labEnvironment, must } from './commands.ts'
import { observeProcess, type ProcessReference } from './processes.ts'

const bootProgram = fileURLToPath(new URL('boot-machine.sh', import.meta.url))
const bootTimeoutSeconds = 10

export type NamespacedMachine = {
  readonly hostname: string
  /** Where what it writes to /etc and /var/lib is kept; none: it has no disk and shares the real machine's. */
  readonly disk?: string
}

/** Starts it; resolves with its PID 1, as seen from here, once its mounts are in place. */
export async function startMachine(labName: string, machine: NamespacedMachine): Promise<ProcessReference> {
  if (machine.disk !== undefined) {
    for (const folder of ['etc', 'etc-work', 'var-lib', 'var-lib-work']) {
      mkdirSync(`${machine.disk}/${folder}`, { recursive: true })
    }
  }
  const isolation = ['--net', '--mount', '--pid', '--uts', '--fork', '--kill-child']
  const child = Bun.spawn(['unshare', ...isolation, 'sh', bootProgram, machine.hostname, machine.disk ?? ''], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    env: labEnvironment(labName),
    cwd: '/',
    detached: true,
  })
  child.unref()
  const timer = setTimeout(() => child.kill('SIGKILL'), bootTimeoutSeconds * 1000)
  const firstLine = await readLine(child.stdout).finally(() => clearTimeout(timer))
  const reference = firstLine === undefined ? undefined : observeProcess(Number(firstLine))
  if (reference === undefined) {
    const said = (await new Response(child.stderr).text()).trim()
    throw new Error(`${machine.hostname} did not boot: ${said === '' ? 'its first process ended' : said}`)
  }
  return reference
}

/** The argv that runs a command as if on that machine. The command ends with the process that was asked to run it. */
export function enterMachine(pid: number, argv: readonly string[], workingFolder = '/'): string[] {
  const enter = ['nsenter', '-t', String(pid), '-n', '-m', '-p', '-u', '-r', `--wdns=${workingFolder}`, '--']
  return [...enter, 'setpriv', '--pdeathsig', 'TERM', '--', ...argv]
}

/** Runs lines of `ip -batch` in that machine's network namespace. */
export async function ipBatch(run: Run, pid: number | 'here', lines: readonly string[]): Promise<void> {
  const command = ['ip', '-batch', '-']
  const argv = pid === 'here' ? command : ['nsenter', '-t', String(pid), '-n', '--', ...command]
  await must(run, argv, `${lines.join('\n')}\n`)
}

async function readLine(stream: ReadableStream<Uint8Array>): Promise<string | undefined> {
  const reader = stream.getReader()
  let text = ''
  for (;;) {
    const { done, value } = await reader.read()
    text += value === undefined ? '' : new TextDecoder().decode(value)
    const end = text.indexOf('\n')
    if (end >= 0) {
      await reader.cancel()
      return text.slice(0, end)
    }
    if (done) return undefined
  }
}
