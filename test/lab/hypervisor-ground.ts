/**
 * libvirt hosts for lab tests: each a libvirtd of its own, with folders of its own in a mount namespace of its own, reached
 * by its socket. Runs in a sandbox, with which all of it ends.
 */

import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DesiredDomain, DesiredHost } from '../../controller/hypervisor/desired-domain.ts'
import { waitUntil } from '../../lab/wait.ts'

export interface LabHypervisor {
  readonly uri: string
  readonly folder: string
  /** Throws what it says where it does not end well. */
  virsh(commands: string): Promise<string>
  desire(domains: readonly DesiredDomain[], more?: Partial<DesiredHost>): DesiredHost
  close(): Promise<void>
}

const folders = ['run', 'lib', 'etc', 'log', 'cache'] as const
const places = {
  run: '/run/libvirt',
  lib: '/var/lib/libvirt',
  etc: '/etc/libvirt',
  log: '/var/log/libvirt',
  cache: '/var/cache/libvirt',
}
/** A guest is a process of root's, in no cgroup and no namespace of its own: the sandbox is what ends it. */
const qemuSettings =
  'user = "root"\ngroup = "root"\nsecurity_driver = "none"\ncgroup_controllers = []\nnamespaces = []\n'

export async function startHypervisor(host: string): Promise<LabHypervisor> {
  const folder = mkdtempSync(join(tmpdir(), `sluice-${host}-`))
  for (const name of folders) mkdirSync(join(folder, name))
  cpSync(places.etc, join(folder, 'etc'), { recursive: true })
  for (const foreign of ['qemu/networks', 'nwfilter'])
    rmSync(join(folder, 'etc', foreign), { recursive: true, force: true })
  writeFileSync(join(folder, 'etc/qemu.conf'), qemuSettings)
  const mounts = folders.map((name) => `mkdir -p ${places[name]}; mount --bind ${join(folder, name)} ${places[name]}`)
  // What they write beside those folders would be the other host's as well.
  const daemon = (name: string) => `${name} --pid-file ${places.run}/${name}.pid`
  const script = [...mounts, `${daemon('virtlogd')} -d`, `exec ${daemon('libvirtd')}`].join('\n')
  const log = Bun.file(join(folder, 'libvirtd.log'))
  const child = Bun.spawn(['unshare', '--mount', 'sh', '-euc', script], { stdin: 'ignore', stdout: log, stderr: log })
  const uri = `qemu+unix:///system?socket=${join(folder, 'run/libvirt-sock')}`
  const attempt = async (commands: string) => {
    const virsh = Bun.spawn(['virsh', '--quiet', '--connect', uri, commands], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [output, errors] = await Promise.all([new Response(virsh.stdout).text(), new Response(virsh.stderr).text()])
    return { exitCode: await virsh.exited, output, errors }
  }
  await waitUntil(async () => existsSync(join(folder, 'run/libvirt-sock')) && (await attempt('list')).exitCode === 0, {
    what: () => `libvirtd of ${host} to answer:\n${readFileSync(join(folder, 'libvirtd.log'), 'utf8')}`,
    timeoutSeconds: 60,
  })
  return {
    uri,
    folder,
    async virsh(commands) {
      const { exitCode, output, errors } = await attempt(commands)
      if (exitCode !== 0) throw new Error(`virsh ${commands}: ${errors}`)
      return output.trim()
    },
    desire: (domains, more = {}) => ({
      host,
      connection: { uri, poolPath: join(folder, 'pool'), domainType: 'qemu', machineType: 'q35' },
      domains,
      removedIds: [],
      isLeaving: false,
      ...more,
    }),
    async close() {
      const { output } = await attempt('list --name')
      for (const name of output.split('\n')) if (name.trim() !== '') await attempt(`destroy ${name.trim()}`)
      child.kill('SIGTERM')
      await child.exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A guest that runs, and has nothing to run. */
export const tinyDomain = (folder: string, character: string, more: Partial<DesiredDomain> = {}): DesiredDomain => ({
  id: `mch_${character.repeat(25)}`,
  name: `machine ${character}`,
  vcpus: 1,
  memoryMiB: 32,
  disks: [{ name: 'root', sizeMiB: 8, image: null }],
  interfaces: [{ mac: `52:54:00:00:00:0${character}`, bridge: 'br0' }],
  boot: { kind: 'disk' },
  configuration: { kind: 'none' },
  consoleLogPath: join(folder, 'log', `${character}.log`),
  isRunning: true,
  ...more,
})
