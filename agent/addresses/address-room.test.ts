import { expect, test } from 'bun:test'
import { makeTestInstructions, type TestMachine, testId } from '../../test/lab/agent-instructions.ts'
import { createAddressRoom } from './address-room.ts'

const machineId = testId('mch', 1)
const [oldAddress, newAddress] = ['10.1.0.11', '10.1.1.11']

/** A host on which addresses answer as told, and ss says what it is told. */
function createHost() {
  const answering = new Set<string>()
  const spawned: string[] = []
  let established: string | undefined = ''
  let milliseconds = 0
  let news = 0
  const room = createAddressRoom({
    run: (argv) => {
      const isProbe = argv.includes('ping')
      spawned.push(isProbe ? `ping ${argv.at(-1)}` : 'ss')
      const isWell = isProbe ? answering.has(argv.at(-1) ?? '') : established !== undefined
      return Promise.resolve({ exitCode: isWell ? 0 : 1, stdout: isProbe ? '' : (established ?? ''), stderr: '' })
    },
    onNews: () => {
      news += 1
    },
    now: () => milliseconds,
  })
  return {
    answering,
    report: () => room.reportAddresses(machineId),
    news: () => news,
    establish: (text: string | undefined) => {
      established = text
    },
    /** A turn a second later; gives what was spawned. */
    async look(change: Partial<TestMachine>): Promise<string[]> {
      milliseconds += 1000
      const machine: TestMachine = { number: 1, name: 'web-1', host: 'here', address: oldAddress, ...change }
      const networks = [{ number: 1, project: 1, vni: 1, shards: ['10.1.0', '10.1.1'], machines: [machine] }]
      const desired = makeTestInstructions('here', 1, [], networks)
      const before = spawned.length
      expect(await room.look({ desired, daemons: [], strayDaemons: [] })).toEqual([])
      // What was begun is over after as many turns of the event loop as it has steps.
      for (let steps = 0; steps < 20; steps++) await Promise.resolve()
      return spawned.slice(before).sort()
    },
  }
}

const both: Partial<TestMachine> = { otherAddresses: [newAddress] }

test('one address costs nothing and is not told of', async () => {
  const host = createHost()
  expect(await host.look({})).toEqual([])
  expect(host.report()).toBeUndefined()
})

test('each of two is asked until it has answered, and connections are counted in one go', async () => {
  const host = createHost()
  host.answering.add(oldAddress)
  host.establish('ESTAB 0 0 10.1.0.11:7 10.1.0.12:51234\n')
  expect(await host.look(both)).toEqual([`ping ${oldAddress}`, `ping ${newAddress}`, 'ss'])
  expect(host.report()).toEqual([
    { address: oldAddress, answers: true, connections: 1 },
    { address: newAddress, answers: false, connections: 0 },
  ])
  const before = host.news()
  host.answering.add(newAddress)
  expect(await host.look(both)).toEqual([`ping ${newAddress}`, 'ss'])
  expect(host.report()?.[1]).toEqual({ address: newAddress, answers: true, connections: 0 })
  expect(host.news()).toBe(before + 1)
  expect(await host.look(both)).toEqual(['ss'])
})

test('when they change places, what is known stays', async () => {
  const host = createHost()
  host.answering.add(oldAddress).add(newAddress)
  await host.look(both)
  expect(await host.look({ address: newAddress, otherAddresses: [oldAddress] })).toEqual(['ss'])
  expect(host.report()?.map(({ address, answers }) => [address, answers])).toEqual([
    [newAddress, true],
    [oldAddress, true],
  ])
})

test('one that goes and comes again has to answer again', async () => {
  const host = createHost()
  host.answering.add(oldAddress).add(newAddress)
  await host.look(both)
  expect(await host.look({})).toEqual([])
  expect(host.report()).toBeUndefined()
  host.answering.delete(newAddress)
  await host.look(both)
  expect(host.report()?.[1]).toMatchObject({ address: newAddress, answers: false })
})

test('a machine that restarts for its address is told of by its new one', async () => {
  const host = createHost()
  host.answering.add(oldAddress)
  await host.look({ restartsForAddress: true })
  expect(host.report()).toEqual([{ address: oldAddress, answers: true, connections: 0 }])
  await host.look({ restartsForAddress: true, address: newAddress })
  expect(host.report()).toEqual([{ address: newAddress, answers: false, connections: 0 }])
})

test('connections that can not be counted are not said to be none', async () => {
  const host = createHost()
  host.establish(undefined)
  await host.look(both)
  expect(host.report()).toEqual([
    { address: oldAddress, answers: false },
    { address: newAddress, answers: false },
  ])
})
