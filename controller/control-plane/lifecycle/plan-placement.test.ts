/** Which microshards go where as nodes come and go. */

import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { placeMicroshards } from '../directory/nodes.ts'
import { type MicroshardDirectory, planFirstDirectory } from '../microshard-directory.ts'
import { type PlacementPlan, planPlacement } from './plan-placement.ts'

const namesOf = (count: number) => Array.from({ length: count }, (_, i) => `node-${i + 1}`)

function place(
  count: number,
  nodes: readonly string[],
  where: (id: string) => string | null = () => null,
): MicroshardDirectory {
  const first = planFirstDirectory(count)
  const microshards = first.microshards.map((entry) => ({ ...entry, node: where(entry.id) }))
  return { ...first, microshards, placement: { nodes, drained: [] } }
}

/** As if all of its moves had been made. */
function carryOut(directory: MicroshardDirectory, { moves, nodes }: PlacementPlan): MicroshardDirectory {
  const moved = new Map(moves.map(({ microshardId, node }) => [microshardId, node]))
  return {
    ...directory,
    microshards: directory.microshards.map((entry) => ({ ...entry, node: moved.get(entry.id) ?? entry.node })),
    placement: { ...directory.placement, nodes: nodes ?? directory.placement.nodes },
  }
}

function settle(directory: MicroshardDirectory, present: readonly string[]): MicroshardDirectory {
  const moved = carryOut(directory, planPlacement(directory, present))
  return carryOut(moved, planPlacement(moved, present))
}

const whereOf = ({ microshards }: MicroshardDirectory) => new Map(microshards.map(({ id, node }) => [id, node]))

test('a server that is alone is given nothing, as it has everything', () => {
  expect(planPlacement(place(4, []), ['node-1'])).toEqual({ moves: [], nodes: null })
})

test('what was never placed goes where the function says, and then nothing moves', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 2, max: 9 }), (count, nodes) => {
      const names = namesOf(nodes)
      const settled = settle(place(count, []), names)
      const ids = settled.microshards.map(({ id }) => id)
      expect(whereOf(settled)).toEqual(new Map(placeMicroshards(ids, names)))
      expect(settled.placement.nodes).toEqual(names.toSorted())
      expect(planPlacement(settled, names)).toEqual({ moves: [], nodes: null })
    }),
    { numRuns: 40 },
  )
})

test('who joins or is drained moves what the function moves, and what was moved by hand stays', () => {
  fc.assert(
    fc.property(fc.integer({ min: 8, max: 60 }), fc.integer({ min: 3, max: 7 }), fc.nat(), (count, nodes, by) => {
      const names = namesOf(nodes)
      const before = settle(place(count, []), names)
      const ids = before.microshards.map(({ id }) => id)
      const chosen = ids[by % ids.length] ?? ''
      const elsewhere = names.find((name) => name !== whereOf(before).get(chosen)) ?? ''
      const byHand = carryOut(before, { moves: [{ microshardId: chosen, node: elsewhere }], nodes: null })

      const joined = settle(byHand, [...names, 'node-x'])
      const wanted = placeMicroshards(ids, [...names, 'node-x'])
      for (const id of ids) {
        if (id === chosen) expect(whereOf(joined).get(id)).toBe(elsewhere)
        else expect(whereOf(joined).get(id)).toBe(wanted.get(id) ?? '')
      }

      const drained = { ...joined, placement: { ...joined.placement, drained: ['node-1'] } }
      const left = settle(drained, [...names, 'node-x'])
      expect([...whereOf(left).values()]).not.toContain('node-1')
      expect(left.placement.nodes).not.toContain('node-1')
    }),
    { numRuns: 40 },
  )
})

test('who does not answer keeps what it has, and is given nothing', () => {
  const names = namesOf(3)
  const settled = settle(place(12, []), names)
  expect(planPlacement(settled, names.slice(1))).toEqual({ moves: [], nodes: null })
  const fresh = carryOut(settled, { moves: [{ microshardId: '1', node: 'node-gone' }], nodes: null })
  for (const { node } of planPlacement(fresh, names.slice(1)).moves) expect(node).not.toBe('node-1')
})
