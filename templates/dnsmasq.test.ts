import { expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DnsmasqNetwork, renderDnsmasqConfig, renderDnsmasqHosts, renderDnsmasqNames } from './dnsmasq.ts'
import { renderResolvConf } from './resolv-conf.ts'

const golden = (name: string) => readFileSync(join(import.meta.dir, 'golden', name), 'utf8')

const networks: DnsmasqNetwork[] = [
  {
    device: 'sg1',
    domain: 'front.test',
    shards: [
      { id: 'shd_1', cidr: '10.1.0.0/22' },
      { id: 'shd_2', cidr: '10.2.0.16/28' },
    ],
    neighbours: [
      { name: 'web-1', mac: '02:00:00:00:00:01', address: '10.1.0.11' },
      { mac: '02:00:00:00:00:02', address: '10.2.0.18' },
    ],
  },
  {
    device: 'sg2',
    domain: 'back.test',
    shards: [{ id: 'shd_3', cidr: '10.3.0.0/24' }],
    neighbours: [
      { name: 'db-1', mac: '02:00:00:00:00:03', address: '10.3.0.11' },
      { name: 'db-2', mac: '02:00:00:00:00:04', address: '10.3.0.12', isMoving: true },
      { name: '24h', mac: '02:00:00:00:00:05', address: '10.3.0.13' },
    ],
  },
]
const files = {
  hostsFile: '/run/x/dnsmasq.hosts',
  namesFile: '/run/x/dnsmasq.names',
  leaseFile: '/run/x/dnsmasq.leases',
}

test('two networks, one with two shards', () => {
  expect(renderDnsmasqConfig(networks, files)).toBe(golden('dnsmasq.conf'))
  expect(renderDnsmasqHosts(networks)).toBe(golden('dnsmasq.hosts'))
  expect(renderDnsmasqNames(networks)).toBe(golden('dnsmasq.names'))
})

test('dnsmasq itself takes the config', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-dnsmasq-'))
  try {
    writeFileSync(join(folder, 'dnsmasq.conf'), golden('dnsmasq.conf'))
    const { exitCode, stderr } = Bun.spawnSync(['dnsmasq', '--test', `--conf-file=${join(folder, 'dnsmasq.conf')}`])
    expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: 'dnsmasq: syntax check OK.\n' })
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a machine asks its gateway, by short names as well', () => {
  expect(renderResolvConf({ nameServers: ['10.1.0.1'], domain: 'front.test' })).toBe(
    'search front.test\nnameserver 10.1.0.1\n',
  )
})
