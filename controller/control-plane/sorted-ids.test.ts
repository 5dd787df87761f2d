import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createSortedIds, pieceIdsMaximum } from './sorted-ids.ts'

const id = fc.integer({ min: 0, max: 30 }).map((number) => `id_${String(number).padStart(2, '0')}`)
const step = fc.record({ kind: fc.constantFrom('add', 'add', 'delete', 'read'), id })
const range = fc.record({
  from: fc.option(id, { nil: undefined }),
  after: fc.option(id, { nil: undefined }),
  to: fc.option(id, { nil: undefined }),
  limit: fc.option(fc.nat({ max: 8 }), { nil: undefined }),
})

describe('sorted ids', () => {
  test('are those put in and not taken out, in their order and within any range', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), range, (steps, within) => {
        const ids = createSortedIds()
        const expected = new Set<string>()
        for (const { kind, id } of steps) {
          if (kind === 'read') expect(ids.collect()).toEqual([...expected].sort())
          if (kind === 'delete') ids.delete(id)
          if (kind === 'add' && !expected.has(id)) ids.add(id)
          if (kind === 'delete') expected.delete(id)
          if (kind === 'add') expected.add(id)
        }
        const sorted = [...expected].sort()
        expect(ids.collect()).toEqual(sorted)
        const { from = '', after = '', to = '~', limit = sorted.length } = within
        const inside = sorted.filter((one) => one >= from && one > after && one < to)
        expect(ids.collect(within)).toEqual(inside.slice(0, limit))
      }),
    )
  })

  test('stay in order over many pieces, and when whole pieces go', () => {
    const ids = createSortedIds()
    const count = 5 * pieceIdsMaximum
    // A step that has no divisor in common with the count visits every number once, in no order.
    const all = Array.from({ length: count }, (_, i) => String((i * 1237) % count).padStart(5, '0'))
    for (const one of all) ids.add(one)
    expect(ids.collect()).toEqual(all.toSorted())
    for (const one of all) if (one < '04000') ids.delete(one)
    expect(ids.collect()).toEqual(all.filter((one) => one >= '04000').sort())
    expect(ids.collect({ after: '04999', limit: 2 })).toEqual(['05000', '05001'])
    for (const one of all) ids.delete(one)
    expect(ids.collect()).toEqual([])
  })
})
