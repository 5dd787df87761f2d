import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { renderPutval } from './putval.ts'
import { valueList } from './test-lists.ts'
import { parseWriteHttp, renderWriteHttp } from './write-http.ts'

/** Many cases, on a machine that may have much else to do. */
setDefaultTimeout(60_000)

describe('what write_http posts', () => {
  test('is read as collectd writes it', () => {
    const body = `[{"values":[197141504,null],"dstypes":["counter","gauge"],"dsnames":["read","write"],
      "time":1251533299.265,"interval":10.000,"host":"leeloo","plugin":"disk","plugin_instance":"sda","type":"disk_octets","type_instance":"","meta":{"network:received":true}}]`
    expect(parseWriteHttp(body)).toEqual({
      kind: 'lists',
      lists: [
        {
          host: 'leeloo',
          plugin: 'disk',
          pluginInstance: 'sda',
          type: 'disk_octets',
          typeInstance: '',
          timeSeconds: 1251533299.265,
          intervalSeconds: 10,
          values: [197_141_504, Number.NaN],
          kinds: ['COUNTER', 'GAUGE'],
        },
      ],
    })
  })

  test('is read as it was written', () => {
    const finite = valueList.filter(({ values }) =>
      values.every((value) => Number.isFinite(value) && !Object.is(value, -0)),
    )
    fc.assert(
      fc.property(fc.array(finite, { maxLength: 20 }), (lists) => {
        expect(parseWriteHttp(renderWriteHttp(lists))).toEqual({ kind: 'lists', lists })
      }),
    )
  })

  test('is refused with a reason where it is not as it should be', () => {
    const list = '{"values":[1],"dstypes":["gauge"],"time":1,"host":"h","plugin":"p","type":"t"'
    const reasonOf = (body: string) => {
      const reading = parseWriteHttp(body)
      return reading.kind === 'refused' ? reading.message : 'taken'
    }
    expect(reasonOf(`[${list}}]`)).toBe('taken')
    expect(reasonOf('nonsense')).toBe('the body is no JSON')
    expect(reasonOf(`${list}}`)).toStartWith('the body: ')
    expect(reasonOf(`[${list},"values":[]}]`)).toStartWith('0.values: ')
    expect(reasonOf(`[${list},"dstypes":["rate"]}]`)).toStartWith('0.dstypes.0: ')
    expect(reasonOf(`[${list},"time":"now"}]`)).toStartWith('0.time: ')
    fc.assert(fc.property(fc.jsonValue(), (value) => reasonOf(JSON.stringify(value)) !== ''))
  })
})

describe('a line for the exec plugin', () => {
  const point = {
    host: 'host-a',
    plugin: 'sluice_host',
    pluginInstance: '',
    type: 'x',
    typeInstance: 'a "b"',
    timeSeconds: 1_700_000_000.25,
    intervalSeconds: 10,
    values: [0.5, 2 ** 60],
  }
  const sources = [
    { name: 'a', kind: 'GAUGE' },
    { name: 'b', kind: 'DERIVE' },
  ] as const

  test('names the point and has its values', () => {
    expect(renderPutval(point, sources)).toBe(
      'PUTVAL "host-a/sluice_host/x-a \\"b\\"" interval=10 1700000000.250:0.5:1152921504606846976',
    )
    expect(renderPutval({ ...point, values: [Number.NaN, 1] }, sources)).toEndWith(':U:1')
  })

  test('is left out where collectd has no word for it', () => {
    expect(renderPutval({ ...point, values: [1, Number.NaN] }, sources)).toBeUndefined()
    expect(renderPutval({ ...point, values: [1] }, sources)).toBeUndefined()
  })
})
