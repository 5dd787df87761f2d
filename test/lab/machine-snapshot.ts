/** What there is on this machine that a lab could leave behind. Reads only. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { stateRoot } from '../../lab/lab.ts'

export type MachineSnapshot = {
  readonly links: readonly string[]
  readonly networkNamespaces: readonly string[]
  readonly mounts: readonly string[]
  readonly processes: readonly string[]
  readonly files: readonly string[]
}

/** Only in a sandbox is all of this the test's own: elsewhere others' processes come and go meanwhile. */
export function requireSandbox(): void {
  if (process.env.SLUICE_SANDBOX !== 'yes') {
    throw new Error('this test looks at the whole machine, so it needs one of its own: run `scripts/check lab`')
  }
}

export function snapshotMachine(): MachineSnapshot {
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))
  return {
    links: readdirSync('/sys/class/net').toSorted(),
    networkNamespaces: [
      ...new Set(pids.map((pid) => readOr('', () => readlinkSync(`/proc/${pid}/ns/net`)))),
      ...readOr<string[]>([], () => readdirSync('/run/netns')),
    ]
      .filter((name) => name !== '')
      .toSorted(),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ').slice(3).join(' ')),
    processes: pids.map((pid) => readOr('', () => describe(pid))).filter((one) => one !== ''),
    files: [stateRoot, process.env.SLUICE_LAB_DISKS ?? '', '/var/lib', '/etc', '/run'].flatMap((folder) =>
      readOr<string[]>([], () => readdirSync(folder).map((entry) => `${folder}/${entry}`)).toSorted(),
    ),
  }
}

/** A zombie holds nothing but its id; kernel threads have no command line. */
function describe(pid: string): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const isZombie = stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
  const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  return isZombie || commandLine === '' ? '' : `${pid} ${commandLine}`
}

function readOr<Value>(fallback: Value, read: () => Value): Value {
  try {
    return read()
  } catch {
    return fallback
  }
}
