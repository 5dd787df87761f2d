import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { instanceName, measuredOf, memberName, ownPlugins } from './point-names.ts'
import { pointTypes, renderTypesDb, sourceValue } from './point-types.ts'
import { decodePoints, encodePoints, originOfSubject, type Point, type PointOrigin, pointSubject } from './points.ts'

/** Many cases, on a machine that may have much else to do. */
setDefaultTimeout(60_000)

const id = (kind: string, last = '0') => `${kind}_${last.padStart(25, '0')}`
const ids = { projectId: id('prj'), loadBalancerId: id('lb'), instanceId: id('ins') }
const point: Point = {
  host: 'host-a',
  plugin: ownPlugins.haproxy,
  pluginInstance: instanceName(ids),
  type: 'haproxy_member',
  typeInstance: memberName(80, id('mem'), '1f2e3d4c'),
  timeSeconds: 1_700_000_000.25,
  intervalSeconds: 10,
  values: [1, Number.NaN, 3],
}
const hostA: PointOrigin = { kind: 'host', host: 'host-a' }

describe('a batch of points', () => {
  const name = fc.string({ maxLength: 30 })
  const points = fc.array(
    fc.record({
      host: fc.constant('host-a'),
      plugin: name,
      pluginInstance: name,
      type: name,
      typeInstance: name,
      timeSeconds: fc.double({ min: 0, max: 1e11, noNaN: true }).map((seconds) => seconds + 0),
      intervalSeconds: fc.double({ min: 0, max: 1e6, noNaN: true }).map((seconds) => seconds + 0),
      values: fc.array(
        // JSON has no negative zero.
        fc.double({ noDefaultInfinity: true }).map((value) => value + 0),
        { minLength: 1, maxLength: 20 },
      ),
    }),
    { maxLength: 50 },
  )

  test('is read as it was written', () => {
    fc.assert(
      fc.property(points, (batch) => {
        expect(decodePoints(pointSubject(hostA), encodePoints(batch))).toEqual({ origin: hostA, points: batch })
      }),
    )
  })

  test('is small, since the names recur', () => {
    const batch = Array.from({ length: 1000 }, (_, i) => ({
      ...point,
      typeInstance: memberName(80, id('mem', `${i}`), '1f2e3d4c'),
    }))
    expect(encodePoints(batch).byteLength).toBeLessThan(JSON.stringify(batch).length / 10)
  })

  test('of a host speaks of no other', () => {
    expect(decodePoints('points.host.host-b', encodePoints([point]))).toBeUndefined()
    expect(decodePoints(`points.project.${ids.projectId}`, encodePoints([point]))?.points).toHaveLength(1)
  })

  test('that is none is told so', () => {
    const bytes = encodePoints([point])
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), (length) => {
        expect(decodePoints(pointSubject(hostA), bytes.subarray(0, length))).toBeUndefined()
      }),
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (garbage) => {
        expect(decodePoints(pointSubject(hostA), garbage)).toBeUndefined()
      }),
    )
    const bomb = Bun.zstdCompressSync(Buffer.alloc(64 * 1024 * 1024))
    expect(decodePoints(pointSubject(hostA), bomb)).toBeUndefined()
  })

  test('comes by a subject that names its origin', () => {
    const origins: PointOrigin[] = [hostA, { kind: 'project', projectId: ids.projectId }, { kind: 'controller' }]
    for (const origin of origins) expect(originOfSubject(pointSubject(origin))).toEqual(origin)
    for (const subject of [
      'points',
      'points.host',
      'points.host.a.b',
      'points.host.*',
      'points.project.x',
      'x.host.a',
    ]) {
      expect(originOfSubject(subject)).toBeUndefined()
    }
  })
})

describe('a name of ours', () => {
  const of = (change: Partial<Point>) => measuredOf({ ...point, ...change })
  test('says which object is measured', () => {
    expect(of({})).toEqual({ kind: 'member', ...ids, port: 80, memberId: id('mem'), server: '1f2e3d4c' })
    expect(of({ type: 'haproxy_listener', typeInstance: '443' })).toEqual({ kind: 'listener', ...ids, port: 443 })
    expect(of({ type: 'haproxy_process', typeInstance: '' })).toEqual({ kind: 'instance', ...ids })
    expect(of({ plugin: ownPlugins.instance, type: 'device', typeInstance: 'uplink' })).toEqual({
      kind: 'instance',
      ...ids,
    })
    expect(of({ plugin: ownPlugins.host, pluginInstance: '' })).toEqual({ kind: 'host' })
  })

  test('that is not as it should be says nothing', () => {
    expect(of({ plugin: 'cpu' })).toBeUndefined()
    expect(of({ pluginInstance: 'prj_1.lb_2.ins_3' })).toBeUndefined()
    expect(of({ typeInstance: '80.other.1' })).toBeUndefined()
    expect(of({ typeInstance: '99999.' })).toBeUndefined()
  })
})

describe('our types', () => {
  test('have data sources that types.db can name, each once', () => {
    for (const sources of Object.values(pointTypes)) {
      const names = sources.map(({ name }) => name)
      expect(new Set(names).size).toBe(names.length)
      for (const name of names) expect(name).toMatch(/^[a-z0-9_]{1,19}$/)
    }
  })

  test('are told to a collectd', () => {
    expect(renderTypesDb()).toContain('shard_addresses\tsize:GAUGE:0:U, taken:GAUGE:0:U\n')
  })

  test('give the value of one source in its unit', () => {
    const cpu = { type: 'keepalived_process', values: [1, 2, 2, 0, 1_500_000] }
    expect(sourceValue(cpu, 'keepalived_process', 'cpu')).toBe(1.5)
    expect(sourceValue(cpu, 'keepalived_process', 'nothing')).toBeUndefined()
    expect(sourceValue(cpu, 'host_cpu', 'user')).toBeUndefined()
  })
})
