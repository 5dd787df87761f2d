/**
 * What an instance that is a virtual machine is made of: the domain that libvirt is given, what the guest is told of itself,
 * and how its agent knows it and comes in. Pure.
 */

import { createHash } from 'node:crypto'
import { bridgeName } from '../../agent/contract/bridge-name.ts'
import type { ApplianceInstructions } from '../../agent/contract/host-instructions.ts'
import { macAddressOf } from '../machines/mac-address.ts'
import type { DesiredDomain } from './desired-domain.ts'
import { deriveSshKey } from './ssh-keys.ts'

/** What of an instance its appliance depends on. */
export interface ApplianceOwner {
  readonly id: string
  readonly projectId: string
  readonly networkId: string
}

/** Files of one build of the image, see scripts/build-appliance. */
export interface ApplianceImage {
  readonly folder: string
  readonly rootSha256: string
}

export const applianceSize = { vcpus: 1, memoryMiB: 192 }
const rootMiB = 64

export function makeApplianceDomain(
  owner: ApplianceOwner,
  rack: { readonly secret: Uint8Array; readonly image: ApplianceImage; readonly uplinkBridge: string },
): DesiredDomain {
  const configuration = Buffer.from(describeAppliance(owner, rack.secret))
  const { image } = rack
  return {
    id: owner.id,
    name: `appliance ${owner.id}`,
    ...applianceSize,
    disks: [
      {
        name: 'root',
        sizeMiB: rootMiB,
        image: { sha256: image.rootSha256, format: 'raw', source: `${image.folder}/root.squashfs` },
      },
    ],
    interfaces: [
      { mac: macAddressOf(owner.id, 'uplink'), bridge: rack.uplinkBridge },
      { mac: macAddressOf(owner.id, 'network'), bridge: bridgeName(owner.networkId) },
    ],
    boot: {
      kind: 'kernel',
      kernelPath: `${image.folder}/vmlinuz`,
      initrdPath: `${image.folder}/initrd`,
      commandLine: applianceCommandLine,
    },
    configuration: {
      kind: 'file',
      source: configuration.toString('base64'),
      sha256: createHash('sha256').update(configuration).digest('hex'),
    },
    consoleLogPath: consoleLogPath(owner.id),
    isRunning: true,
  }
}

/** It boots anew where its kernel can't go on. */
export const applianceCommandLine = 'console=ttyS0 quiet panic=1'

export const consoleLogPath = (domain: string) => `/var/log/libvirt/qemu/${domain}.console`

/** A word and its value a line, for appliance/start. */
export function describeAppliance(owner: ApplianceOwner, secret: Uint8Array): string {
  return [
    `id ${owner.id}`,
    `uplink ${macAddressOf(owner.id, 'uplink')}`,
    `network ${macAddressOf(owner.id, 'network')}`,
    `authorized-key ${projectKey(owner, secret).publicKey}`,
    `host-key ${Buffer.from(hostKey(owner, secret).privateKey).toString('base64')}`,
    '',
  ].join('\n')
}

/** For the agent of its host. */
export const applianceInstructions = (owner: ApplianceOwner, secret: Uint8Array): ApplianceInstructions => ({
  hostKey: hostKey(owner, secret).publicKey,
  privateKey: projectKey(owner, secret).privateKey,
  vcpus: applianceSize.vcpus,
  consoleLogPath: consoleLogPath(owner.id),
})

const hostKey = ({ id }: ApplianceOwner, secret: Uint8Array) => deriveSshKey(secret, `host ${id}`)
/** An agent that has one project's key is let in by no other's appliances. */
const projectKey = ({ projectId }: ApplianceOwner, secret: Uint8Array) => deriveSshKey(secret, `project ${projectId}`)
