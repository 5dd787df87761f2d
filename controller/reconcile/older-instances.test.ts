import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { countOlderInstances } from './older-instances.ts'

/** Balancers by name, made in this order unless their ids say otherwise; and by host, whose instances are there. */
function count(balancers: Readonly<Record<string, number>>, hosts: readonly string[]): Record<string, number> {
  const made = Object.entries(balancers).map(([id, at]) => ({ id, createdAt: new Date(at).toISOString() }))
  const instances = hosts.flatMap((ids, i) =>
    [...ids].map((loadBalancerId) => ({ value: { loadBalancerId, hostId: `host ${i}` } })),
  )
  return Object.fromEntries(countOlderInstances(made, instances))
}

describe('before a balancer there are', () => {
  const rows: readonly (readonly [
    string,
    Readonly<Record<string, number>>,
    readonly string[],
    Record<string, number>,
  ])[] = [
    ['none, where it is alone', { a: 1 }, ['aa'], { a: 0 }],
    ['those of older ones, in whatever order they are told', { a: 2, b: 1 }, ['ab', 'ab'], { a: 1, b: 0 }],
    ['those on the fullest of its hosts', { a: 1, b: 2, c: 3 }, ['ac', 'abbc', 'b'], { a: 0, b: 1, c: 3 }],
    ['those with a lower id, of the same moment', { b: 1, a: 1 }, ['ba'], { a: 0, b: 1 }],
  ]
  for (const [sentence, balancers, hosts, expected] of rows) {
    test(sentence, () => expect(count(balancers, hosts)).toEqual(expected))
  }
})

test('whoever comes later changes nothing for those who are there', () => {
  const placesOf = (letters: string) => fc.string({ unit: fc.constantFrom(...letters), maxLength: 8 })
  fc.assert(
    fc.property(fc.array(fc.tuple(placesOf('abc'), placesOf('z')), { minLength: 1, maxLength: 4 }), (hosts) => {
      const ages = { a: 1, b: 2, c: 3 }
      const before = count(
        ages,
        hosts.map(([there]) => there),
      )
      const after = count(
        { ...ages, z: 4 },
        hosts.map(([there, later]) => later + there),
      )
      expect(after).toMatchObject(before)
    }),
  )
})
