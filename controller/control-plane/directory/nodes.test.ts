import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { chooseNode, loadBound, placeMicroshards, rankNodes, rememberNodes } from './nodes.ts'

const namesOf = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}-${i + 1}`)

function loadsOf(placed: ReadonlyMap<string, string>): ReadonlyMap<string, number> {
  const loads = new Map<string, number>()
  for (const node of placed.values()) loads.set(node, (loads.get(node) ?? 0) + 1)
  return loads
}

describe('microshards on nodes', () => {
  test('are all placed, none of them on a node that holds more than its share', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 300 }), (nodes, microshards) => {
        const placed = placeMicroshards(namesOf('ms', microshards), namesOf('node', nodes))
        expect(placed.size).toBe(microshards)
        const share = Math.ceil((loadBound * microshards) / nodes)
        for (const load of loadsOf(placed).values()) expect(load).toBeLessThanOrEqual(share)
      }),
      { numRuns: 50 },
    )
  })

  test('lie where they lie whatever order they are named in', () => {
    const [ids, nodes] = [namesOf('ms', 50), namesOf('node', 5)]
    expect(placeMicroshards(ids.toReversed(), nodes.toReversed())).toEqual(placeMicroshards(ids, nodes))
  })

  /** Figures of this very code: the hash is fixed, so that they are too. */
  test.each([
    [10, 1_000],
    [100, 5_000],
  ])('on %i nodes keep within the bound, and few move when a node joins or leaves', (count, microshards) => {
    const [ids, nodes] = [namesOf('ms', microshards), namesOf('node', count)]
    const placed = placeMicroshards(ids, nodes)
    const peak = Math.max(...loadsOf(placed).values()) / (microshards / count)
    expect(peak).toBeLessThanOrEqual(1.3)
    for (const others of [nodes.slice(1), [...nodes, 'node-new']]) {
      const moved = [...placeMicroshards(ids, others)].filter(([id, node]) => placed.get(id) !== node)
      // What the node held or wins, and what the bound displaces.
      expect(moved.length).toBeLessThanOrEqual(Math.ceil((4 * microshards) / count))
    }
  })

  test('one more goes to the first of its nodes that has room', () => {
    const nodes = ['a', 'b', 'c']
    const [best = '', next = ''] = rankNodes('9', nodes)
    expect(chooseNode('9', nodes, [])).toBe(best)
    expect(chooseNode('9', nodes, [best, best, best, next])).not.toBe(best)
    expect(chooseNode('9', [], [])).toBeNull()
  })
})

test('nodes are remembered for a while, and asked again after one could not be', async () => {
  let [now, asked] = [0, 0]
  const answers = [() => Promise.reject(new Error('no answer')), async () => []]
  const nodes = rememberNodes({ list: () => (answers[Math.min(asked++, 1)] ?? (async () => []))() }, () => now, 100)
  await expect(nodes.list()).rejects.toThrow('no answer')
  expect(await nodes.list()).toEqual([])
  await nodes.list()
  expect(asked).toBe(2)
  now = 100
  await nodes.list()
  expect(asked).toBe(3)
})
