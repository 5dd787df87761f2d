import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import * as v from 'valibot'
import { type AutoScaling, autoScalingSchema } from '../../contract/scaling.ts'
import { boundsAt } from './bounds.ts'
import { decideScaling, type LoadLevels, type ScalingFacts } from './decide-scaling.ts'

const scale = (parts: object = {}): AutoScaling =>
  v.parse(autoScalingSchema, { targets: { requestsPerSecond: 100 }, minimum: 1, maximum: 8, ...parts })

const facts = (parts: Partial<ScalingFacts> & { readonly level?: number } = {}): ScalingFacts => {
  const load: LoadLevels = { requestsPerSecond: parts.level ?? 0 }
  return {
    autoScaling: scale(),
    instanceCount: 2,
    count: 2,
    servingCount: parts.count ?? 2,
    load,
    peak: load,
    lastOutAt: null,
    lastInAt: null,
    now: 1_000_000,
    ...parts,
  }
}
const countOf = (parts: Parameters<typeof facts>[0]) => decideScaling(facts(parts)).desiredCount
const reasonsOf = (parts: Parameters<typeof facts>[0]) =>
  decideScaling(facts(parts)).reasons.map(({ reason }) => reason)

describe('a target', () => {
  test.each([
    ['is enough for what it is met by', { level: 200 }, 2],
    ['asks for one more than it is passed by a little', { level: 201 }, 3],
    ['asks for all that it takes at once', { level: 550 }, 6],
    ['asks for no more than the maximum', { level: 5000 }, 8],
    ['gives back what is not needed by a margin', { level: 85 }, 1],
    ['keeps what is needed but for the margin', { level: 95 }, 2],
    ['never goes below the minimum', { level: 0, autoScaling: scale({ minimum: 2 }) }, 2],
    ['counts what is expected', { level: 10, expectedLoad: { requestsPerSecond: 480 } }, 5],
  ])('%s', (_, parts, count) => {
    expect(countOf(parts)).toBe(count)
  })

  test('takes nothing away while the load was higher within the cooldown, or is not known', () => {
    expect(countOf({ level: 0, peak: { requestsPerSecond: 190 } })).toBe(2)
    expect(countOf({ level: 0, peak: null })).toBe(2)
    expect(reasonsOf({ level: 0, peak: null })).toContain('dataMissing')
    expect(countOf({ load: {}, peak: {} })).toBe(2)
  })

  test('scales out even where some load is not known', () => {
    expect(countOf({ level: 550, peak: null })).toBe(6)
  })

  test('of several the largest wish wins', () => {
    const autoScaling = scale({ targets: { requestsPerSecond: 100, connections: 10 } })
    const load = { requestsPerSecond: 150, connections: 45 }
    expect(countOf({ autoScaling, load, peak: load })).toBe(5)
  })
})

describe('latency', () => {
  const autoScaling = scale({ targets: { latencyMilliseconds: 50 } })
  const at = (latencyMilliseconds: number, parts: Partial<ScalingFacts> = {}) => {
    const load = { latencyMilliseconds }
    return countOf({ autoScaling, load, peak: load, ...parts })
  }

  test('asks for more in proportion, and no more than twice as many at a time', () => {
    expect(at(60)).toBe(3)
    expect(at(500)).toBe(4)
  })

  test('asks for nothing more on account of those that do not serve yet', () => {
    expect(at(100, { count: 4, servingCount: 2 })).toBe(4)
  })

  test('gives back one at a time, where it would stay low with fewer', () => {
    expect(at(10, { count: 4 })).toBe(3)
    expect(at(40, { count: 4 })).toBe(4)
  })
})

describe('steps', () => {
  const steps = [
    { metric: 'connections', over: 100, add: 1 },
    { metric: 'connections', over: 300, add: 3 },
    { metric: 'connections', under: 40, remove: 1 },
  ]
  const autoScaling = scale({ targets: {}, steps })
  const at = (connections: number, parts: Partial<ScalingFacts> = {}) =>
    countOf({ autoScaling, load: { connections }, peak: { connections }, ...parts })

  test('add by the largest that applies', () => {
    expect(at(220)).toBe(3)
    expect(at(700)).toBe(5)
  })

  test('remove where they apply, and where none does nothing changes', () => {
    expect(at(60)).toBe(1)
    expect(at(150)).toBe(2)
    expect(at(150, { count: 3 })).toBe(3)
  })

  test('never remove what a step would add again', () => {
    const eager = scale({
      targets: {},
      steps: [
        { metric: 'connections', over: 100, add: 4 },
        { metric: 'connections', under: 99, remove: 7 },
      ],
    })
    expect(at(250, { autoScaling: eager, count: 6 })).toBe(3)
  })
})

describe('schedules', () => {
  const monday = Date.parse('2024-01-01T09:00:00Z')
  const autoScaling = scale({ schedules: [{ from: '08:00', until: '10:00', minimum: 5, maximum: 8 }] })

  test('raise at once, whatever cools down', () => {
    expect(countOf({ autoScaling, now: monday, lastOutAt: monday - 1 })).toBe(5)
    expect(reasonsOf({ autoScaling, now: monday, lastOutAt: monday - 1 })).toContain('schedule')
  })

  test('alone return to what was asked for', () => {
    const alone = scale({ targets: {}, schedules: autoScaling.schedules })
    expect(countOf({ autoScaling: alone, count: 5, now: monday + 3 * 3_600_000 })).toBe(2)
  })
})

describe('a cooldown', () => {
  test('holds back more for its time, and then not', () => {
    expect(countOf({ level: 900, lastOutAt: 1_000_000 - 14_999 })).toBe(2)
    expect(countOf({ level: 900, lastOutAt: 1_000_000 - 15_000 })).toBe(8)
    expect(reasonsOf({ level: 900, lastOutAt: 999_999 })).toContain('cooldown')
  })

  test('never lets a crowd wait for a scale-in', () => {
    expect(countOf({ level: 900, lastInAt: 999_999 })).toBe(8)
  })

  test('holds back fewer after any change', () => {
    expect(countOf({ level: 0, lastOutAt: 1_000_000 - 299_999 })).toBe(2)
    expect(countOf({ level: 0, lastInAt: 1_000_000 - 299_999 })).toBe(2)
    expect(countOf({ level: 0, lastOutAt: 1_000_000 - 300_000 })).toBe(1)
  })
})

/** A balancer whose load is a function of the second, decided on once a second by the true decision. */
function simulate(options: {
  readonly autoScaling: AutoScaling
  readonly levelAt: (second: number) => number
  readonly seconds: number
  readonly begin: number
}) {
  const { autoScaling, levelAt, seconds, begin } = options
  let count = begin
  let lastOutAt: number | null = null
  let lastInAt: number | null = null
  const levels: number[] = []
  const changes: { readonly at: number; readonly from: number; readonly to: number }[] = []
  for (let second = 0; second < seconds; second++) {
    levels.push(levelAt(second))
    const window = levels.slice(-autoScaling.cooldown.inSeconds)
    const now = second * 1000
    const { desiredCount } = decideScaling({
      autoScaling,
      instanceCount: begin,
      count,
      servingCount: count,
      load: { requestsPerSecond: levels.at(-1) ?? 0 },
      peak: window.length < autoScaling.cooldown.inSeconds ? null : { requestsPerSecond: Math.max(...window) },
      lastOutAt,
      lastInAt,
      now,
    })
    if (desiredCount === count) continue
    changes.push({ at: now, from: count, to: desiredCount })
    if (desiredCount > count) lastOutAt = now
    else lastInAt = now
    count = desiredCount
  }
  return { count, changes }
}

const anyScaling = fc
  .record({
    a: fc.integer({ min: 1, max: 8 }),
    b: fc.integer({ min: 1, max: 8 }),
    target: fc.integer({ min: 1, max: 500 }),
    outSeconds: fc.integer({ min: 1, max: 20 }),
    inSeconds: fc.integer({ min: 1, max: 30 }),
    hysteresisPercent: fc.integer({ min: 0, max: 50 }),
  })
  .map(({ a, b, target, outSeconds, inSeconds, hysteresisPercent }) =>
    scale({
      minimum: Math.min(a, b),
      maximum: Math.max(a, b),
      targets: { requestsPerSecond: target },
      cooldown: { outSeconds, inSeconds },
      hysteresisPercent,
    }),
  )
const begins = fc.integer({ min: 1, max: 8 })
const seconds = 120

describe('whatever is asked for', () => {
  test('a load that stays the same is met, and the count comes to rest with a single change', () => {
    fc.assert(
      fc.property(anyScaling, begins, fc.integer({ min: 0, max: 5000 }), (autoScaling, begin, level) => {
        const { count, changes } = simulate({ autoScaling, levelAt: () => level, seconds, begin })
        const { minimum, maximum, targets, hysteresisPercent } = autoScaling
        const target = targets.requestsPerSecond ?? 1
        expect(level <= count * target || count === maximum).toBe(true)
        const fewer = count - 1
        expect(count === minimum || level > fewer * target * (1 - hysteresisPercent / 100) - 1e-6).toBe(true)
        // The first may only be what brings it within its bounds.
        const decided = changes.filter(({ from }) => from >= minimum && from <= maximum)
        expect(decided.length).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('the count stays within its bounds, and cooldowns are kept', () => {
    const anyLevels = fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: seconds, maxLength: seconds })
    fc.assert(
      fc.property(anyScaling, begins, anyLevels, (autoScaling, begin, levels) => {
        const levelAt = (second: number) => levels[second] ?? 0
        const { changes } = simulate({ autoScaling, levelAt, seconds, begin })
        const { minimum, maximum, cooldown } = autoScaling
        let last: { readonly at: number; readonly isOut: boolean } | null = null
        for (const { at, from, to } of changes) {
          expect(to).toBeGreaterThanOrEqual(minimum)
          expect(to).toBeLessThanOrEqual(maximum)
          const isOut = to > from
          const wait = isOut ? (last?.isOut === true ? cooldown.outSeconds : 0) : cooldown.inSeconds
          if (last !== null && from >= minimum && from <= maximum)
            expect(at - last.at).toBeGreaterThanOrEqual(wait * 1000)
          last = { at, isOut }
        }
      }),
    )
  })

  test('a load that wavers by less than the margin makes it change once at most each way', () => {
    fc.assert(
      fc.property(
        begins,
        fc.integer({ min: 1, max: 700 }),
        fc.array(fc.double({ min: 0.96, max: 1, noNaN: true }), { minLength: seconds, maxLength: seconds }),
        (begin, level, factors) => {
          const autoScaling = scale({ cooldown: { outSeconds: 2, inSeconds: 10 }, hysteresisPercent: 10 })
          const levelAt = (second: number) => level * (factors[second] ?? 1)
          const { changes } = simulate({ autoScaling, levelAt, seconds, begin })
          const turns = changes.filter(({ from, to }, i) => {
            const before = changes[i - 1]
            return before !== undefined && to > from !== before.to > before.from
          })
          expect(turns.length).toBeLessThanOrEqual(1)
        },
      ),
    )
  })

  test('nothing that is said can make the decision leave its bounds or fail', () => {
    const anyLevel = fc.option(fc.double({ min: 0, max: 1e6, noNaN: true }), { nil: undefined })
    const anyLevels = fc.record({ requestsPerSecond: anyLevel, cpuPercent: anyLevel, latencyMilliseconds: anyLevel })
    fc.assert(
      fc.property(anyScaling, begins, anyLevels, fc.option(anyLevels), fc.nat(), (base, count, load, peak, now) => {
        const autoScaling = { ...base, targets: { ...base.targets, cpuPercent: 50, latencyMilliseconds: 20 } }
        const { desiredCount } = decideScaling(
          facts({ autoScaling, count, load: defined(load), peak: peak && defined(peak), now }),
        )
        const { minimum, maximum } = boundsAt(autoScaling, now)
        return Number.isInteger(desiredCount) && desiredCount >= minimum && desiredCount <= maximum
      }),
    )
  })
})

const defined = (levels: Readonly<Record<string, number | undefined>>): LoadLevels =>
  Object.fromEntries(Object.entries(levels).filter(([, level]) => level !== undefined))
