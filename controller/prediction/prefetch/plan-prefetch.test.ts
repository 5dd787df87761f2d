import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Candidate, type PlanSettings, planPrefetch, validityAfter } from './plan-prefetch.ts'

const settings: PlanSettings = {
  gapSeconds: 2,
  ageSecondsMaximum: 30,
  hitMilliseconds: 0.1,
  price: 0.1,
  budgetMilliseconds: 500,
  readsMaximum: 3,
}
const likely: Candidate = {
  name: { actionType: 'showNetworkHistory', parameters: { id: 'net_a' }, query: {} },
  key: 'a',
  way: 'aimed',
  probability: 0.8,
  readMilliseconds: 10,
  outdatedPerSecond: 0.01,
  isCached: false,
}

const rows: readonly (readonly [string, Partial<Candidate>, Partial<PlanSettings>, string])[] = [
  ['a likely read that takes long is made', {}, {}, 'prefetch'],
  ['an unlikely one is not worth it', { probability: 0.05 }, {}, 'notWorth'],
  ['one that is no slower than memory is not', { readMilliseconds: 0.1 }, {}, 'notWorth'],
  ['one that will be outdated by then is not', { outdatedPerSecond: 20 }, {}, 'notWorth'],
  ['nor one that will be too old by then', {}, { gapSeconds: 3_000 }, 'notWorth'],
  ['one that is there already is not made again', { isCached: true }, {}, 'cached'],
  ['one that there is no budget for is not', {}, { budgetMilliseconds: 9 }, 'overBudget'],
  ['nor one when enough are under way', {}, { readsMaximum: 0 }, 'overBudget'],
  ['where extra reads cost nothing, an unlikely one is made', { probability: 0.05 }, { price: 0 }, 'prefetch'],
]
for (const [sentence, candidate, more, decision] of rows) {
  test(sentence, () => {
    const [judged] = planPrefetch([{ ...likely, ...candidate }], { ...settings, ...more })
    expect(judged?.decision).toBe(decision as NonNullable<typeof judged>['decision'])
  })
}

test('the most valuable is made first, and takes the budget', () => {
  const slow = { ...likely, key: 'slow', readMilliseconds: 40 }
  const planned = planPrefetch([likely, slow], { ...settings, budgetMilliseconds: 45 })
  expect(planned.map(({ key, decision }) => [key, decision])).toEqual([
    ['slow', 'prefetch'],
    ['a', 'overBudget'],
  ])
})

const candidate: fc.Arbitrary<Candidate> = fc.record({
  name: fc.constant(likely.name),
  key: fc.string({ maxLength: 3 }),
  way: fc.constantFrom('aimed', 'asBefore', 'asOthers'),
  probability: fc.double({ min: 0, max: 1, noNaN: true }),
  readMilliseconds: fc.double({ min: 0, max: 1_000, noNaN: true }),
  outdatedPerSecond: fc.double({ min: 0, max: 100, noNaN: true }),
  isCached: fc.boolean(),
})

describe('of any candidates', () => {
  test('what is made pays, is not there yet, and stays within the budget', () => {
    fc.assert(
      fc.property(fc.array(candidate, { maxLength: 12 }), fc.nat(1_000), fc.nat(4), (candidates, budget, reads) => {
        const planned = planPrefetch(candidates, { ...settings, budgetMilliseconds: budget, readsMaximum: reads })
        const made = planned.filter(({ decision }) => decision === 'prefetch')
        expect(planned.length).toBe(candidates.length)
        expect(made.every(({ value, isCached }) => value > 0 && !isCached)).toBe(true)
        expect(made.length).toBeLessThanOrEqual(reads)
        expect(made.reduce((sum, { readMilliseconds }) => sum + readMilliseconds, 0)).toBeLessThanOrEqual(budget + 1e-6)
        expect(planned).toEqual(planned.toSorted((a, b) => b.value - a.value))
      }),
    )
  })

  test('validity is a probability, and falls with changes and with waiting', () => {
    const positive = fc.double({ min: 1e-3, max: 1e4, noNaN: true })
    fc.assert(
      fc.property(positive, positive, positive, (gap, age, rate) => {
        const validity = validityAfter(gap, age, rate)
        expect(validity).toBeGreaterThanOrEqual(0)
        expect(validity).toBeLessThanOrEqual(1)
        expect(validityAfter(gap, age, rate * 2)).toBeLessThanOrEqual(validity + 1e-12)
        expect(validityAfter(gap * 2, age, rate)).toBeLessThanOrEqual(validity + 1e-12)
        expect(validityAfter(gap, age * 2, rate)).toBeGreaterThanOrEqual(validity - 1e-12)
      }),
    )
  })
})
