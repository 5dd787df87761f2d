/** Whether a host runs guests by kvm, as the host itself says; else they are emulated. Runs `virsh`. */

import type { RunProgram } from './run-program.ts'

const timeoutSeconds = 30

/**
 * libvirt tells what its qemu may use, which is not yet that a guest boots: on a host that is a guest itself it may not.
 * There an admin sets the type.
 */
export async function findDomainType(run: RunProgram, uri: string, signal: AbortSignal): Promise<'kvm' | 'qemu'> {
  const argv = ['virsh', '--quiet', '--connect', uri, 'domcapabilities', '--virttype', 'kvm']
  const { exitCode, output } = await run({ argv, timeoutSeconds }, signal)
  return exitCode === 0 && output.includes('<domain>kvm</domain>') ? 'kvm' : 'qemu'
}
