import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type HostCandidate, placeInstances, placeMachine } from './place-instances.ts'

const host = (name: string, instances = 0, machines = 0): HostCandidate => ({
  id: `id ${name}`,
  name,
  instances,
  machines,
})
const place = (count: number, hosts: readonly HostCandidate[], occupied: readonly string[] = []) =>
  placeInstances({ count, hosts, occupied: occupied.map((name) => `id ${name}`) }).map(({ name }) => name)

describe('instances are placed', () => {
  const rows: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['on different hosts', place(2, [host('a'), host('b'), host('c')]), ['a', 'b']],
    ['on the least loaded', place(2, [host('a', 3), host('b', 1), host('c', 2)]), ['b', 'c']],
    ['by machines, where instances are equal', place(1, [host('a', 1, 5), host('b', 1, 2)]), ['b']],
    ['beside one of the same balancer only where no other host is', place(2, [host('a')]), ['a', 'a']],
    ['away from those that run, even where more runs', place(1, [host('a', 0), host('b', 9)], ['a']), ['b']],
    ['on the host with fewer of the same balancer', place(1, [host('a'), host('b')], ['a', 'a', 'b']), ['b']],
    ['nowhere, where there is no host', place(2, []), []],
  ]
  for (const [sentence, placed, expected] of rows) {
    test(sentence, () => expect(placed).toEqual(expected))
  }

  test('of one balancer never two on a host while another has none', () => {
    const hosts = fc.array(fc.tuple(fc.nat(50), fc.nat(50)), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(hosts, fc.integer({ min: 1, max: 8 }), (loads, count) => {
        const candidates = loads.map(([instances, machines], i) => host(`host-${i}`, instances, machines))
        const placed = place(count, candidates)
        expect(placed.length).toBe(count)
        expect(new Set(placed).size).toBe(Math.min(count, candidates.length))
      }),
    )
  })

  test('many balancers leave every host with nearly as much as the others', () => {
    const loads = new Map(['a', 'b', 'c'].map((name) => [name, 0]))
    for (let i = 0; i < 100; i++) {
      const hosts = [...loads].map(([name, instances]) => host(name, instances))
      for (const name of place(2, hosts)) loads.set(name, (loads.get(name) ?? 0) + 1)
    }
    expect(Math.max(...loads.values()) - Math.min(...loads.values())).toBeLessThanOrEqual(1)
  })
})

test('a machine goes to the host with the fewest machines', () => {
  expect(placeMachine([host('a', 0, 2), host('b', 9, 1), host('c', 0, 3)])?.name).toBe('b')
  expect(placeMachine([])).toBeUndefined()
})
