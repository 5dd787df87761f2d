/**
 * Renders our nftables table of the bridge family: what may not pass between hosts. Each host answers for the gateway and
 * for DHCP by itself, so ARP from or for a gateway and DHCP stay within it; all other frames pass. Pure.
 */

import { createHash } from 'node:crypto'

export interface BridgeRules {
  /** One for each network: its VXLAN device and the addresses of its gateways. */
  readonly networks: readonly { readonly vxlanDevice: string; readonly gateways: readonly string[] }[]
}

export interface RenderedBridgeRules {
  /** For `nft -f`: replaces the table whole in one transaction. */
  readonly text: string
  /** By which the table is known again: in the comment of its last rule. */
  readonly digest: string
  readonly rules: number
  readonly elements: readonly string[]
}

export const bridgeRulesTable = 'sluice'

/** Takes the table away, also where it isn't. */
export const removeBridgeRulesText = `table bridge ${bridgeRulesTable}\ndelete table bridge ${bridgeRulesTable}\n`

export function renderBridgeRules({ networks }: BridgeRules): RenderedBridgeRules {
  const devices = networks.map(({ vxlanDevice }) => vxlanDevice).sort()
  const gateways = networks
    .flatMap(({ vxlanDevice, gateways }) => gateways.map((gateway) => ({ vxlanDevice, gateway })))
    .sort((a, b) => (`${a.vxlanDevice} ${a.gateway}` < `${b.vxlanDevice} ${b.gateway}` ? -1 : 1))
  const elements = [...devices, ...gateways.map(({ vxlanDevice, gateway }) => `${vxlanDevice} ${gateway}`)].sort()
  const rules = [
    'iifname . arp saddr ip @gateways drop',
    'iifname . arp daddr ip @gateways drop',
    'oifname . arp saddr ip @gateways drop',
    'oifname . arp daddr ip @gateways drop',
    'iifname @vxlan_devices udp dport { 67, 68 } drop',
    'oifname @vxlan_devices udp dport { 67, 68 } drop',
  ]
  const digest = createHash('sha256').update(JSON.stringify({ rules, elements })).digest('hex').slice(0, 16)
  const body = rules.map((rule, index) => (index === rules.length - 1 ? `${rule} comment "${digest}"` : rule))
  const text = `${removeBridgeRulesText}table bridge ${bridgeRulesTable} {
  set vxlan_devices {
    type ifname${renderElements(devices.map(quote))}
  }
  set gateways {
    type ifname . ipv4_addr${renderElements(gateways.map(({ vxlanDevice, gateway }) => `${quote(vxlanDevice)} . ${gateway}`))}
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
${body.map((rule) => `    ${rule}`).join('\n')}
  }
}
`
  return { text, digest, rules: rules.length, elements }
}

/** nft takes no empty list. */
const renderElements = (elements: readonly string[]) =>
  elements.length === 0 ? '' : `\n    elements = { ${elements.join(', ')} }`

const quote = (word: string) => `"${word}"`
