import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { keepActionIds, keyedActionId, keyedActionKeptMilliseconds, keyedActionsKeptMaximum } from './kept-actions.ts'
import { actionsKeptMaximum } from './store.ts'

const now = 10_000_000

test('a request with a key is told among any number of writes that follow, until its time is over', () => {
  const keyed = keyedActionId(`${now}.abc`)
  let kept: readonly string[] = [keyed]
  for (let i = 0; i < 1_000; i++) kept = keepActionIds(kept, [`request ${i}`], now + keyedActionKeptMilliseconds)
  expect(kept).toHaveLength(actionsKeptMaximum + 1)
  expect(kept[0]).toBe(keyed)
  expect(keepActionIds(kept, ['request'], now + keyedActionKeptMilliseconds + 1)).not.toContain(keyed)
})

test('the last are kept whatever they are, in their order, and never more than so many', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(2 * now)), { maxLength: 600 }), (drawn) => {
      const ids = drawn.map(([isKeyed, time], i) => (isKeyed ? keyedActionId(`${time}.${i}`) : `request ${i}`))
      const kept = ids.reduce<readonly string[]>((before, id) => keepActionIds(before, [id], now), [])
      expect(kept.slice(-actionsKeptMaximum)).toEqual(ids.slice(-actionsKeptMaximum))
      expect(kept).toEqual(ids.filter((id) => kept.includes(id)))
      expect(kept.length).toBeLessThanOrEqual(actionsKeptMaximum + keyedActionsKeptMaximum)
    }),
    { numRuns: 50 },
  )
})
