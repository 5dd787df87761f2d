/**
 * Makes a machine out of namespaces: net, mount, pid and uts, with a first process whose death is the plug being pulled.
 * Inside, `/run` and `ip netns` names are its own, and `/etc` and `/var/lib` are the real machine's with what it writes
 * itself laid over, on a disk that outlives it.
 */

import { mkdirSync } from 'node:fs'
import type { Run } from './commands.ts'
import { labEnvironment, must } from './commands.ts'
import { observeProcess, type ProcessReference } from './processes.ts'

/**
 * What the first process does before it becomes tini, which reaps the orphans. The id in /proc/self is read before the
 * new /proc is mounted: it is the one by which the real machine knows this process.
 */
const bootScript = `
set -eu
read -r pid rest < /proc/self/stat
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock /run/cgroup
# /sys/class/net must show this machine's links; the control groups stay the real machine's.
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --move /run/cgroup /sys/fs/cgroup
rmdir /run/cgroup
if [ -n "$2" ]; then
  # Volatile: pulling a plug must not wait until the real disk has all. The mark that it leaves would forbid the next boot.
  rm -rf "$2/etc-work/work/incompat" "$2/var-lib-work/work/incompat"
  mount -t overlay -o "volatile,lowerdir=/etc,upperdir=$2/etc,workdir=$2/etc-work" overlay /etc
  mount -t overlay -o "volatile,lowerdir=/var/lib,upperdir=$2/var-lib,workdir=$2/var-lib-work" overlay /var/lib
  mkdir -p /etc/netns
fi
hostname "$1"
echo "$pid"
exec </dev/null >/dev/null 2>&1
exec tini -- sleep infinity
`

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
  const child = Bun.spawn(
    ['unshare', ...isolation, 'sh', '-c', bootScript, 'boot', machine.hostname, machine.disk ?? ''],
    { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', env: labEnvironment(labName), cwd: '/', detached: true },
  )
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
  const enter = ['nsenter', '-t', String(pid), '-n', '-m', '-p', '-u', `--wdns=${workingFolder}`, '--']
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
