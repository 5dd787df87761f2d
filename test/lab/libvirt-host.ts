/**
 * A libvirtd of a host's own, for tests that need guests before anybody's stack: folders of the host in place of the
 * machine's, and domains from their plain description.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DesiredDomain } from '../../controller/hypervisor/desired-domain.ts'
import { type TestHost, until } from './agent-hosts.ts'

export interface LibvirtHost {
  /** Makes the domain's disks and starts it. */
  create(domain: DesiredDomain): Promise<void>
  virsh(...words: readonly string[]): Promise<string>
  console(id: string): string
}

/** Its processes end with the host. */
export async function startLibvirt(host: TestHost): Promise<LibvirtHost> {
  const folder = join(host.folder, 'libvirt')
  for (const path of ['/run/libvirt', '/var/lib/libvirt', '/etc/libvirt', '/var/log/libvirt']) {
    const own = join(folder, path)
    mkdirSync(own, { recursive: true })
    mkdirSync(path, { recursive: true })
    await host.run('mount', '--bind', own, path)
  }
  mkdirSync(join(folder, 'var/log/libvirt/qemu'), { recursive: true })
  const settings = [
    'user = "root"',
    'group = "root"',
    'security_driver = "none"',
    'namespaces = []',
    'cgroup_controllers = []',
    '',
  ]
  writeFileSync(join(folder, 'etc/libvirt/qemu.conf'), settings.join('\n'))
  await host.run('virtlogd', '--daemon')
  await host.run('libvirtd', '--daemon')
  const virsh = (...words: readonly string[]) => host.run('virsh', '--quiet', ...words)
  await until('libvirtd answers', async () => (await host.try('virsh', '--quiet', 'list')).exitCode === 0, 30)
  return {
    async create(domain) {
      const images = await makeDisks(host, domain, join(folder, 'images'))
      const path = join(folder, `${domain.id}.xml`)
      writeFileSync(path, renderDomain(domain, images))
      await virsh('create', path)
    },
    virsh,
    console: (id) => readFileSync(join(folder, `var/log/libvirt/qemu/${id}.console`), 'utf8'),
  }
}

async function makeDisks(host: TestHost, domain: DesiredDomain, folder: string): Promise<readonly DomainDisk[]> {
  mkdirSync(folder, { recursive: true })
  const disks: DomainDisk[] = []
  for (const { name, image, sizeMiB } of domain.disks) {
    const path = join(folder, `${domain.id}-${name}.qcow2`)
    const base = image === null ? [] : ['-b', image.source, '-F', image.format]
    await host.run('qemu-img', 'create', '-q', '-f', 'qcow2', ...base, path, `${sizeMiB}M`)
    disks.push({ path, format: 'qcow2' })
  }
  if (domain.configuration.kind !== 'file') return disks
  const path = join(folder, `${domain.id}-configuration.raw`)
  const bytes = Buffer.from(domain.configuration.source, 'base64')
  // A disk is made of whole sectors.
  writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(sectorBytes - (bytes.length % sectorBytes))]))
  return [...disks, { path, format: 'raw' }]
}

interface DomainDisk {
  readonly path: string
  readonly format: 'qcow2' | 'raw'
}

const sectorBytes = 512

function renderDomain(domain: DesiredDomain, disks: readonly DomainDisk[]): string {
  const { boot } = domain
  const kernel =
    boot.kind === 'kernel'
      ? `<kernel>${boot.kernelPath}</kernel><initrd>${boot.initrdPath}</initrd><cmdline>${boot.commandLine}</cmdline>`
      : '<boot dev="hd"/>'
  return `<domain type="qemu">
  <name>${domain.id}</name>
  <memory unit="MiB">${domain.memoryMiB}</memory>
  <vcpu>${domain.vcpus}</vcpu>
  <os><type arch="x86_64" machine="q35">hvm</type>${kernel}</os>
  <features><acpi/></features>
  <cpu mode="custom"><model>qemu64</model></cpu>
  <devices>
    ${disks
      .map(
        (
          { path, format },
          index,
        ) => `<disk type="file" device="disk"><driver name="qemu" type="${format}" cache="unsafe"/>
      <source file="${path}"/><target dev="vd${'abc'[index]}" bus="virtio"/></disk>`,
      )
      .join('\n    ')}
    ${domain.interfaces
      .map(
        ({ mac, bridge }) =>
          `<interface type="bridge"><mac address="${mac}"/><source bridge="${bridge}"/><model type="virtio"/></interface>`,
      )
      .join('\n    ')}
    <serial type="pty"><log file="${domain.consoleLogPath}" append="on"/><target port="0"/></serial>
    <console type="pty"/>
    <rng model="virtio"><backend model="random">/dev/urandom</backend></rng>
    <memballoon model="virtio"/>
  </devices>
</domain>
`
}
