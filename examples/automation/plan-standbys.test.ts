import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { planStandbys, type SeenMember } from './plan-standbys.ts'

const member = (address: string, status: string): SeenMember => ({ id: `id of ${address}`, address, status })
const standbys = ['s1', 's2']

describe('standbys', () => {
  const rows: readonly [string, readonly SeenMember[], readonly string[]][] = [
    ['are not needed while all are healthy', [member('a', 'healthy'), member('b', 'healthy')], []],
    ['are not needed while nothing is known', [member('a', 'unknown')], []],
    ['stand in for one that is unhealthy', [member('a', 'unhealthy'), member('b', 'healthy')], ['add s1']],
    ['stand in for each that is unhealthy', [member('a', 'unhealthy'), member('b', 'unhealthy')], ['add s1', 'add s2']],
    ['that stand in already stay', [member('a', 'unhealthy'), member('s1', 'unknown')], []],
    ['that are unhealthy are no help', [member('a', 'unhealthy'), member('s1', 'unhealthy')], ['add s2']],
    ['go when all are healthy again', [member('a', 'healthy'), member('s1', 'healthy')], ['remove s1']],
    [
      'go in the opposite order',
      [member('a', 'unhealthy'), member('s1', 'healthy'), member('s2', 'healthy')],
      ['remove s2'],
    ],
  ]
  for (const [sentence, members, expected] of rows) {
    test(sentence, () => {
      const words = planStandbys(members, standbys).map(({ kind, address }) => `${kind.slice(0, -6)} ${address}`)
      expect(words).toEqual([...expected])
    })
  }

  test('once planned and done leave nothing to do', () => {
    const status = fc.constantFrom('healthy', 'unhealthy', 'draining', 'unknown')
    const anyMembers = fc.uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c', 's1', 's2'), status), {
      selector: ([address]) => address,
    })
    fc.assert(
      fc.property(anyMembers, (pairs) => {
        const members = pairs.map(([address, of]) => member(address, of))
        const operations = planStandbys(members, standbys)
        const removed = operations.flatMap((operation) => (operation.kind === 'removeMember' ? [operation.id] : []))
        const added = operations.flatMap(({ kind, address }) =>
          kind === 'addMember' ? [member(address, 'unknown')] : [],
        )
        expect(planStandbys([...members.filter(({ id }) => !removed.includes(id)), ...added], standbys)).toEqual([])
      }),
    )
  })
})
