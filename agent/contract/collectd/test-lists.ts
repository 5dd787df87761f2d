/** Value lists at random, as a collectd may send them; for tests. */

import fc from 'fast-check'
import { type DataSourceKind, dataSourceKinds } from '../points.ts'
import { timeUnitsPerSecond, type ValueList } from './packet-parts.ts'

const name = fc.oneof(
  fc.constantFrom('', 'cpu', 'load', 'a-b', 'ü'),
  fc.string({ maxLength: 20 }).map((text) => text.replaceAll('\0', '')),
)

/** A number holds 53 bits; what a counter has beyond is lost, and so is not drawn. */
const valueOfKind = (kind: DataSourceKind): fc.Arbitrary<number> => {
  switch (kind) {
    case 'GAUGE':
      return fc.double()
    case 'DERIVE':
      return fc.oneof(
        fc.maxSafeInteger().map((value) => value + 0),
        fc.constantFrom(-(2 ** 63), 2 ** 62),
      )
    case 'COUNTER':
    case 'ABSOLUTE':
      return fc.oneof(fc.maxSafeNat(), fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 63))
    default:
      return kind satisfies never
  }
}

const typedValue = fc
  .constantFrom(...dataSourceKinds)
  .chain((kind) => valueOfKind(kind).map((value) => ({ kind, value })))
/** As fine as a number holds it in this century. */
const time = fc.nat({ max: 2 ** 32 - 1 }).chain((seconds) => fc.nat({ max: 1023 }).map((part) => seconds + part / 1024))

export const valueList: fc.Arbitrary<ValueList> = fc
  .record({
    host: name,
    plugin: name,
    pluginInstance: name,
    type: name,
    typeInstance: name,
    timeSeconds: time,
    intervalSeconds: fc.nat({ max: 2 ** 20 }).map((units) => units / timeUnitsPerSecond),
    typed: fc.array(typedValue, { minLength: 1, maxLength: 8 }),
  })
  .map(({ typed, ...rest }) => ({
    ...rest,
    values: typed.map(({ value }) => value),
    kinds: typed.map(({ kind }) => kind),
  }))
