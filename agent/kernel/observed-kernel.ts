/** What iproute2 and nft say of the kernel, parsed at the edge into the facts that plans compare. Pure. */

import * as v from 'valibot'
import type { Forwarding } from '../operations/operation.ts'

export interface ObservedLink {
  readonly device: string
  readonly index: number
  /** `bridge`, `vxlan`, `veth`, `macvlan`; empty for a NIC or the loopback. */
  readonly kind: string
  readonly mac: string
  readonly mtu: number
  readonly isUp: boolean
  readonly alias?: string | undefined
  readonly master?: string | undefined
  /** The index of the cable's other end, or of the device below. */
  readonly linkIndex?: number | undefined
  /** Whether the bridge that it is a port of learns from it. */
  readonly isLearning?: boolean | undefined
  readonly vxlan?: { readonly vni: number; readonly localAddress: string; readonly underlayDevice: string } | undefined
  /** IPv4, with their prefix lengths. */
  readonly addresses: readonly string[]
}

export interface ObservedRoute {
  readonly destination: string
  readonly device: string
  readonly via?: string | undefined
  readonly source?: string | undefined
}

export interface ObservedNamespace {
  readonly name: string
  /** Which namespace the name means: another inode is another namespace. */
  readonly inode: number
  readonly links: ReadonlyMap<string, ObservedLink>
  /** Those that somebody wrote, not what the kernel makes of addresses or a daemon of its own. */
  readonly routes: readonly ObservedRoute[]
  /** Permanent ones. */
  readonly neighbours: readonly { readonly address: string; readonly mac: string; readonly device: string }[]
  readonly sysctls: Readonly<Record<string, string>>
}

/** Our table of bridge rules, as far as it shows whether it is still what was rendered. */
export interface ObservedRuleSet {
  readonly digest: string
  readonly rules: number
  readonly elements: readonly string[]
}

export interface ObservedKernel {
  /** The host's own links. */
  readonly links: ReadonlyMap<string, ObservedLink>
  readonly forwarding: readonly Forwarding[]
  /** Of those namespaces alone whose names have the form of our ids. */
  readonly namespaces: ReadonlyMap<string, ObservedNamespace>
  /** Names of the form of our ids behind which there is no namespace any more. */
  readonly brokenNamespaces: readonly string[]
  readonly ruleSet: ObservedRuleSet | undefined
}

const linkSchema = v.object({
  ifname: v.string(),
  ifindex: v.number(),
  link_index: v.optional(v.number()),
  link: v.optional(v.string()),
  address: v.optional(v.string(), ''),
  mtu: v.number(),
  flags: v.array(v.string()),
  ifalias: v.optional(v.string()),
  master: v.optional(v.string()),
  linkinfo: v.optional(
    v.object({
      info_kind: v.optional(v.string(), ''),
      info_data: v.optional(
        v.object({
          id: v.optional(v.union([v.number(), v.string()])),
          local: v.optional(v.string()),
          link: v.optional(v.string()),
        }),
      ),
      info_slave_data: v.optional(v.object({ learning: v.optional(v.boolean()) })),
    }),
  ),
  addr_info: v.optional(
    v.array(
      v.object({ family: v.optional(v.string()), local: v.optional(v.string()), prefixlen: v.optional(v.number()) }),
    ),
    [],
  ),
})

const signalSchema = v.array(v.object({ ifname: v.string(), flags: v.array(v.string()) }))

/** Of the same answer, the devices that are up without a signal: their cable is out, or their switch is. */
export function parseSilentDevices(json: string): Set<string> {
  const entries = v.parse(
    signalSchema,
    parseList(json).filter((entry) => 'ifname' in entry),
  )
  const silent = entries.filter(({ flags }) => flags.includes('UP') && !flags.includes('LOWER_UP'))
  return new Set(silent.map(({ ifname }) => ifname))
}

/** `ip -details -json address show`, or `link show`, which has no addresses. */
export function parseLinks(json: string): Map<string, ObservedLink> {
  // iproute2 leaves empty objects where a filter has dropped an entry.
  const entries = parseList(json).filter((entry) => 'ifname' in entry)
  return new Map(
    v.parse(v.array(linkSchema), entries).map((link) => {
      const kind = link.linkinfo?.info_kind ?? ''
      const data = link.linkinfo?.info_data
      return [
        link.ifname,
        {
          device: link.ifname,
          index: link.ifindex,
          kind,
          mac: link.address,
          mtu: link.mtu,
          isUp: link.flags.includes('UP'),
          alias: link.ifalias,
          master: link.master,
          linkIndex: link.link_index,
          isLearning: link.linkinfo?.info_slave_data?.learning,
          vxlan:
            kind === 'vxlan'
              ? { vni: Number(data?.id), localAddress: data?.local ?? '', underlayDevice: data?.link ?? '' }
              : undefined,
          addresses: link.addr_info
            .filter(({ family }) => family === 'inet')
            .map(({ local, prefixlen }) => `${local}/${prefixlen}`),
        },
      ]
    }),
  )
}

const routeSchema = v.object({
  dst: v.string(),
  dev: v.optional(v.string(), ''),
  gateway: v.optional(v.string()),
  prefsrc: v.optional(v.string()),
  protocol: v.optional(v.string()),
})

/** `ip -details -json route show table main`. */
export function parseRoutes(json: string): ObservedRoute[] {
  return v
    .parse(v.array(routeSchema), parseList(json))
    .filter(({ protocol }) => protocol === 'boot')
    .map(({ dst, dev, gateway, prefsrc }) => ({ destination: dst, device: dev, via: gateway, source: prefsrc }))
}

const neighbourSchema = v.object({ dst: v.string(), dev: v.string(), lladdr: v.optional(v.string(), '') })

/** `ip -json neighbour show nud permanent`. */
export function parseNeighbours(json: string): ObservedNamespace['neighbours'] {
  return v
    .parse(v.array(neighbourSchema), parseList(json))
    .map(({ dst, dev, lladdr }) => ({ address: dst, device: dev, mac: lladdr }))
}

/** `sysctl name…`: a line `name = value` each. */
export function parseSysctls(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split('\n')
      .map((line) => line.split(' = '))
      .filter((parts): parts is [string, string] => parts.length === 2)
      .map(([name, value]) => [name.trim(), value.trim()]),
  )
}

const forwardingSchema = v.object({
  mac: v.string(),
  ifname: v.string(),
  dst: v.optional(v.string()),
  flags: v.optional(v.array(v.string()), []),
  master: v.optional(v.string()),
  state: v.optional(v.string()),
})

/** `bridge -json fdb show`: entries that somebody wrote, not what was learnt or is a device's own. */
export function parseForwarding(json: string): Forwarding[] {
  return v.parse(v.array(forwardingSchema), parseList(json)).flatMap((entry): Forwarding[] => {
    if (entry.dst !== undefined && entry.flags.includes('self')) {
      return [{ device: entry.ifname, mac: entry.mac, toward: { underlayAddress: entry.dst } }]
    }
    if (entry.master !== undefined && entry.state === 'static') {
      return [{ device: entry.ifname, mac: entry.mac, toward: 'port' }]
    }
    return []
  })
}

const ruleSetSchema = v.object({
  nftables: v.array(
    v.object({
      set: v.optional(v.object({ name: v.string(), elem: v.optional(v.array(v.unknown()), []) })),
      rule: v.optional(v.object({ comment: v.optional(v.string()) })),
    }),
  ),
})

/** `nft --json list table bridge sluice`. The last rule's comment carries the digest of what was rendered. */
export function parseRuleSet(json: string): ObservedRuleSet {
  const { nftables } = v.parse(ruleSetSchema, JSON.parse(json))
  const rules = nftables.flatMap(({ rule }) => (rule ? [rule] : []))
  return {
    digest: rules.at(-1)?.comment ?? '',
    rules: rules.length,
    elements: nftables
      .flatMap(({ set }) => (set ? set.elem : []))
      .map(ruleSetElement)
      .sort(),
  }
}

const concatenationSchema = v.object({ concat: v.array(v.string()) })

function ruleSetElement(element: unknown): string {
  const concatenation = v.safeParse(concatenationSchema, element)
  return concatenation.success ? concatenation.output.concat.join(' ') : String(element)
}

const listSchema = v.array(v.looseObject({}))

function parseList(json: string): object[] {
  return json.trim() === '' ? [] : v.parse(listSchema, JSON.parse(json))
}
