import { expect, test } from 'bun:test'
import { renderBridgeRules } from '../../templates/bridge-rules.ts'
import {
  parseForwarding,
  parseLinks,
  parseNeighbours,
  parseRoutes,
  parseRuleSet,
  parseSilentDevices,
  parseSysctls,
} from './observed-kernel.ts'

test('links, as `ip -details -json address show` has them', () => {
  const json = JSON.stringify([
    {},
    {
      ifindex: 5,
      ifname: 'sx1',
      flags: ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'],
      mtu: 1400,
      master: 'sb1',
      address: '26:da:4f:86:1f:c2',
      linkinfo: {
        info_kind: 'vxlan',
        info_data: { id: 100, link: 'und0', local: '198.18.0.1', port: 4789, learning: false },
        info_slave_kind: 'bridge',
        info_slave_data: { state: 'forwarding', learning: false },
      },
      ifalias: 'sluice:net_1',
      addr_info: [],
    },
    {
      ifindex: 2,
      link_index: 9,
      ifname: 'eth0',
      flags: ['BROADCAST', 'MULTICAST'],
      mtu: 1400,
      address: '02:00:00:00:00:01',
      link_netnsid: 0,
      linkinfo: { info_kind: 'veth' },
      addr_info: [
        { family: 'inet', local: '10.0.0.5', prefixlen: 24 },
        { family: 'inet6', local: 'fe80::1', prefixlen: 64 },
      ],
    },
  ])
  expect([...parseLinks(json).values()]).toEqual([
    {
      device: 'sx1',
      index: 5,
      kind: 'vxlan',
      mac: '26:da:4f:86:1f:c2',
      mtu: 1400,
      isUp: true,
      alias: 'sluice:net_1',
      master: 'sb1',
      linkIndex: undefined,
      isLearning: false,
      vxlan: { vni: 100, localAddress: '198.18.0.1', underlayDevice: 'und0' },
      addresses: [],
    },
    {
      device: 'eth0',
      index: 2,
      kind: 'veth',
      mac: '02:00:00:00:00:01',
      mtu: 1400,
      isUp: false,
      alias: undefined,
      master: undefined,
      linkIndex: 9,
      isLearning: undefined,
      vxlan: undefined,
      addresses: ['10.0.0.5/24'],
    },
  ])
})

test("routes that somebody wrote, not the kernel's nor a daemon's", () => {
  const json = JSON.stringify([
    { dst: 'default', gateway: '10.0.0.1', dev: 'eth0', protocol: 'boot', flags: [] },
    { dst: '10.0.0.0/24', dev: 'eth0', protocol: 'kernel', scope: 'link', prefsrc: '10.0.0.5', flags: [] },
    { dst: '10.9.0.0/24', dev: 'eth0', protocol: 'boot', scope: 'link', prefsrc: '10.0.0.5', flags: [] },
    { dst: '10.8.0.0/24', dev: 'eth0', protocol: 'keepalived', flags: [] },
  ])
  expect(parseRoutes(json)).toEqual([
    { destination: 'default', device: 'eth0', via: '10.0.0.1' },
    { destination: '10.9.0.0/24', device: 'eth0', via: undefined, source: '10.0.0.5' },
  ])
})

test('neighbours, and that there may be none', () => {
  const json = '[{"dst":"10.0.0.1","dev":"eth0","lladdr":"02:00:00:00:00:aa","state":["PERMANENT"]}]'
  expect(parseNeighbours(json)).toEqual([{ address: '10.0.0.1', device: 'eth0', mac: '02:00:00:00:00:aa' }])
  expect(parseNeighbours('')).toEqual([])
})

test('forwarding entries that somebody wrote, not what was learnt or is a device of its own', () => {
  const json = JSON.stringify([
    { mac: '33:33:00:00:00:01', ifname: 'sb1', flags: ['self'], state: 'permanent' },
    { mac: '92:a9:fe:34:22:20', ifname: 'sm1', flags: [], master: 'sb1', state: 'permanent' },
    { mac: '02:00:00:00:00:07', ifname: 'sm1', flags: [], master: 'sb1', state: '' },
    { mac: '02:00:00:00:00:aa', ifname: 'sg1', flags: [], master: 'sb1', state: 'static' },
    { mac: '02:00:00:00:00:ab', ifname: 'sx1', dst: '198.18.0.2', flags: ['self'], state: 'permanent' },
    { mac: '00:00:00:00:00:00', ifname: 'sx1', dst: '198.18.0.2', flags: ['self'], state: 'permanent' },
  ])
  expect(parseForwarding(json)).toEqual([
    { device: 'sg1', mac: '02:00:00:00:00:aa', toward: 'port' },
    { device: 'sx1', mac: '02:00:00:00:00:ab', toward: { underlayAddress: '198.18.0.2' } },
    { device: 'sx1', mac: '00:00:00:00:00:00', toward: { underlayAddress: '198.18.0.2' } },
  ])
})

test('parameters, and that one may be missing', () => {
  const text =
    'net.ipv4.ip_forward = 1\nsysctl: cannot stat /proc/sys/x: No such file\nnet.ipv4.conf.all.rp_filter = 0\n'
  expect(parseSysctls(text)).toEqual({ 'net.ipv4.ip_forward': '1', 'net.ipv4.conf.all.rp_filter': '0' })
})

test('our bridge rules are known again by what nft says of them', () => {
  const rendered = renderBridgeRules({ networks: [{ vxlanDevice: 'sx1', gateways: ['10.1.0.1'] }] })
  const json = JSON.stringify({
    nftables: [
      { metainfo: { version: '1.0.6' } },
      { table: { family: 'bridge', name: 'sluice', handle: 1 } },
      { set: { name: 'vxlan_devices', elem: ['sx1'] } },
      { set: { name: 'gateways', elem: [{ concat: ['sx1', '10.1.0.1'] }] } },
      { chain: { name: 'forward' } },
      ...Array.from({ length: 5 }, () => ({ rule: { expr: [] } })),
      { rule: { expr: [], comment: rendered.digest } },
    ],
  })
  const { digest, rules, elements } = rendered
  expect(parseRuleSet(json)).toEqual({ digest, rules, elements })
})

test('a device that is up and has no signal is silent, one that is down is not', () => {
  const device = (ifname: string, ...flags: readonly string[]) => ({ ifname, flags })
  const devices = [device('a', 'UP', 'LOWER_UP'), device('b', 'NO-CARRIER', 'UP'), device('c', 'BROADCAST'), {}]
  expect([...parseSilentDevices(JSON.stringify(devices))]).toEqual(['b'])
})
