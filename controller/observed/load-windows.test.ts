import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { InstanceLoadReport } from '../../agent/contract/host-report.ts'
import { createLoadWindows, measureLoad } from './load-windows.ts'

const id = 'lbi_0123456789abcdefghjkmnpqr'
const sample = (parts: Partial<InstanceLoadReport> = {}): InstanceLoadReport => ({
  id,
  atSeconds: 0,
  worker: 1,
  threads: 2,
  cpuSeconds: 0,
  requests: 0,
  connections: 0,
  latencyMilliseconds: 0,
  ...parts,
})

describe('the load of an instance', () => {
  test('is what its counters gained, over the time between them', () => {
    const load = measureLoad([
      sample({ requests: 1000, cpuSeconds: 5, connections: 10 }),
      sample({ atSeconds: 4, requests: 3000, cpuSeconds: 9, connections: 30, latencyMilliseconds: 7 }),
    ])
    expect(load).toEqual({ requestsPerSecond: 500, connections: 20, cpuPercent: 50, latencyMilliseconds: 7 })
  })

  test('counts from zero with another worker, and is never negative', () => {
    const load = measureLoad([
      sample({ requests: 1000, cpuSeconds: 5 }),
      sample({ atSeconds: 2, worker: 2, requests: 100, cpuSeconds: 1 }),
      sample({ atSeconds: 4, worker: 2, requests: 300, cpuSeconds: 2 }),
    ])
    expect(load).toMatchObject({ requestsPerSecond: 75, cpuPercent: 25 })
  })

  test('has no latency where there were no requests, whatever haproxy remembers of old ones', () => {
    const load = measureLoad([sample({ latencyMilliseconds: 90 }), sample({ atSeconds: 2, latencyMilliseconds: 90 })])
    expect(load?.latencyMilliseconds).toBe(0)
  })

  test('is not known from one sample, nor from the same told again', () => {
    const windows = createLoadWindows()
    for (const now of [0, 1000, 2000]) windows.accept('a', [sample()], now)
    expect(windows.read(id, 2000)).toBeNull()
    windows.accept('a', [sample({ atSeconds: 2, requests: 8 })], 3000)
    expect(windows.read(id, 3000)?.requestsPerSecond).toBe(4)
  })

  test('is not known any more once nothing was heard for long, or its host does not tell of it', () => {
    const windows = createLoadWindows()
    windows.accept('a', [sample()], 0)
    windows.accept('a', [sample({ atSeconds: 2 })], 2000)
    expect(windows.read(id, 10_000)).not.toBeNull()
    expect(windows.read(id, 40_000)).toBeNull()
    windows.accept('a', [], 41_000)
    expect(windows.read(id, 3000)).toBeNull()
  })

  test('begins anew after a reboot, and forgets what is older than its window', () => {
    const windows = createLoadWindows()
    windows.accept('a', [sample({ atSeconds: 900, requests: 5000 })], 0)
    windows.accept('a', [sample({ atSeconds: 1, worker: 2 })], 1000)
    expect(windows.read(id, 1000)).toBeNull()
    for (const second of [3, 8, 13, 18]) {
      windows.accept('a', [sample({ atSeconds: second, worker: 2, requests: second < 18 ? 100 : 200 })], second * 1000)
    }
    expect(windows.read(id, 18_000)?.requestsPerSecond).toBe(10)
  })

  test('is never negative, whatever counters do', () => {
    const any = fc.record({ worker: fc.integer({ min: 1, max: 3 }), requests: fc.nat(), cpuSeconds: fc.nat() })
    fc.assert(
      fc.property(fc.array(any, { minLength: 2 }), (steps) => {
        const load = measureLoad(steps.map((step, atSeconds) => sample({ ...step, atSeconds })))
        return load !== null && load.requestsPerSecond >= 0 && load.cpuPercent >= 0
      }),
    )
  })
})
