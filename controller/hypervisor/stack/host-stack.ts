/**
 * One host's CDKTF stack from what is desired of it. Pure: the same desired host always gives the same JSON.
 *
 * There are no libvirt networks in it: domains name bridges, which the host's agent alone makes. And no ignored changes:
 * what somebody changes by hand is drift, and is put right.
 */

import * as cdktf from 'cdktf'
import { LibvirtCloudinitDisk, LibvirtDomain, LibvirtPool, LibvirtVolume } from '../bindings/generated/libvirt.ts'
import { LibvirtProvider } from '../bindings/libvirt-resource.ts'
import type { DesiredDisk, DesiredDomain, DesiredHost, DesiredImage } from '../desired-domain.ts'
import { splitCommandLine } from './command-line.ts'
import { renderDomainXslt } from './domain-xslt.ts'
import { literal } from './literal.ts'
import {
  cloudInitVolume,
  configurationVolume,
  diskVolume,
  imageVolume,
  poolName,
  resourceName,
  stagedFile,
} from './resource-names.ts'

const bytesOfMiB = (mebibytes: number) => mebibytes * 1024 * 1024

/** What Terraform and OpenTofu read as `main.tf.json`. Where its state is kept is in their environment. */
export function synthesizeHostStack(desired: DesiredHost): Readonly<Record<string, unknown>> {
  const stack = new cdktf.TerraformStack(new cdktf.App({ skipValidation: true }), `host-${desired.host}`)
  new cdktf.HttpBackend(stack, { address: '' })
  stack.addOverride('terraform.backend.http.address', undefined)
  new LibvirtProvider(stack, 'libvirt', { uri: desired.connection.uri })
  if (!desired.isLeaving) declareVolumesAndDomains(stack, desired)
  stack.prepareStack()
  // It tells which version of CDKTF has made it, and no program reads it.
  const { '//': _, ...terraform } = stack.toTerraform()
  return terraform
}

interface Place {
  readonly stack: cdktf.TerraformStack
  readonly desired: DesiredHost
  readonly pool: LibvirtPool
  readonly images: ReadonlyMap<string, LibvirtVolume>
}

function declareVolumesAndDomains(stack: cdktf.TerraformStack, desired: DesiredHost): void {
  const { poolPath } = desired.connection
  const pool = new LibvirtPool(stack, poolName, { name: poolName, type: 'dir', target: [{ path: poolPath }] })
  const images = new Map<string, LibvirtVolume>()
  for (const image of desired.domains.flatMap(({ disks }) => disks.flatMap((disk) => disk.image ?? []))) {
    const name = imageVolume(image)
    if (!images.has(name)) images.set(name, declareFile(stack, pool, name, image))
  }
  for (const domain of desired.domains) declareDomain({ stack, desired, pool, images }, domain)
}

/** A volume with the content of a file. */
function declareFile(
  stack: cdktf.TerraformStack,
  pool: LibvirtPool,
  name: string,
  { sha256, format }: Pick<DesiredImage, 'sha256' | 'format'>,
): LibvirtVolume {
  return new LibvirtVolume(stack, resourceName(name), {
    ...{ name, pool: poolName, format, source: stagedFile(sha256) },
    dependsOn: [pool],
  })
}

function declareDomain(place: Place, domain: DesiredDomain): void {
  const { stack, desired } = place
  const { id, name, vcpus, memoryMiB, interfaces, boot, isRunning } = domain
  const { domainType, machineType } = desired.connection
  const volumes = domain.disks.map((disk) => declareDisk(place, id, disk))
  const { cloudinit, volume } = declareConfiguration(place, domain)
  new LibvirtDomain(stack, id, {
    name: id,
    description: literal(`Sluice's, of ${name.replace(/\p{Cc}/gu, ' ')}; changes made by hand are undone`),
    type: domainType,
    machine: machineType,
    vcpu: vcpus,
    memory: memoryMiB,
    running: isRunning,
    autostart: true,
    qemuAgent: false,
    // A guest that moves to no other host may use all that its own has; what emulates has a model of its own.
    ...(domainType === 'kvm' ? { cpu: [{ mode: 'host-passthrough' }] } : {}),
    ...(boot.kind === 'disk' ? { bootDevice: [{ dev: ['hd'] }] } : describeKernel(boot)),
    disk: [...volumes, ...volume].map((one) => ({ volumeId: one.id })),
    networkInterface: interfaces.map(({ mac, bridge }) => ({ mac: mac.toUpperCase(), bridge })),
    ...(cloudinit === undefined ? {} : { cloudinit: cloudinit.id }),
    xml: [{ xslt: literal(renderDomainXslt(domain)) }],
  })
}

const describeKernel = ({
  kernelPath,
  initrdPath,
  commandLine,
}: Extract<DesiredDomain['boot'], { kind: 'kernel' }>) => ({
  kernel: literal(kernelPath),
  ...(initrdPath === null ? {} : { initrd: literal(initrdPath) }),
  cmdline: splitCommandLine(literal(commandLine)),
})

function declareDisk({ stack, pool, images }: Place, domainId: string, disk: DesiredDisk): LibvirtVolume {
  const name = diskVolume(domainId, disk)
  const base = disk.image === null ? undefined : images.get(imageVolume(disk.image))
  return new LibvirtVolume(stack, resourceName(name), {
    ...{ name, pool: poolName, format: 'qcow2', size: bytesOfMiB(disk.sizeMiB) },
    ...(base === undefined ? { dependsOn: [pool] } : { baseVolumeId: base.id }),
  })
}

function declareConfiguration(
  { stack, pool }: Place,
  { id, configuration }: DesiredDomain,
): { readonly cloudinit?: LibvirtCloudinitDisk; readonly volume: readonly LibvirtVolume[] } {
  switch (configuration.kind) {
    case 'none':
      return { volume: [] }
    case 'file': {
      const { sha256 } = configuration
      return { volume: [declareFile(stack, pool, configurationVolume(id), { sha256, format: 'raw' })] }
    }
    case 'cloudInit': {
      const { userData, metaData, networkConfig } = configuration
      const name = cloudInitVolume(id)
      const cloudinit = new LibvirtCloudinitDisk(stack, resourceName(name), {
        ...{ name, pool: poolName, userData: literal(userData), metaData: literal(metaData) },
        ...(networkConfig === null ? {} : { networkConfig: literal(networkConfig) }),
        dependsOn: [pool],
      })
      return { cloudinit, volume: [] }
    }
    default:
      return configuration satisfies never
  }
}
