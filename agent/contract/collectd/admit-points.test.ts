import { describe, expect, test } from 'bun:test'
import {
  aheadSecondsMaximum,
  createAdmission,
  type DropReason,
  lateSecondsMaximum,
  type Sender,
} from './admit-points.ts'
import type { ValueList } from './packet-parts.ts'
import { knownTypes } from './types-db.ts'

const startSeconds = 1_700_000_000
const hostA: Sender = { key: 'host-a', maySpeakFor: (host) => host === 'host-a' }
const list = (change: Partial<ValueList> = {}): ValueList => ({
  host: 'host-a',
  plugin: 'interface',
  pluginInstance: 'eth0',
  type: 'if_octets',
  typeInstance: '',
  timeSeconds: startSeconds + 10,
  intervalSeconds: 10,
  values: [1, 2],
  kinds: ['DERIVE', 'DERIVE'],
  ...change,
})

function createWorld(seriesMaximum = 100) {
  const world = { now: startSeconds }
  const admission = createAdmission({ types: knownTypes([]), seriesMaximum, unixSeconds: () => world.now })
  world.now += 10
  const admit = (...lists: readonly ValueList[]) => admission.admit(lists, hostA).length
  const dropsOf = () => Object.fromEntries(admission.drops())
  return { world, admission, admit, dropsOf }
}

const gauge = (value: number) => list({ type: 'gauge', values: [value], kinds: ['GAUGE'] })
const rows: readonly (readonly [string, ValueList, DropReason | undefined])[] = [
  ['a point as it should be', list(), undefined],
  [
    'a gauge that is partly known',
    list({ type: 'load', values: [1, Number.NaN, 2], kinds: ['GAUGE', 'GAUGE', 'GAUGE'] }),
    undefined,
  ],
  ['a point of another host', list({ host: 'host-b' }), 'foreignHost'],
  ['a point that speaks of our objects', list({ plugin: 'sluice_haproxy' }), 'reservedPlugin'],
  ['a point without a plugin', list({ plugin: '' }), 'badName'],
  ['a name with a slash', list({ typeInstance: 'a/b' }), 'badName'],
  ['a name with a line in it', list({ pluginInstance: 'a\nb' }), 'badName'],
  ['a name that is too long', list({ pluginInstance: 'x'.repeat(128) }), 'badName'],
  ['an unknown type', list({ type: 'nonsense' }), 'unknownType'],
  ['too few values', list({ values: [1], kinds: ['DERIVE'] }), 'wrongValues'],
  ['values of other kinds', list({ kinds: ['GAUGE', 'DERIVE'] }), 'wrongValues'],
  ['a gauge that is not known', gauge(Number.NaN), 'badValue'],
  ['a gauge without end', gauge(Number.POSITIVE_INFINITY), 'badValue'],
  ['a counter that is a rate', list({ values: [1.5, 2] }), 'badValue'],
  ['a time that is none', list({ timeSeconds: Number.NaN }), 'badValue'],
  ['a clock a little ahead', list({ timeSeconds: startSeconds + 10 + aheadSecondsMaximum }), undefined],
  ['the future', list({ timeSeconds: startSeconds + 11 + aheadSecondsMaximum }), 'future'],
  ['what was measured before the start', list({ timeSeconds: startSeconds - 1 }), 'past'],
  ['the year 1970', list({ timeSeconds: 0 }), 'past'],
]

describe('a point', () => {
  test.each(rows)('%s', (_, point, reason) => {
    const { admit, dropsOf } = createWorld()
    expect(admit(point)).toBe(reason === undefined ? 1 : 0)
    expect(dropsOf()).toEqual(reason === undefined ? {} : { [reason]: 1 })
  })

  test('is taken once, and nothing older after it', () => {
    const { admit, dropsOf } = createWorld()
    const older = list({ timeSeconds: startSeconds + 5 })
    expect([admit(list()), admit(list()), admit(older), admit(list({ typeInstance: 'other' }))]).toEqual([1, 0, 0, 1])
    expect(dropsOf()).toEqual({ replayed: 2 })
  })

  test('that is late is taken as long as its series has none of that time', () => {
    const { world, admit } = createWorld()
    world.now += 1000
    expect(admit(list({ timeSeconds: world.now - lateSecondsMaximum }))).toBe(1)
    expect(admit(list({ timeSeconds: world.now - lateSecondsMaximum - 1, typeInstance: 'b' }))).toBe(0)
  })

  test('can not come a second time once its series has been forgotten', () => {
    const { world, admit, dropsOf } = createWorld(1)
    const first = list()
    expect(admit(first)).toBe(1)
    world.now += 10_000
    expect(admit(list({ typeInstance: 'b', timeSeconds: world.now }))).toBe(1)
    expect(admit(first)).toBe(0)
    expect(dropsOf()).toEqual({ past: 1 })
  })

  test('comes again after a clock was set back', () => {
    const { world, admit } = createWorld()
    world.now += 3600
    expect(admit(list({ timeSeconds: world.now }))).toBe(1)
    world.now -= 3600
    expect(admit(list({ timeSeconds: world.now + 1 }))).toBe(1)
    world.now -= 1800
    expect(admit(list({ timeSeconds: world.now, typeInstance: 'b' }))).toBe(1)
  })
})

describe('an explosion of series', () => {
  const many = (from: number, count: number, time: number) =>
    Array.from({ length: count }, (_, index) =>
      list({
        plugin: 'mad',
        type: 'gauge',
        typeInstance: `${from + index}`,
        values: [1],
        kinds: ['GAUGE'],
        timeSeconds: time,
      }),
    )

  test('is bounded, names its culprit, and leaves those that were there alone', () => {
    const { world, admission, admit, dropsOf } = createWorld(50)
    expect(admit(list())).toBe(1)
    expect(admit(...many(0, 1000, world.now))).toBe(49)
    expect(dropsOf()).toEqual({ tooManySeries: 951 })
    expect(admission.takeExplosions()).toEqual([
      { sender: 'host-a', series: 50, refused: 951, culprit: 'mad-eth0', culpritSeries: 49 },
    ])
    expect(admission.takeExplosions()).toEqual([])
    world.now += 10
    expect(admit(list({ timeSeconds: world.now }))).toBe(1)
    const other: Sender = { key: 'host-b', maySpeakFor: (host) => host === 'host-b' }
    expect(admission.admit([list({ host: 'host-b', timeSeconds: world.now })], other)).toHaveLength(1)
  })

  test('ends when the series are no more', () => {
    const { world, admission, admit } = createWorld(50)
    admit(...many(0, 50, world.now))
    world.now += 1000
    expect(admit(...many(50, 50, world.now))).toBe(50)
    expect(admission.seriesCount()).toBe(50)
  })
})

test('types are read as collectd has them, and nobody changes ours', () => {
  const types = knownTypes([
    '# a comment\nfoo\t\ta:GAUGE:0:U, b:DERIVE:0:U # more\nbad x:WRONG:0:U\nhost_load v:GAUGE:0:U\n',
  ])
  expect(types.get('foo')).toEqual([
    { name: 'a', kind: 'GAUGE' },
    { name: 'b', kind: 'DERIVE' },
  ])
  expect(types.has('bad')).toBe(false)
  expect(types.get('host_load')?.length).toBeGreaterThan(1)
  expect(types.get('load')?.map(({ name }) => name)).toEqual(['shortterm', 'midterm', 'longterm'])
})
