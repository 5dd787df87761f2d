import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { DesiredDomain, DesiredHost } from '../desired-domain.ts'
import { splitCommandLine } from './command-line.ts'
import { synthesizeHostStack } from './host-stack.ts'
import { literal } from './literal.ts'

const image = { sha256: 'a'.repeat(64), format: 'qcow2', source: '/images/base.qcow2' } as const
const webId = `mch_${'1'.repeat(25)}`
const balancerId = `lbi_${'2'.repeat(25)}`

const machine: DesiredDomain = {
  id: webId,
  name: 'web-1',
  vcpus: 4,
  memoryMiB: 2048,
  disks: [
    { name: 'root', sizeMiB: 10_240, image },
    { name: 'data', sizeMiB: 1024, image: null },
  ],
  interfaces: [{ mac: '52:54:00:12:34:56', bridge: 'slb0a1b2c3' }],
  boot: { kind: 'disk' },
  configuration: { kind: 'cloudInit', userData: '#cloud-config', metaData: 'instance-id: web-1', networkConfig: null },
  consoleLogPath: '/var/log/sluice/web-1.log',
  isRunning: true,
}
const instance: DesiredDomain = {
  ...machine,
  id: balancerId,
  name: 'front 1',
  disks: [{ name: 'root', sizeMiB: 1024, image }],
  boot: {
    kind: 'kernel',
    kernelPath: '/images/vmlinuz',
    initrdPath: '/images/initrd',
    commandLine: 'root=/dev/vda console=ttyS0 ro',
  },
  configuration: { kind: 'file', source: '/configurations/front', sha256: 'c'.repeat(64) },
}
const host: DesiredHost = {
  host: 'host-1',
  connection: {
    uri: 'qemu+ssh://root@host-1/system',
    poolPath: '/var/lib/sluice/pool',
    domainType: 'kvm',
    machineType: 'q35',
  },
  domains: [machine, instance],
  removedIds: [],
  isLeaving: false,
}

describe('the stack of a host', () => {
  test('is this', () => expect(synthesizeHostStack(host)).toMatchSnapshot())

  test('of a host that leaves is empty', () => {
    expect(synthesizeHostStack({ ...host, isLeaving: true }).resource).toBeUndefined()
  })

  test('is the same each time, and has each image once', () => {
    expect(synthesizeHostStack(host)).toEqual(synthesizeHostStack(host))
    const volumes = Object.keys(Object(Object(synthesizeHostStack(host).resource).libvirt_volume))
    expect(volumes.filter((name) => name.startsWith('image-'))).toHaveLength(1)
  })

  test('has no networks, and ignores no changes', () => {
    const text = JSON.stringify(synthesizeHostStack(host))
    for (const word of ['libvirt_network', 'ignore_changes', 'network_id']) expect(text).not.toContain(word)
  })

  test('of what emulates names no CPU of its host', () => {
    const emulated = { ...host, connection: { ...host.connection, domainType: 'qemu' as const } }
    expect(JSON.stringify(synthesizeHostStack(emulated))).not.toContain('host-passthrough')
  })
})

describe('text of users', () => {
  const opening = fc.constantFrom('${', '%{', '$${', '$', '%', '{', '}', '"', 'TfToken[TOKEN.0]', 'a')
  test('is no template, and no token of CDKTF', () => {
    fc.assert(
      fc.property(fc.array(opening, { maxLength: 12 }), (parts) => {
        const text = parts.join('')
        const escaped = literal(text)
        // What is left of openings are the expressions that yield them.
        const left = escaped.replaceAll(/\$\{"[$%]+"\}/g, (one) => one.slice(3, -2).replaceAll(/./g, '·'))
        expect(left).not.toMatch(/[$%]\{/)
        expect(escaped.replaceAll(/\$\{"([$%]+)"\}/g, '$1')).toBe(text)
      }),
    )
  })

  test('that looks like a token of CDKTF goes through whole', () => {
    const userData = `a ${'$'}{TfToken[TOKEN.0]} b`
    const configuration = { kind: 'cloudInit', userData, metaData: '', networkConfig: null } as const
    const text = JSON.stringify(synthesizeHostStack({ ...host, domains: [{ ...machine, configuration }] }))
    expect(text).toContain('TfToken[TOKEN.0]} b')
  })

  test('in a name is no XML', () => {
    const text = JSON.stringify(synthesizeHostStack({ ...host, domains: [{ ...machine, name: `</title><x a="'">&` }] }))
    expect(text).toContain('&#60;/title&#62;&#60;x a=&#34;&#39;&#34;&#62;&#38;')
  })
})

describe('a command line', () => {
  const rows: readonly (readonly [string, string, readonly Readonly<Record<string, string>>[]])[] = [
    [
      'is sorted, words without a value last',
      'root=/dev/vda quiet console=ttyS0 ro',
      [{ console: 'ttyS0', root: '/dev/vda' }, { _: 'quiet ro' }],
    ],
    [
      'has a map of its own for what comes again',
      'console=ttyS0 console=tty0',
      [{ console: 'tty0' }, { console: 'ttyS0' }],
    ],
    ['keeps what follows an equals sign', 'root=LABEL=x', [{ root: 'LABEL=x' }]],
    ['that is empty is none', '  ', []],
  ]
  for (const [title, line, expected] of rows) test(title, () => expect(splitCommandLine(line)).toEqual(expected))
})
