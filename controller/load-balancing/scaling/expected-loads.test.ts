import { describe, expect, test } from 'bun:test'
import { createExpectedLoads, expectLevels, forecastStepMs, type LoadForecast } from './expected-loads.ts'

const begin = Date.parse('2030-01-07T00:00:00Z')
const at = (step: number) => begin + step * forecastStepMs
/** Ten times as much in the last quarter of each hour. */
const hourly = (step: number) => (step % 12 >= 9 ? 1000 : 100)
const observed = (steps: number, valueAt: (step: number) => number) => {
  const expected = createExpectedLoads()
  for (let step = 0; step < steps; step++) expected.observe('lb', { atMs: at(step), value: valueAt(step) })
  return expected
}

describe('what is expected of a balancer', () => {
  test('with a rhythm counts, and is the greatest by the time that one more could serve', () => {
    const forecast = observed(12 * 48 + 9, hourly).foresee('lb', at(12 * 48 + 8.6))
    expect(forecast?.isUsed).toBe(true)
    expect(forecast?.value).toBeGreaterThan(900)
  })

  test('with none of it does not', () => {
    let seed = 1
    let last = 1000
    const walk = () => {
      seed = (seed * 16_807) % 2_147_483_647
      last += seed % 2 === 0 ? 1 : -1
      return last
    }
    const forecast = observed(12 * 48, walk).foresee('lb', at(12 * 48))
    expect(forecast).not.toBeNull()
    expect(forecast?.isUsed).toBe(false)
  })

  test.each([
    ['nothing was seen of', createExpectedLoads(), at(1)],
    ['nothing was seen of for long', observed(12 * 48, hourly), at(12 * 49)],
    ['nobody asks any more', observed(12 * 48, hourly), at(12 * 48)],
  ])('is nothing where %s', (name, expected, now) => {
    if (name.startsWith('nobody')) expected.keep(new Set())
    expect(expected.foresee('lb', now)).toBeNull()
  })
})

const forecast: LoadForecast = { atMs: at(1), value: 300, low: 250, high: 350, skill: 0.5, measured: 99, isUsed: true }
const levels = { requestsPerSecond: 100, connections: 20, cpuPercent: 30, latencyMilliseconds: 5 }

test.each<readonly [string, Parameters<typeof expectLevels>, ReturnType<typeof expectLevels>]>([
  ['more grows all but latency', [levels, forecast], { requestsPerSecond: 300, connections: 60, cpuPercent: 90 }],
  ['less is nothing', [{ ...levels, requestsPerSecond: 301 }, forecast], undefined],
  ['no forecast is nothing', [levels, null], undefined],
  ['one that has no skill is nothing', [levels, { ...forecast, isUsed: false }], undefined],
  ['more where there is nothing yet is that alone', [{}, forecast], { requestsPerSecond: 300 }],
])('%s', (_, given, expected) => {
  expect(expectLevels(...given)).toEqual(expected)
})
