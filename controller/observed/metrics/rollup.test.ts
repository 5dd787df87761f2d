import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { measureIncrease } from './increase.ts'
import { addReading, createReadings, uniteReadings } from './readings.ts'
import { coarsen, replaceWindows, rollUp } from './rollup.ts'

describe('an increase', () => {
  const rows: readonly (readonly [string, 'derive' | 'counter', number, number, number])[] = [
    ['counts up', 'derive', 10, 15, 5],
    ['stands still', 'derive', 10, 10, 0],
    ['begins anew with its program', 'derive', 1000, 7, 7],
    ['of a counter may wrap in 32 bits', 'counter', 2 ** 32 - 6, 4, 10],
    ['of a counter may wrap in 64 bits', 'counter', 2 ** 64 - 4096, 4096, 8192],
    ['of a counter that began anew is no wrap', 'counter', 1000, 7, 7],
  ]
  for (const [sentence, kind, before, after, increase] of rows) {
    test(sentence, () => expect(measureIncrease(kind, before, after)).toBe(increase))
  }
})

describe('windows', () => {
  test('of levels have the least, the greatest, the mean, the last', () => {
    const windows = rollUp([0, 10_000, 50_000, 60_000], [3, 1, 2, 9], {
      kind: 'gauge',
      windowSeconds: 60,
      before: null,
    })
    expect(windows).toEqual({
      starts: [0, 60_000],
      count: [3, 1],
      least: [1, 9],
      greatest: [3, 9],
      last: [2, 9],
      sum: [6, 9],
      weight: [3, 1],
    })
  })

  test('of a counter have rates, that before the first one among them', () => {
    const before = { time: 0, value: 0 }
    const windows = rollUp([10_000, 30_000, 40_000], [100, 120, 5], { kind: 'derive', windowSeconds: 60, before })
    expect(windows).toEqual({
      starts: [0],
      count: [3],
      least: [0.5],
      greatest: [10],
      last: [0.5],
      sum: [125],
      weight: [40],
    })
  })

  test('of a counter know nothing of a long pause', () => {
    const windows = rollUp([400_000], [100], { kind: 'derive', windowSeconds: 60, before: { time: 0, value: 0 } })
    expect(windows.starts).toEqual([])
  })

  test('leave out what is not known', () => {
    const windows = rollUp([0, 1, 2], [1, Number.NaN, 3], { kind: 'gauge', windowSeconds: 60, before: null })
    expect(windows).toMatchObject({ count: [2], sum: [4] } as object)
  })

  const steps = fc.array(
    fc.record({ gap: fc.integer({ min: 1, max: 90_000 }), value: fc.integer({ min: 0, max: 1e6 }) }),
  )
  const series = steps.map((list) => {
    let time = 0
    const times: number[] = []
    for (const { gap } of list) {
      time += gap
      times.push(time)
    }
    return { times, values: list.map(({ value }) => value / 4) }
  })
  const kinds = fc.constantFrom('gauge', 'derive', 'counter')

  test('made longer are those made of the readings at once', () => {
    fc.assert(
      fc.property(series, kinds, ({ times, values }, kind) => {
        const options = { kind, before: null } as const
        const minutes = rollUp(times, values, { ...options, windowSeconds: 60 })
        const hours = rollUp(times, values, { ...options, windowSeconds: 3600 })
        expect(coarsen(coarsen(minutes, 300), 3600)).toEqual(hours)
      }),
    )
  })

  test('are replaced by those made anew', () => {
    fc.assert(
      fc.property(series, kinds, fc.nat({ max: 50 }), fc.nat({ max: 50 }), ({ times, values }, kind, a, b) => {
        const windows = rollUp(times, values, { kind, windowSeconds: 60, before: null })
        const [from, to] = [Math.min(a, b) * 60_000, Math.max(a, b) * 60_000]
        expect(replaceWindows(windows, windows, from, to)).toEqual(windows)
      }),
    )
  })
})

describe('readings', () => {
  const said = fc.array(
    fc.tuple(fc.nat({ max: 30 }), fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 2, maxLength: 2 })),
  )
  const take = (list: readonly (readonly [number, readonly number[]])[]) => {
    const readings = createReadings(2)
    for (const [time, values] of list) addReading(readings, time, values)
    return {
      times: readings.times,
      columns: readings.columns.map((column) =>
        typeof column === 'number' ? readings.times.map(() => column) : column,
      ),
    }
  }

  test('are the same whatever the order in which they come, and however often', () => {
    fc.assert(
      fc.property(
        said.chain((list) =>
          fc.tuple(fc.constant(list), fc.shuffledSubarray([...list, ...list], { minLength: 2 * list.length })),
        ),
        ([once, again]) => expect(take(again)).toEqual(take(once)),
      ),
    )
  })

  test('united are as if all had come to one', () => {
    fc.assert(
      fc.property(said, said, (a, b) => {
        const [one, other] = [createReadings(2), createReadings(2)]
        for (const [time, values] of a) addReading(one, time, values)
        for (const [time, values] of b) addReading(other, time, values)
        const united = uniteReadings(one, other)
        const together = take([...a, ...b])
        expect(united.times).toEqual(together.times)
        expect(
          united.columns.map((column) => united.times.map((_, i) => (typeof column === 'number' ? column : column[i]))),
        ).toEqual(together.columns)
      }),
    )
  })
})
