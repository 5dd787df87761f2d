import { describe, expect, test } from 'bun:test'
import { makeTestInstructions, type TestNetwork, testId } from '../../test/lab/agent-instructions.ts'
import type { ObservedDaemon, Operation } from '../operations/operation.ts'
import { type ObservedFiles, planDnsmasq } from './dnsmasq-room.ts'

const projectId = testId('prj', 1)
const network: TestNetwork = {
  number: 1,
  project: 1,
  vni: 1,
  shards: ['10.1.0'],
  machines: [{ number: 1, name: 'web-1', host: 'here', address: '10.1.0.11' }],
}
const more = { number: 2, name: 'web-2', host: 'there', address: '10.1.0.12' }

/** A host that carries out what is planned for dnsmasq, as far as plans can see it. */
function createHost() {
  const files = new Map<string, string | undefined>()
  let running: ObservedDaemon[] = []
  const apply = (operation: Operation) => {
    if (operation.kind === 'writeFile') files.set(operation.path, operation.content)
    if (operation.kind === 'renameFile') files.set(operation.to, files.get(operation.from))
    if (operation.kind === 'stopDaemon') running = []
    if (operation.kind === 'startDaemon') {
      const { objectId, daemon, fingerprint } = operation
      running = [{ objectId, daemon, fingerprint, pid: 1, startTimeTicks: 1, namespaceInode: 1 }]
    }
  }
  const plan = (networks: readonly TestNetwork[], strays: readonly ObservedDaemon[] = []) =>
    planDnsmasq(
      { desired: makeTestInstructions('here', 1, [], networks), daemons: running, strayDaemons: strays },
      files as ObservedFiles,
      '/run/x',
    ).flatMap(({ operations }) => operations)
  return {
    plan,
    converge(networks: readonly TestNetwork[]) {
      for (const operation of plan(networks)) apply(operation)
    },
    running: () => running,
    /** The texts of the reservations and the names. */
    lists: () => [...files].flatMap(([path, text]) => (/\.(hosts|names)$/.test(path) && text ? [text] : [])),
    die: () => {
      running = []
    },
    /** It runs on in a namespace that has lost its name. */
    strand: () => {
      const stranded = running
      running = []
      return stranded
    },
  }
}

const kinds = (operations: readonly Operation[]) => operations.map(({ kind }) => kind)

describe("a project's dnsmasq", () => {
  test('is started with files that have been checked', () => {
    const host = createHost()
    expect(kinds(host.plan([network]))).toEqual([
      'writeFile',
      'writeFile',
      'writeFile',
      'checkConfig',
      'renameFile',
      'startDaemon',
    ])
    host.converge([network])
    expect(host.plan([network])).toEqual([])
  })

  test('only reads again when somebody comes to the network', () => {
    const host = createHost()
    host.converge([network])
    const operations = host.plan([{ ...network, machines: [...network.machines, more] }])
    expect(kinds(operations)).toEqual(['writeFile', 'writeFile', 'signalDaemon'])
    expect(operations.at(-1)).toEqual({
      kind: 'signalDaemon',
      objectId: projectId,
      daemon: 'dnsmasq',
      signal: 'SIGHUP',
    })
  })

  test('gives the first address alone of one that has two, and follows when they change places', () => {
    const host = createHost()
    host.converge([network])
    const [machine] = network.machines
    if (machine === undefined) throw new Error('BUG: there is no machine')
    const shards = ['10.1.0', '10.1.1']
    const both = { ...network, shards, machines: [{ ...machine, otherAddresses: ['10.1.1.11'] }] }
    host.converge([both])
    const texts = () => [...host.lists()].sort().join('')
    expect(texts()).toBe('02:00:00:00:00:01,10.1.0.11,web-1,2m\n10.1.0.11 web-1.network-1.test\n')
    const changed = [{ ...machine, address: '10.1.1.11', otherAddresses: ['10.1.0.11'] }]
    expect(kinds(host.plan([{ ...both, machines: changed }]))).toEqual(['writeFile', 'writeFile', 'signalDaemon'])
    host.converge([{ ...both, machines: changed }])
    expect(texts()).toBe('02:00:00:00:00:01,10.1.1.11,web-1,2m\n10.1.1.11 web-1.network-1.test\n')
    host.converge([{ ...both, machines: [{ ...machine, address: '10.1.1.11' }] }])
    expect(texts()).toBe('02:00:00:00:00:01,10.1.1.11,web-1\n10.1.1.11 web-1.network-1.test\n')
  })

  test('gives short leases to who is about to restart for another address', () => {
    const host = createHost()
    host.converge([network])
    const machines = network.machines.map((machine) => ({ ...machine, restartsForAddress: true }))
    expect(kinds(host.plan([{ ...network, machines }]))).toEqual(['writeFile', 'signalDaemon'])
    host.converge([{ ...network, machines }])
    expect(host.lists()).toContain('02:00:00:00:00:01,10.1.0.11,web-1,2m\n')
  })

  test('is started anew when a network comes', () => {
    const host = createHost()
    host.converge([network])
    const second = { ...network, number: 2, vni: 2, shards: ['10.2.0'], machines: [{ ...more, host: 'here' }] }
    const planned = kinds(host.plan([network, second]))
    expect(planned.slice(-4)).toEqual(['checkConfig', 'renameFile', 'stopDaemon', 'startDaemon'])
    host.converge([network, second])
    expect(host.plan([network, second])).toEqual([])
  })

  test('is started again when it has died, with the files that are there', () => {
    const host = createHost()
    host.converge([network])
    host.die()
    expect(kinds(host.plan([network]))).toEqual(['startDaemon'])
  })

  test('is ended first where it was left behind in a lost namespace', () => {
    const host = createHost()
    host.converge([network])
    expect(kinds(host.plan([network], host.strand()))).toEqual(['stopDaemon', 'startDaemon'])
  })
})
