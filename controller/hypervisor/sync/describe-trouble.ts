/** What the words of libvirt, the provider and OpenTofu mean, and what to do about it. Pure. */

import type { HypervisorTrouble, TroubleReason } from './observe-hypervisor.ts'

/** The first that fits. Their words are of libvirt 9, qemu 7.2, the provider 0.8.3, OpenSSH 9 and OpenTofu 1.12. */
const known: readonly (readonly [RegExp, TroubleReason, string])[] = [
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|knownhosts: key/i,
    'hostKeyChanged',
    'Find out whether the host was installed anew. If so, replace its key in known_hosts; if not, somebody is between.',
  ],
  [
    /Permission denied|authentication (failed|unavailable)|unable to authenticate|access denied/i,
    'permissionDenied',
    'Let the controller’s user use libvirt there: its SSH key, or the group libvirt.',
  ],
  [
    /bridge.*(No such device|not found)|Unable to add bridge|Cannot get interface MTU on|No such device/i,
    'bridgeMissing',
    'The host’s agent makes bridges: see that it runs, and that the network reaches the host.',
  ],
  [
    /No space left|not enough (free )?space|insufficient.*space/i,
    'poolFull',
    'Make room in the host’s pool, or move machines to another host.',
  ],
  [
    /cannot set up guest memory|Cannot allocate memory|not enough memory/i,
    'memoryShort',
    'Free memory on the host, or give the machine less.',
  ],
  [
    /already exists with uuid|domain '[^']*' already exists/i,
    'nameTaken',
    'A domain that is not ours has the name: rename that one, or delete it by hand.',
  ],
  [
    /CPU (model|mode)|unable to find CPU definition|host CPU/i,
    'cpuUnknown',
    'The host does not know that CPU: see `virsh domcapabilities` there.',
  ],
  [
    /error while (determining image type|uploading source|opening)|no such file or directory.*files\/|Could not open|is not a (valid )?qcow2|Image is not in/i,
    'imageMissing',
    'Give an image that is there and whole: `qemu-img check` tells.',
  ],
  [
    /Error acquiring the state lock/i,
    'stateLocked',
    'Somebody works on the host’s stack by hand: wait, or `sluice stack unlock`.',
  ],
  [
    /Could not load plugin|Failed to (query available provider packages|install provider)|no available releases|Inconsistent dependency lock file|executable file not found|ENOENT/i,
    'providerMissing',
    'Run scripts/setup: it puts OpenTofu and the provider of the right version in place.',
  ],
  [
    /failed to (connect|dial)|unable to connect|Connection refused|Connection timed out|No route to host|cannot recv data|Could not resolve|i\/o timeout|did not answer/i,
    'unreachable',
    'See that libvirtd runs on the host and that the controller reaches it by that URI: `virsh -c URI list`.',
  ],
]

const charactersShown = 500

export function describeTrouble(words: string): HypervisorTrouble {
  const message = words.trim().replace(/\s+/g, ' ').slice(0, charactersShown)
  const found = known.find(([pattern]) => pattern.test(words))
  if (found === undefined)
    return { reason: 'failed', message, remedy: 'Read what was said, and the host’s log of libvirtd.' }
  const [, reason, remedy] = found
  return { reason, message, remedy }
}
