/** Reads what `ip -o monitor … all-nsid label` tells, only as far as to know which part of the kernel to look at. Pure. */

/** Where something changed: in the host's own namespace, or in another by the number that the kernel calls it. */
export interface KernelEvent {
  readonly nsid: 'own' | number
  /** What has to be read again there. */
  readonly part: 'links' | 'forwarding'
  /** Only if this address was one of ours: anybody can ask for an address that nobody has. */
  readonly onlyIfNeighbour?: string
}

/** With room for a swarm: what does not fit is lost, and told of on the error output. */
export const monitorArgv = [
  'ip',
  '-rcvbuf',
  '4194304',
  '-oneline',
  'monitor',
  'link',
  'address',
  'route',
  'neigh',
  'netconf',
  'nsid',
  'label',
  'all-nsid',
] as const

/** Undefined for what changes all the time and is nobody's doing: what was learnt, and what the kernel makes by itself. */
export function parseKernelEvent(line: string): KernelEvent | undefined {
  const match = /^\[nsid (current|\d+)\]\[(\w+)\](.*)$/.exec(line)
  if (match === null) return undefined
  const [, place = '', label = '', text = ''] = match
  const nsid = place === 'current' ? 'own' : Number(place)
  switch (label) {
    case 'LINK':
    case 'ADDR':
    case 'NSID':
    case 'NETCONF':
      return { nsid, part: 'links' }
    case 'ROUTE':
      return text.includes('table local') || text.includes('proto kernel') ? undefined : { nsid, part: 'links' }
    case 'NEIGH': {
      if (isOfOurMaking(text)) return { nsid, part: 'forwarding' }
      // A permanent entry that somebody deletes is told of as one that has failed.
      const failed = /^(?:Deleted )?(\d+\.\d+\.\d+\.\d+) dev \S+ .*\bFAILED\b/.exec(text)?.[1]
      return failed === undefined ? undefined : { nsid, part: 'forwarding', onlyIfNeighbour: failed }
    }
    default:
      return undefined
  }
}

/** Entries of our kind never age; multicast's look alike, but come and go with the kernel. */
function isOfOurMaking(text: string): boolean {
  if (!/\b(PERMANENT|NOARP)\b/.test(text)) return false
  return !/lladdr (01:00:5e|33:33):/.test(text)
}
