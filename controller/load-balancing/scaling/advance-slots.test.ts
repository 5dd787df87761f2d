import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { SlotValue } from '../../objects.ts'
import { advanceSlots, isStaying, type SlotsTurn } from './advance-slots.ts'

const begin = Date.parse('2030-01-01T00:00:00Z')
const at = (seconds: number) => new Date(begin + seconds * 1000).toISOString()
const slot = (number: number, parts: Partial<SlotValue> = {}): SlotValue => ({
  slot: number,
  vip: `198.18.32.${number}`,
  instanceId: `instance ${number}`,
  ...parts,
})
const turn = (slots: readonly SlotValue[], wantedCount: number, parts: Partial<SlotsTurn> = {}): SlotsTurn => ({
  slots,
  wantedCount,
  nameSeconds: 5,
  unlistedSince: ({ leavingSince }) => Date.parse(leavingSince ?? at(0)),
  drainSeconds: 10,
  isPlaced: ({ instanceId }) => instanceId !== null,
  isDrained: () => false,
  now: begin,
  ...parts,
})
const leaving = { leavingSince: at(0) }
const draining = { leavingSince: at(0), drainingSince: at(5) }

describe('slots', () => {
  test.each<readonly [string, SlotsTurn, ReturnType<typeof advanceSlots>]>([
    ['that are as many as wanted stay as they are', turn([slot(1), slot(2)], 2), null],
    ['that are too few are not for this to add', turn([slot(1)], 2), null],
    [
      'that are too many are marked, the newest first',
      turn([slot(1), slot(2), slot(3)], 1),
      { kept: [slot(1), slot(2, leaving), slot(3, leaving)], retired: [] },
    ],
    [
      'that are empty go before the newest, and at once',
      turn([slot(1), slot(2, { instanceId: null }), slot(3)], 2),
      { kept: [slot(1), slot(3)], retired: [slot(2, { instanceId: null, ...leaving })] },
    ],
    ['on their way out wait for names', turn([slot(1), slot(2, leaving)], 1, { now: begin + 4999 }), null],
    [
      'drain when nobody can have been told of them of late',
      turn([slot(1), slot(2, leaving)], 1, { now: begin + 5000 }),
      { kept: [slot(1), slot(2, draining)], retired: [] },
    ],
    [
      'wait for names that list them still, as their server is away',
      turn([slot(1), slot(2, leaving)], 1, { now: begin + 60_000, unlistedSince: () => null }),
      null,
    ],
    ['that drain are waited for', turn([slot(1), slot(2, draining)], 1, { now: begin + 19_999 }), null],
    [
      'that are drained go',
      turn([slot(1), slot(2, draining)], 1, { now: begin + 6000, isDrained: () => true }),
      { kept: [slot(1)], retired: [slot(2, draining)] },
    ],
    [
      'whose host says nothing go in the end',
      turn([slot(1), slot(2, draining)], 1, { now: begin + 20_000 }),
      { kept: [slot(1)], retired: [slot(2, draining)] },
    ],
    [
      'that are wanted again stay, the oldest first, however far they were',
      turn([slot(1), slot(2, draining), slot(3, leaving)], 2),
      { kept: [slot(1), slot(2), slot(3, leaving)], retired: [] },
    ],
    [
      'whose instance has no place are not taken back',
      turn([slot(1), slot(2, { ...leaving, instanceId: null })], 2),
      { kept: [slot(1)], retired: [slot(2, { ...leaving, instanceId: null })] },
    ],
  ])('%s', (_, given, expected) => {
    expect(advanceSlots(given)).toEqual(expected)
  })

  test('come to as many as are wanted, never to fewer on the way, and then rest', () => {
    const wishes = fc.array(
      fc.record({ wanted: fc.integer({ min: 1, max: 8 }), seconds: fc.integer({ min: 0, max: 12 }) }),
      {
        minLength: 1,
      },
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), wishes, (count, changes) => {
        let slots: readonly SlotValue[] = Array.from({ length: count }, (_, i) => slot(i + 1))
        let now = begin
        const step = (wantedCount: number) => {
          const change = advanceSlots(turn(slots, wantedCount, { now, isDrained: () => now % 3 === 0 }))
          const before = slots
          if (change !== null) slots = change.kept
          const staying = slots.filter(isStaying)
          expect(staying.length).toBeGreaterThanOrEqual(Math.min(wantedCount, before.length))
          // Whoever goes has been out of names and has drained for as long as either takes.
          for (const gone of change?.retired ?? []) {
            expect(gone.leavingSince !== undefined && gone.drainingSince !== undefined).toBe(true)
            expect(Date.parse(gone.drainingSince ?? '') - Date.parse(gone.leavingSince ?? '')).toBeGreaterThanOrEqual(
              5000,
            )
          }
        }
        for (const { wanted, seconds } of changes) {
          step(wanted)
          now += seconds * 1000
        }
        const last = changes.at(-1)?.wanted ?? 1
        for (let i = 0; i < 60; i++) {
          step(last)
          now += 1000
        }
        expect(slots.length).toBeLessThanOrEqual(last)
        expect(slots.every(isStaying)).toBe(true)
        expect(advanceSlots(turn(slots, last, { now }))).toBeNull()
      }),
    )
  })
})
