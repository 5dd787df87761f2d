import { describe, expect, test } from 'bun:test'
import type { DesiredDomain, DesiredHost } from '../desired-domain.ts'
import { synthesizeHostStack } from '../stack/host-stack.ts'
import { adoptIntoState } from './adopt-state.ts'
import { describeTrouble } from './describe-trouble.ts'
import { judgePlan, type Plan } from './judge-plan.ts'
import type { ObservedHypervisor, TroubleReason } from './observe-hypervisor.ts'
import { parseTofuLine } from './tofu-lines.ts'

const id = `mch_${'1'.repeat(25)}`
const gone = `mch_${'2'.repeat(25)}`
const image = { sha256: 'a'.repeat(64), format: 'qcow2', source: '/base' } as const
const domain: DesiredDomain = {
  id,
  name: 'web',
  vcpus: 1,
  memoryMiB: 64,
  disks: [{ name: 'root', sizeMiB: 8, image }],
  interfaces: [{ mac: '52:54:00:00:00:01', bridge: 'br0' }],
  boot: { kind: 'disk' },
  configuration: { kind: 'none' },
  consoleLogPath: '/log',
  isRunning: true,
}
const host: DesiredHost = {
  host: 'a',
  connection: { uri: 'qemu:///system', poolPath: '/pool', domainType: 'qemu', machineType: 'q35' },
  domains: [domain],
  removedIds: [gone],
  isLeaving: false,
}

describe('a plan', () => {
  const change = (address: string, actions: string[], ...paths: string[]): Plan['resource_changes'][number] => {
    const [type = '', name = ''] = address.split('.')
    return { address, type, name, change: { actions, replace_paths: paths.map((path) => [path]) } }
  }
  const replaces = ['delete', 'create']
  const rows: readonly (readonly [string, Plan['resource_changes'][number], boolean, (readonly string[])?])[] = [
    ['makes what it likes', change(`libvirt_domain.${id}`, ['create']), true],
    ['changes what it likes in place', change(`libvirt_domain.${id}`, ['update']), true],
    ['destroys a domain that is to be removed', change(`libvirt_domain.${gone}`, ['delete']), true],
    ['and its disk with it', change(`libvirt_volume.${gone}-root-qcow2`, ['delete']), true],
    ['destroys no other', change(`libvirt_domain.${id}`, ['delete']), false],
    ['nor its disk', change(`libvirt_volume.${id}-root-qcow2`, ['delete']), false],
    ['replaces a domain for its memory', change(`libvirt_domain.${id}`, replaces, 'memory'), true, [id]],
    ['and for its disks and processors', change(`libvirt_domain.${id}`, replaces, 'vcpu', 'disk'), true, [id]],
    ['for nothing else', change(`libvirt_domain.${id}`, replaces, 'memory', 'xml'), false],
    ['replaces no disk', change(`libvirt_volume.${id}-root-qcow2`, replaces, 'size'), false],
    ['nor the pool', change('libvirt_pool.sluice', replaces, 'target'), false],
    [
      'gives up an image that no disk lies over',
      change(`libvirt_volume.image-${'b'.repeat(64)}-qcow2`, ['delete']),
      true,
    ],
    ['and no other', change(`libvirt_volume.image-${image.sha256}-qcow2`, ['delete']), false],
  ]
  for (const [title, one, isFine, resized = []] of rows) {
    test(title, () => {
      const { refused, resizedIds } = judgePlan({ resource_changes: [one] }, host)
      expect([refused.length === 0, resizedIds]).toEqual([isFine, [...resized]])
    })
  }

  test('does what a person has allowed', () => {
    const harm = change(`libvirt_domain.${id}`, replaces, 'xml')
    const allowed = new Set([harm.address])
    expect(judgePlan({ resource_changes: [harm] }, host, allowed)).toEqual({ refused: [], resizedIds: [id] })
  })
})

describe('a state that lacks what is there', () => {
  const stack = synthesizeHostStack(host)
  const observed: ObservedHypervisor = {
    ...{ vcpus: 2, memoryMiB: 1000, networks: [] },
    pools: [{ name: 'sluice', uuid: 'pool-uuid' }],
    domains: [
      { name: id, uuid: 'domain-uuid', isRunning: true, isOurs: true },
      { name: 'somebodys', uuid: 'x', isRunning: true, isOurs: false },
    ],
    volumes: new Map([
      [`${id}-root.qcow2`, `/pool/${id}-root.qcow2`],
      [`image-${image.sha256}.qcow2`, `/pool/image-${image.sha256}.qcow2`],
    ]),
  }
  const adopt = (text: string | null, seen = observed) => adoptIntoState(text, stack, seen, () => 'lineage')

  test('gets it as an apply would have left it', () => expect(JSON.parse(adopt(null).text ?? '')).toMatchSnapshot())

  test('is as it should be from then on', () => expect(adopt(adopt(null).text).text).toBeNull())

  test('leaves a file that no disk lies over to be sent again: it may be half', () => {
    const volumes = new Map([[`image-${image.sha256}.qcow2`, '/pool/image']])
    expect(adopt(null, { ...observed, domains: [], volumes }).adopted).toEqual(['libvirt_pool.sluice'])
  })

  test('keeps what it has, and counts on', () => {
    const first = JSON.parse(adopt(null, { ...observed, domains: [] }).text ?? '')
    const second = JSON.parse(adopt(JSON.stringify(first)).text ?? '')
    expect(second.serial).toBe(first.serial + 1)
    expect(second.resources).toEqual(expect.arrayContaining(first.resources))
  })
})

describe('the lines of OpenTofu', () => {
  const rows: readonly (readonly [string, unknown, unknown])[] = [
    [
      'tell what is planned',
      { type: 'planned_change', change: { action: 'create', resource: { addr: 'a.b' } } },
      { kind: 'planned', action: 'create', address: 'a.b' },
    ],
    [
      'what others have changed',
      { type: 'resource_drift', change: { action: 'update', resource: { addr: 'a.b' } } },
      { kind: 'drifted', action: 'update', address: 'a.b' },
    ],
    [
      'what is done',
      { type: 'apply_complete', hook: { action: 'create', resource: { addr: 'a.b' } } },
      { kind: 'done', action: 'create', address: 'a.b' },
    ],
    [
      'what went wrong',
      { type: 'diagnostic', diagnostic: { severity: 'error', summary: 's', detail: 'd', address: 'a.b' } },
      { kind: 'error', summary: 's', detail: 'd', address: 'a.b' },
    ],
    ['warnings are none', { type: 'diagnostic', diagnostic: { severity: 'warning', summary: 's' } }, null],
    ['other lines are none', { type: 'version', tofu: '1.12.6' }, null],
  ]
  for (const [title, line, expected] of rows)
    test(title, () => expect(parseTofuLine(JSON.stringify(line))).toEqual(expected as never))
  test('what is no JSON is none', () =>
    expect([parseTofuLine('{'), parseTofuLine('Initializing')]).toEqual([null, null]))
})

describe('trouble has its reason and remedy', () => {
  const rows: readonly (readonly [string, TroubleReason])[] = [
    [
      "error: failed to connect to the hypervisor\nerror: Failed to connect socket to '/run/x': No such file or directory",
      'unreachable',
    ],
    ['error: Cannot recv data: Permission denied (publickey): Connection reset by peer', 'permissionDenied'],
    ['error: Cannot recv data: Host key verification failed.: Connection reset by peer', 'hostKeyChanged'],
    ["error creating libvirt domain: Cannot get interface MTU on 'br7': No such device", 'bridgeMissing'],
    ['error while uploading source files/abc: no space left on device: No space left on device', 'poolFull'],
    ["qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory", 'memoryShort'],
    ["operation failed: domain 'mch_1' already exists with uuid 1", 'nameTaken'],
    ["unsupported configuration: CPU mode 'host-passthrough' is not supported", 'cpuUnknown'],
    ['no such file or directory: files/abc is to be /nowhere.qcow2', 'imageMissing'],
    ['Failed to query available provider packages: could not find dmacvicar/libvirt', 'providerMissing'],
    ['something else', 'failed'],
  ]
  for (const [words, reason] of rows) {
    test(words.slice(0, 60), () => {
      const trouble = describeTrouble(words)
      expect(trouble.reason).toBe(reason)
      expect(trouble.remedy.length).toBeGreaterThan(10)
    })
  }
})
