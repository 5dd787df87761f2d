import { expect, test } from 'bun:test'
import { joinClashes, listCollisions, listDifferences } from './clash.ts'

const fieldsOf = (found: readonly { readonly field: string }[]) => found.map(({ field }) => field)

test('differences are told field by field, and what nobody changed is left out', () => {
  const base = { name: 'web', check: { path: '/', port: 80 }, ports: [80] }
  const wanted = { ...base, name: 'front' }
  const latest = { ...base, check: { path: '/health', port: 80 } }
  expect(listDifferences(base, wanted, latest)).toEqual([
    { field: 'check.path', base: '/', wanted: '/', latest: '/health' },
    { field: 'name', base: 'web', wanted: 'front', latest: 'web' },
  ])
})

test('only what both have changed, each otherwise, collides', () => {
  const collisions = (base: unknown, wanted: unknown, latest: unknown) =>
    fieldsOf(listCollisions(listDifferences(base, wanted, latest)))
  expect(collisions({ a: 1, b: 1 }, { a: 2, b: 1 }, { a: 1, b: 2 })).toEqual([])
  expect(collisions({ a: 1 }, { a: 2 }, { a: 2 })).toEqual([])
  expect(collisions({ a: 1 }, { a: 2 }, { a: 3 })).toEqual(['a'])
  expect(collisions({ list: [1] }, { list: [1, 2] }, { list: [1, 3] })).toEqual(['list'])
  // A deletion wants none of what others have changed.
  expect(collisions({ a: 1, b: 1 }, null, { a: 1, b: 2 })).toEqual(['b'])
})

test('what clashed at first is shown with what is there in the end', () => {
  const clash = (baseVersion: number, latestVersion: number, wanted: object, latest: object, base: object) => ({
    ...{ kind: 'network', id: 'net_1', reason: 'contended' as const, baseVersion, latestVersion },
    differences: listDifferences(base, wanted, latest),
  })
  const first = clash(1, 2, { name: 'front' }, { name: 'web' }, { name: 'web' })
  const last = clash(8, 9, { name: 'front', mtu: 7 }, { name: 'web', mtu: 8 }, { name: 'web', mtu: 7 })
  expect(joinClashes(first, last)).toMatchObject({
    ...{ baseVersion: 1, latestVersion: 9 },
    differences: [
      { field: 'mtu', base: null, wanted: null, latest: 8 },
      { field: 'name', base: 'web', wanted: 'front', latest: 'web' },
    ],
  })
})
