import { describe, expect, test } from 'bun:test'
import { type Basis, createReadCache } from './read-cache.ts'

function createGround(bytesMaximum = 100) {
  let now = 1_000
  let current: () => Promise<number> = async () => 0
  const left: string[] = []
  const cache = createReadCache<string>({
    bytesMaximum,
    ageMillisecondsMaximum: 30_000,
    now: () => now,
    onDropped: ({ key }, why) => left.push(`${key} ${why}`),
  })
  const basisOf = (version: number, source = 'network/a'): Basis => ({
    source,
    shardKey: null,
    version,
    current: () => current(),
  })
  return {
    cache,
    left,
    pass: (milliseconds: number) => {
      now += milliseconds
    },
    know: (version: number | Promise<number>) => {
      current = async () => version
    },
    put: (
      key: string,
      version: number,
      more: { ticket?: ReturnType<typeof cache.begin>; bytes?: number; source?: string } = {},
    ) =>
      cache.put(more.ticket ?? cache.begin(), {
        key,
        actionType: 'showNetworkHistory',
        data: `${key} at ${version}`,
        bytes: more.bytes ?? 10,
        basis: basisOf(version, more.source),
        reason: { kind: 'missed' },
      }),
    find: async (key: string, named = 0) => {
      const found = await cache.find(key, named)
      return found.kind === 'hit' ? found.entry.data : found.miss
    },
  }
}

describe('a read that is kept', () => {
  test('is served while nothing is known to be newer, with its age', async () => {
    const { cache, put, pass, know } = createGround()
    know(3)
    put('a', 3)
    pass(400)
    expect(await cache.find('a', 3)).toMatchObject({ kind: 'hit', ageMilliseconds: 400, entry: { data: 'a at 3' } })
  })

  test('is not served when memory knows a newer version, and goes', async () => {
    const { find, put, know, left } = createGround()
    put('a', 3)
    know(4)
    expect(await find('a')).toBe('outdated')
    expect(left).toEqual(['a outdated'])
  })

  test('is not served to one who names a newer version, and stays for others', async () => {
    const { find, put } = createGround()
    put('a', 3)
    expect(await find('a', 4)).toBe('named')
    expect(await find('a', 3)).toBe('a at 3')
  })

  test('is not served when it is too old, whatever was heard', async () => {
    const { find, put, pass } = createGround()
    put('a', 3)
    pass(30_001)
    expect(await find('a')).toBe('tooOld')
  })

  test('is as old as its reading, however long that took', async () => {
    const { cache, find, put, pass } = createGround()
    const ticket = cache.begin()
    pass(20_000)
    put('a', 3, { ticket })
    pass(10_001)
    expect(await find('a')).toBe('tooOld')
  })

  test('goes when another read of the same thing has shown more', async () => {
    const { cache, find, put } = createGround()
    put('a', 3)
    put('b', 3, { source: 'network/b' })
    cache.raise('network/a', 4)
    expect(await find('a')).toBe('absent')
    expect(await find('b')).toBe('b at 3')
  })

  test('is not served when more was shown while its version was asked for', async () => {
    const { cache, find, put, know } = createGround()
    put('a', 3)
    const asked = Promise.withResolvers<number>()
    know(asked.promise)
    const finding = find('a')
    cache.raise('network/a', 4)
    asked.resolve(3)
    expect(await finding).toBe('outdated')
  })

  test('is not kept where a reading that began later has come back before it', async () => {
    const { cache, find, put, pass } = createGround()
    const ticket = cache.begin()
    pass(1)
    put('a', 5)
    expect(put('a', 4, { ticket })).toBe(false)
    expect(await find('a')).toBe('a at 5')
  })

  test('is not kept below what anybody was shown', () => {
    const { cache, put } = createGround()
    cache.raise('network/a', 9)
    expect(put('a', 8)).toBe(false)
  })
})

describe('memory', () => {
  test('is bounded: what was not used for longest goes first', async () => {
    const { cache, find, put, left } = createGround(100)
    for (let i = 0; i < 10; i++) put(`k${i}`, 1)
    expect(await find('k0')).toBe('k0 at 1')
    put('k10', 1)
    expect(cache.bytes()).toBe(100)
    expect(left).toEqual(['k1 noRoom'])
    expect(await find('k0')).toBe('k0 at 1')
  })

  test('takes nothing that is a large part of it', () => {
    const { put } = createGround(100)
    expect(put('a', 1, { bytes: 13 })).toBe(false)
  })

  test('of what was shown is bounded too, and what it has forgotten it takes from no reading of before', async () => {
    const { cache, put } = createGround()
    cache.raise('network/a', 9)
    const ticket = cache.begin()
    for (let i = 0; i < 20_000; i++) cache.raise(`network/${i}`, 1)
    expect(put('a', 8, { ticket })).toBe(false)
    expect(put('a', 9)).toBe(true)
  })

  test('is empty once it is cleared', async () => {
    const { cache, find, put } = createGround()
    put('a', 1)
    cache.clear()
    expect([await find('a'), cache.bytes(), cache.list()]).toEqual(['absent', 0, []])
  })
})
