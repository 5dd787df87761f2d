import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { makeTestInstance, makeTestInstructions, type TestMachine, testId } from '../../test/lab/agent-instructions.ts'
import type { HostInstructions } from '../contract/host-instructions.ts'
import { isKernelOperation, type KernelOperation } from '../operations/operation.ts'
import { makeDesiredKernel } from './desired-kernel.ts'
import { planKernel } from './plan-kernel.ts'
import { SimulatedKernel } from './simulated-kernel.ts'

/** Histories by the hundred take their time on a busy machine. */
setDefaultTimeout(60_000)

const devices = { uplinkDevice: 'up0', underlayDevice: 'und0', underlayAddress: '198.18.0.1' }
const machine = testId('mch', 11)
const instance = makeTestInstance(1, 1, 1, ['10.1.0', '10.1.1'])
const leg = { namespace: instance.id, device: 'network' }
const at = { namespace: machine, device: 'eth0' }

interface Wanted {
  /** The machine's, the first first. */
  readonly addresses: readonly string[]
  readonly restartsForAddress?: boolean
  readonly formerAddress?: string
  readonly legAddress?: string
}

function instruct({ addresses, restartsForAddress = false, formerAddress, legAddress }: Wanted): HostInstructions {
  const [address = '', ...otherAddresses] = addresses
  const machines: TestMachine[] = [
    { number: 11, name: 'web-1', host: 'here', address, otherAddresses, restartsForAddress },
  ]
  const shards = ['10.1.0', '10.1.1', '10.1.2']
  const network = {
    ...instance.network,
    address: legAddress ?? instance.network.address,
    ...(formerAddress !== undefined && { formerAddress }),
  }
  return makeTestInstructions(
    'here',
    1,
    [],
    [{ number: 1, project: 1, vni: 101, shards, machines }],
    [{ ...instance, network }],
  )
}

const plan = (wanted: Wanted, kernel: SimulatedKernel): KernelOperation[] =>
  planKernel(makeDesiredKernel(instruct(wanted), devices), kernel.observe())
    .flatMap(({ operations }) => operations)
    .filter(isKernelOperation)

/** Carries out what is planned and asks after each operation; gives the operations. */
function converge(wanted: Wanted, kernel: SimulatedKernel, afterEach: () => void = () => undefined) {
  const operations = plan(wanted, kernel)
  for (const operation of operations) {
    kernel.execute(operation)
    afterEach()
  }
  return operations
}

function createKernel(wanted: Wanted): SimulatedKernel {
  const kernel = new SimulatedKernel(devices.uplinkDevice, devices.underlayDevice)
  converge(wanted, kernel)
  return kernel
}

const observe = (kernel: SimulatedKernel, namespace: string, device: string) => {
  const found = kernel.observe().namespaces.get(namespace)
  return {
    addresses: found?.links.get(device)?.addresses ?? [],
    routes: (found?.routes ?? []).filter((route) => route.device === device),
  }
}

const [first, second] = ['10.1.0.11', '10.1.1.11']
/** What a machine's own operations are, without its network's. */
const ofMachine = (operations: readonly KernelOperation[]) =>
  operations.filter((operation) => 'namespace' in operation && operation.namespace === machine)

describe('a machine gets another address, uses it, and loses the first', () => {
  test('the second comes beside the first, without a shard of its own on the link, and is announced', () => {
    const kernel = createKernel({ addresses: [first] })
    expect(ofMachine(converge({ addresses: [first, second] }, kernel))).toEqual([
      { kind: 'addAddress', ...at, address: '10.1.1.11/32' },
      { kind: 'announceAddress', ...at, address: second },
    ])
  })

  test('when they change places the default route follows before anything goes, and no connection is ended', () => {
    const kernel = createKernel({ addresses: [first, second] })
    expect(ofMachine(converge({ addresses: [second, first] }, kernel))).toEqual([
      { kind: 'addAddress', ...at, address: '10.1.1.11/24' },
      { kind: 'addAddress', ...at, address: '10.1.0.11/32' },
      { kind: 'addRoute', ...at, destination: 'default', via: '10.1.1.1' },
      { kind: 'deleteAddress', ...at, address: '10.1.0.11/24' },
      { kind: 'deleteAddress', ...at, address: '10.1.1.11/32' },
    ])
  })

  test('the one that goes takes its connections with it, and nothing else', () => {
    const kernel = createKernel({ addresses: [second, first] })
    expect(ofMachine(converge({ addresses: [second] }, kernel))).toEqual([
      { kind: 'endConnections', namespace: machine, address: first },
      { kind: 'deleteAddress', ...at, address: '10.1.0.11/32' },
    ])
  })

  test('its gateway knows both by the same MAC', () => {
    const kernel = createKernel({ addresses: [first, second] })
    const neighbours = kernel.observe().namespaces.get(testId('prj', 1))?.neighbours ?? []
    const known = neighbours.filter(({ mac }) => mac === '02:00:00:00:00:0b').map(({ address }) => address)
    expect(known.sort()).toEqual([first, second])
  })
})

describe('a machine that restarts for its address', () => {
  test('goes down, changes it and comes up in one go', () => {
    const kernel = createKernel({ addresses: [first] })
    expect(ofMachine(converge({ addresses: [second], restartsForAddress: true }, kernel))).toEqual([
      { kind: 'endConnections', namespace: machine, address: first },
      { kind: 'setLink', ...at, up: false },
      { kind: 'deleteAddress', ...at, address: '10.1.0.11/24' },
      { kind: 'addAddress', ...at, address: '10.1.1.11/24' },
      { kind: 'setLink', ...at, up: true },
      { kind: 'addRoute', ...at, destination: 'default', via: '10.1.1.1' },
      { kind: 'announceAddress', ...at, address: second },
    ])
    expect(plan({ addresses: [second], restartsForAddress: true }, kernel)).toEqual([])
  })

  test('is not restarted by the word alone, nor for an address that was lost', () => {
    const kernel = createKernel({ addresses: [first] })
    const wanted = { addresses: [first], restartsForAddress: true }
    expect(plan(wanted, kernel)).toEqual([])
    kernel.execute({ kind: 'deleteAddress', ...at, address: '10.1.0.11/24' })
    expect(plan(wanted, kernel).map(({ kind }) => kind)).toEqual(['addAddress', 'addRoute', 'announceAddress'])
  })
})

describe("an instance's leg", () => {
  const former = instance.network.address
  const legAddress = '10.1.1.101'
  const legOperations = (operations: readonly KernelOperation[]) =>
    operations.filter((operation) => 'namespace' in operation && operation.namespace === instance.id)

  test('begins with its new address while the former goes on', () => {
    const kernel = createKernel({ addresses: [first] })
    const operations = converge({ addresses: [first], legAddress, formerAddress: former }, kernel)
    expect(legOperations(operations)).toEqual([
      { kind: 'addAddress', ...leg, address: '10.1.1.101/32' },
      { kind: 'addRoute', ...leg, destination: '10.1.0.0/24', source: legAddress },
      { kind: 'addRoute', ...leg, destination: '10.1.1.0/24', source: legAddress },
      { kind: 'announceAddress', ...leg, address: legAddress },
    ])
  })

  test('keeps its routes when the former goes', () => {
    const kernel = createKernel({ addresses: [first], legAddress, formerAddress: former })
    expect(legOperations(converge({ addresses: [first], legAddress }, kernel))).toEqual([
      { kind: 'endConnections', namespace: instance.id, address: former },
      { kind: 'deleteAddress', ...leg, address: `${former}/32` },
    ])
  })
})

/** Of three shards, so that each address is of another. */
const arbitraryWanted = fc.record({
  addresses: fc.shuffledSubarray([first, second, '10.1.2.11'], { minLength: 1 }),
  restartsForAddress: fc.boolean(),
  legAddress: fc.constantFrom('10.1.0.101', '10.1.1.101', '10.1.2.101'),
  isLegMoving: fc.boolean(),
})

describe('through any history', () => {
  test('one plan is enough, and there is a way out and an address that it begins with at any moment', () => {
    fc.assert(
      fc.property(fc.array(arbitraryWanted, { minLength: 2, maxLength: 6 }), (history) => {
        const kernel = createKernel({ addresses: [first] })
        let before = instance.network.address
        for (const { isLegMoving, ...draft } of history) {
          const isMoving = isLegMoving && draft.legAddress !== before
          const wanted = { ...draft, ...(isMoving && { formerAddress: before }) }
          const willRestart = plan(wanted, kernel).some(({ kind }) => kind === 'setLink')
          converge(wanted, kernel, () => {
            if (!willRestart) expectWayOut(kernel)
            expectLeg(kernel)
          })
          expectWayOut(kernel)
          expect(observe(kernel, machine, 'eth0').addresses.length).toBe(wanted.addresses.length)
          expect(plan(wanted, kernel)).toEqual([])
          before = wanted.legAddress
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('an agent that is killed in the middle, whatever it was at', () => {
  const arbitraryHistory = fc.array(fc.record({ draft: arbitraryWanted, done: fc.nat(12) }), {
    minLength: 1,
    maxLength: 5,
  })

  test('has a successor whose first plan is enough', () => {
    fc.assert(
      fc.property(arbitraryHistory, arbitraryWanted, (history, { isLegMoving, ...last }) => {
        const kernel = createKernel({ addresses: [first] })
        for (const { draft, done } of history) {
          for (const operation of plan(draft, kernel).slice(0, done)) kernel.execute(operation)
        }
        const former = instance.network.address
        const isMoving = isLegMoving && last.legAddress !== former
        const wanted = { ...last, ...(isMoving && { formerAddress: former }) }
        const legAddresses = [last.legAddress, ...(isMoving ? [former] : [])]
        converge(wanted, kernel)
        expectWayOut(kernel)
        expectLeg(kernel)
        const found = observe(kernel, machine, 'eth0').addresses
        expect([...found].sort()).toEqual(wanted.addresses.map((each, i) => `${each}/${i === 0 ? 24 : 32}`).sort())
        expect([...observe(kernel, instance.id, 'network').addresses].sort()).toEqual(
          legAddresses.map((each) => `${each}/32`).sort(),
        )
        expect(plan(wanted, kernel)).toEqual([])
      }),
      { numRuns: 150 },
    )
  })
})

function expectWayOut(kernel: SimulatedKernel): void {
  const { addresses, routes } = observe(kernel, machine, 'eth0')
  const gateway = routes.find(({ destination }) => destination === 'default')?.via ?? ''
  const shard = gateway.slice(0, gateway.lastIndexOf('.') + 1)
  expect(addresses.some((address) => shard !== '' && address.startsWith(shard) && address.endsWith('/24'))).toBe(true)
}

function expectLeg(kernel: SimulatedKernel): void {
  const { addresses, routes } = observe(kernel, instance.id, 'network')
  expect(routes.length).toBe(instance.network.onLinkCidrs.length)
  for (const { source } of routes) expect(addresses).toContain(`${source}/32`)
}
