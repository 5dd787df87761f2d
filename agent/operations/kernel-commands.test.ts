import { expect, test } from 'bun:test'
import { compileKernelOperation } from './kernel-commands.ts'
import type { KernelOperation } from './operation.ts'

const namespace = 'mch_1'
const everyone = '00:00:00:00:00:00'

const rows: [string, KernelOperation, string, string[]][] = [
  ['a namespace is added', { kind: 'addNamespace', namespace }, 'ip', ['netns add mch_1']],
  [
    'a bridge gets its alias, is kept from making addresses, and only then goes up',
    { kind: 'addBridge', device: 'sb1', alias: 'sluice:net_1', mtu: 1400, up: true },
    'ip',
    [
      'link add sb1 mtu 1400 type bridge forward_delay 0 stp_state 0 mcast_snooping 0',
      'link set sb1 addrgenmode none',
      'link set sb1 alias sluice:net_1 up',
    ],
  ],
  [
    'a VXLAN does not learn',
    {
      kind: 'addVxlan',
      device: 'sx1',
      vni: 7,
      localAddress: '198.18.0.1',
      underlayDevice: 'und0',
      master: 'sb1',
      up: true,
    },
    'ip',
    [
      'link add sx1  type vxlan id 7 local 198.18.0.1 dev und0 dstport 4789 nolearning',
      'link set sx1 addrgenmode none',
      'link set sx1 master sb1 up',
    ],
  ],
  [
    "a cable's far end is made where it belongs, with its MAC",
    {
      kind: 'addVeth',
      device: 'sm1',
      mtu: 1400,
      master: 'sb1',
      peer: { namespace, device: 'eth0', mac: '02:00:00:00:00:01', mtu: 1400 },
    },
    'ip',
    [
      'link add sm1 mtu 1400 type veth peer name eth0 mtu 1400 address 02:00:00:00:00:01 netns mch_1',
      'link set sm1 master sb1',
    ],
  ],
  [
    'an uplink leg is made straight in its namespace',
    { kind: 'addMacvlan', namespace, device: 'uplink', lowerDevice: 'eth1', mac: '02:00:00:00:00:02' },
    'ip',
    ['link add link eth1 name uplink address 02:00:00:00:00:02 netns mch_1 type macvlan mode bridge'],
  ],
  [
    'the loopback goes up as it is',
    { kind: 'setLink', namespace, device: 'lo', up: true },
    'ip -n mch_1',
    ['link set lo up'],
  ],
  [
    'a link in a namespace is deleted there',
    { kind: 'deleteLink', namespace, device: 'uplink' },
    'ip -n mch_1',
    ['link delete uplink'],
  ],
  [
    'a route replaces another to the same destination',
    { kind: 'addRoute', namespace, device: 'eth0', destination: 'default', via: '10.1.0.1' },
    'ip -n mch_1',
    ['route replace default via 10.1.0.1 dev eth0'],
  ],
  [
    'a route says what is begun by it',
    { kind: 'addRoute', namespace, device: 'network', destination: '10.1.0.0/24', source: '10.1.1.9' },
    'ip -n mch_1',
    ['route replace 10.1.0.0/24 dev network src 10.1.1.9'],
  ],
  [
    'an address is announced from within',
    { kind: 'announceAddress', namespace, device: 'eth0', address: '10.1.0.9' },
    'ip -n mch_1',
    ['netns exec mch_1 busybox arping -q -U -c 1 -I eth0 10.1.0.9'],
  ],
  [
    'the connections of an address are ended from within',
    { kind: 'endConnections', namespace, address: '10.1.0.9' },
    'ip -n mch_1',
    ['netns exec mch_1 ss -K -H -t src 10.1.0.9'],
  ],
  [
    'a neighbour stays for good',
    { kind: 'setNeighbour', namespace, device: 'gw', address: '10.1.0.9', mac: '02:00:00:00:00:09' },
    'ip -n mch_1',
    ['neighbour replace 10.1.0.9 lladdr 02:00:00:00:00:09 dev gw nud permanent'],
  ],
  [
    'broadcasts are copied to one more host',
    { kind: 'addForwarding', device: 'sx1', mac: everyone, toward: { underlayAddress: '198.18.0.2' } },
    'bridge',
    ['fdb append 00:00:00:00:00:00 dev sx1 dst 198.18.0.2 self'],
  ],
  [
    'a MAC lives behind one host',
    { kind: 'addForwarding', device: 'sx1', mac: '02:00:00:00:00:09', toward: { underlayAddress: '198.18.0.2' } },
    'bridge',
    ['fdb replace 02:00:00:00:00:09 dev sx1 dst 198.18.0.2 self'],
  ],
  [
    'a MAC lives behind a port',
    { kind: 'deleteForwarding', device: 'sx1', mac: '02:00:00:00:00:09', toward: 'port' },
    'bridge',
    ['fdb delete 02:00:00:00:00:09 dev sx1 master static'],
  ],
  [
    'parameters are set from within, all at once',
    { kind: 'setSysctls', namespace, values: { 'net.ipv4.ip_forward': '1', 'net.ipv4.conf.all.rp_filter': '0' } },
    'ip -n mch_1',
    ['netns exec mch_1 sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0'],
  ],
]

test.each(rows)('%s', (_, operation, channel, lines) => {
  expect(compileKernelOperation(operation)).toEqual({ channel, lines } as ReturnType<typeof compileKernelOperation>)
})
