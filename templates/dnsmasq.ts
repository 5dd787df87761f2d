/**
 * Renders what a project's dnsmasq reads: its config, and the reservations and names that it reads again on SIGHUP. It
 * serves all networks of the project on this host, each on its own gateway. Pure.
 */

export interface DnsmasqNetwork {
  /** The gateway's device, which requests come in by. */
  readonly device: string
  readonly domain: string
  readonly shards: readonly { readonly id: string; readonly cidr: string }[]
  readonly neighbours: readonly DnsmasqNeighbour[]
}

export interface DnsmasqNeighbour {
  readonly name?: string | undefined
  readonly mac: string
  readonly address: string
  /** Its address is about to change or does so: it is to ask again soon. */
  readonly isMoving?: boolean
}

export interface DnsmasqFiles {
  readonly hostsFile: string
  readonly namesFile: string
  readonly leaseFile: string
}

/**
 * Asked for again after half of it. It ends, so that an address is free in the end whose holder has gone without a word,
 * and so that a shorter one is noticed.
 */
const leaseTime = '1h'
/** The least that dnsmasq gives. */
const movingLeaseTime = '2m'

export function renderDnsmasqConfig(networks: readonly DnsmasqNetwork[], files: DnsmasqFiles): string {
  const domains = [...new Set(networks.map(({ domain }) => domain))]
  return [
    'keep-in-foreground',
    'log-facility=-',
    'bind-dynamic',
    // Names of the outside are nobody's business here; those of a known domain are answered or do not exist.
    'no-resolv',
    'no-hosts',
    'domain-needed',
    'bogus-priv',
    ...domains.map((domain) => `local=/${domain}/`),
    // Every reservation is ours and no other server answers on the segment, so a request is never left to somebody else.
    'dhcp-authoritative',
    'no-ping',
    `dhcp-leasefile=${files.leaseFile}`,
    `dhcp-hostsfile=${files.hostsFile}`,
    `addn-hosts=${files.namesFile}`,
    'except-interface=lo',
    ...networks.flatMap(renderNetwork),
    '',
  ].join('\n')
}

function renderNetwork({ device, domain, shards }: DnsmasqNetwork): string[] {
  return [
    `interface=${device}`,
    ...shards.flatMap(({ id, cidr }) => {
      const { network, mask } = parseCidr(cidr)
      // `static`: only those with a reservation are served. The tag carries the domain to them.
      return [
        `dhcp-range=set:${id},${network},static,${mask},${leaseTime}`,
        `dhcp-option=tag:${id},option:domain-name,${domain}`,
      ]
    }),
  ]
}

/** One line a neighbour: who asks with this MAC gets this address and this name. */
export function renderDnsmasqHosts(networks: readonly DnsmasqNetwork[]): string {
  return lines(
    networks.flatMap(({ neighbours }) =>
      neighbours.map(({ mac, address, name, isMoving }) =>
        [
          mac,
          address,
          ...(name === undefined || isWordOfDnsmasq(name) ? [] : [name]),
          ...(isMoving === true ? [movingLeaseTime] : []),
        ].join(','),
      ),
    ),
  )
}

/** In a reservation it would be taken for a time or an order; who asks gets such a name by the list of names. */
const isWordOfDnsmasq = (name: string) => /^(\d+[smhdw]?|infinite|ignore)$/.test(name)

export function renderDnsmasqNames(networks: readonly DnsmasqNetwork[]): string {
  return lines(
    networks.flatMap(({ neighbours, domain }) =>
      neighbours.flatMap(({ address, name }) => (name === undefined ? [] : [`${address} ${name}.${domain}`])),
    ),
  )
}

const lines = (rows: readonly string[]) => rows.map((row) => `${row}\n`).join('')

function parseCidr(cidr: string): { network: string; mask: string } {
  const [network = '', length = ''] = cidr.split('/')
  const bits = Number(length)
  const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0
  return { network, mask: [24, 16, 8, 0].map((shift) => (mask >>> shift) & 0xff).join('.') }
}
