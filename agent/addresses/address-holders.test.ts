import { describe, expect, test } from 'bun:test'
import { makeTestInstance, makeTestInstructions, type TestMachine, testId } from '../../test/lab/agent-instructions.ts'
import { countConnections, findHolders } from './address-holders.ts'

const machine: TestMachine = { number: 1, name: 'web-1', host: 'here', address: '10.1.0.11' }
const instance = makeTestInstance(1, 1, 1, ['10.1.0', '10.1.1'])
const leg = instance.network.address

function holders(change: Partial<TestMachine>, formerAddress?: string) {
  const networks = [{ number: 1, project: 1, vni: 1, shards: ['10.1.0'], machines: [{ ...machine, ...change }] }]
  const network = { ...instance.network, ...(formerAddress !== undefined && { formerAddress }) }
  const desired = makeTestInstructions('here', 1, [], networks, [{ ...instance, network }])
  return findHolders(desired).map(({ id, addresses }) => [id, ...addresses])
}

const rows: [string, string[][], string[][]][] = [
  ['machines and instances with one address', holders({}), []],
  ['a machine with two', holders({ otherAddresses: ['10.1.1.11'] }), [[testId('mch', 1), '10.1.0.11', '10.1.1.11']]],
  ['a machine that restarts', holders({ restartsForAddress: true }), [[testId('mch', 1), '10.1.0.11']]],
  ['an instance with a former address', holders({}, '10.1.0.99'), [[testId('ins', 1), leg, '10.1.0.99']]],
]
test.each(rows)('%s', (_, found, expected) => {
  expect(found).toEqual(expected)
})

describe('connections', () => {
  test('are counted by the address at this end, of sockets for both families as well', () => {
    const text = [
      'ESTAB      0      0          10.1.0.11:7        10.1.0.12:51234',
      'FIN-WAIT-1 0      900        10.1.0.11:80       10.1.1.13:41000',
      'ESTAB      0      9   10.1.1.11%eth0:43210      10.1.0.12:7',
      'CLOSE-WAIT 0      0   [::ffff:10.1.0.11]:8080   [::ffff:10.1.0.12]:40000',
      '',
    ].join('\n')
    expect([...countConnections(text)]).toEqual([
      ['10.1.0.11', 3],
      ['10.1.1.11', 1],
    ])
  })

  test('may be none', () => {
    expect([...countConnections('')]).toEqual([])
  })
})
