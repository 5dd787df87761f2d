import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { advertIntervalSeconds, homePriority, listVipDuties, type SlotOnRing } from './vip-priorities.ts'

const ringOf = (count: number): SlotOnRing[] =>
  Array.from({ length: count }, (_, i) => ({ slot: i + 1, instanceId: `instance ${i + 1}` }))
const dutiesOf = (ring: readonly SlotOnRing[], instance: number) =>
  listVipDuties(ring, `instance ${instance}`).map(
    ({ slot, priority, home }) => `${slot}:${priority}${home ? ' home' : ''}`,
  )

describe('an instance serves', () => {
  const rows: readonly (readonly [string, readonly SlotOnRing[], number, readonly string[]])[] = [
    ['its own VIP alone, when it is alone', ringOf(1), 1, ['1:250 home']],
    ['both VIPs of two, its own first', ringOf(2), 1, ['1:250 home', '2:200']],
    ['every VIP of four, each at another distance', ringOf(4), 2, ['1:180', '2:250 home', '3:200', '4:190']],
    ['its neighbours alone, of five', ringOf(5), 3, ['2:190', '3:250 home', '4:200']],
    ['its neighbours around the ring', ringOf(6), 6, ['1:200', '5:190', '6:250 home']],
    ['nothing, when it has no slot', ringOf(3), 9, []],
    [
      'the VIP of a slot without an instance as well',
      [
        { slot: 1, instanceId: 'instance 1' },
        { slot: 2, instanceId: null },
      ],
      1,
      ['1:250 home', '2:200'],
    ],
  ]
  for (const [sentence, ring, instance, duties] of rows) {
    test(sentence, () => expect(dutiesOf(ring, instance)).toEqual([...duties]))
  }
})

test('whatever the slots, each VIP has one home, and no two of its servers are equally keen', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 8 }), (slots) => {
      const ring = slots.map((slot) => ({ slot, instanceId: `instance ${slot}` }))
      for (const { slot } of ring) {
        const duties = slots.flatMap((one) =>
          listVipDuties(ring, `instance ${one}`).filter((duty) => duty.slot === slot),
        )
        expect(new Set(duties.map(({ priority }) => priority)).size).toBe(duties.length)
        expect(duties.filter(({ home }) => home).map(({ priority }) => priority)).toEqual([homePriority])
        expect(duties.length).toBe(slots.length <= 4 ? slots.length : 3)
        for (const { priority } of duties) expect(priority >= 1 && priority <= 254).toBe(true)
      }
    }),
  )
})

describe('adverts', () => {
  const rows: readonly (readonly [number, number, number])[] = [
    [0.05, 0, 0.05],
    [0.05, 24, 0.05],
    [0.05, 25, 0.1],
    [0.05, 49, 0.1],
    [0.05, 50, 0.2],
    [0.05, 100, 0.4],
    [0.05, 399, 0.8],
    [0.05, 10_000, 1],
    [0.3, 60, 1],
    [2, 0, 2],
    [2, 60, 2],
  ]
  for (const [shortest, older, seconds] of rows) {
    test(`are sent each ${seconds} s with ${older} older instances on a host, where ${shortest} s is the shortest`, () => {
      expect(advertIntervalSeconds(shortest, older)).toBe(seconds)
    })
  }
})
