import { expect, test } from 'bun:test'
import { type KernelEvent, parseKernelEvent } from './kernel-event.ts'

const rows: [string, string, KernelEvent | undefined][] = [
  [
    'a link that has gone',
    '[nsid current][LINK]Deleted 3: v1@NONE: <BROADCAST,MULTICAST> mtu 1400 qdisc noop state DOWN',
    { nsid: 'own', part: 'links' },
  ],
  [
    'an address in another namespace',
    '[nsid 12][ADDR]Deleted 2: eth0    inet 10.0.0.5/24 scope global eth0\\       valid_lft forever',
    { nsid: 12, part: 'links' },
  ],
  ['a route that somebody wrote', '[nsid 0][ROUTE]default via 10.0.0.1 dev eth0 ', { nsid: 0, part: 'links' }],
  [
    'a route that follows from an address',
    '[nsid 0][ROUTE]10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.5 ',
    undefined,
  ],
  [
    'a route of the table of local addresses',
    '[nsid 0][ROUTE]broadcast 10.0.0.255 dev eth0 table local proto kernel scope link src 10.0.0.5 ',
    undefined,
  ],
  ['a parameter', '[nsid 0][NETCONF]inet all forwarding on ', { nsid: 0, part: 'links' }],
  [
    'a namespace that got its number',
    '[nsid current][NSID]nsid 0 (iproute2 netns name: mch_0000000000000000000000001)',
    { nsid: 'own', part: 'links' },
  ],
  [
    'an entry of a VXLAN',
    '[nsid current][NEIGH]Deleted 10.9.9.1 dev vx100 lladdr 02:00:00:00:00:ab NOARP PERMANENT ',
    { nsid: 'own', part: 'forwarding' },
  ],
  [
    'an entry of a bridge',
    '[nsid current][NEIGH]Deleted dev if3 lladdr 02:00:00:00:00:aa NOARP ',
    { nsid: 'own', part: 'forwarding' },
  ],
  ['what a bridge has learnt', '[nsid current][NEIGH]dev v1 lladdr 02:00:00:00:00:01 REACHABLE ', undefined],
  [
    'what the kernel does for multicast',
    '[nsid current][NEIGH]Deleted 224.0.0.22 dev v1 lladdr 01:00:5e:00:00:16 NOARP ',
    undefined,
  ],
  [
    'a neighbour that is no more, which counts only if it was ours',
    '[nsid 3][NEIGH]10.1.1.13 dev gw  FAILED ',
    { nsid: 3, part: 'forwarding', onlyIfNeighbour: '10.1.1.13' },
  ],
  ['half a line', '[nsid 3][NEI', undefined],
]

test.each(rows)('%s', (_, line, expected) => {
  expect(parseKernelEvent(line)).toEqual(expected)
})
