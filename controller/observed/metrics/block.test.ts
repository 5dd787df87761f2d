import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type BlockEntry, decodeBlock, encodeBlock } from './block.ts'

const name = fc.record({
  host: fc.constantFrom('a', 'b'),
  plugin: fc.string({ maxLength: 5 }),
  pluginInstance: fc.string({ maxLength: 5 }),
  type: fc.constantFrom('x', 'y'),
  typeInstance: fc.string({ maxLength: 5 }),
})
const times = fc.constantFrom([], [1000], [1000, 2000, 3000])
const part = times.chain((axis) =>
  fc.record({
    times: fc.constant(axis),
    columns: fc.array(fc.array(fc.double(), { minLength: axis.length, maxLength: axis.length }), { maxLength: 3 }),
  }),
)
const entries: fc.Arbitrary<readonly BlockEntry[]> = fc.array(
  fc.record({ name, parts: fc.array(part, { maxLength: 3 }) }),
  { maxLength: 8 },
)

describe('a block', () => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(entries, (written) => {
        const block = decodeBlock(encodeBlock(written))
        const read = block.names.map(({ name, partCount }, i) => ({
          name,
          parts: Array.from({ length: partCount }, (_, p) => {
            const { times, columns } = block.read(i, p)
            return { times, columns }
          }),
        }))
        expect(read).toEqual(written.map(({ name, parts }) => ({ name, parts: [...parts] })))
      }),
    )
  })

  test('that is none is told so', () => {
    const bytes = encodeBlock([
      {
        name: { host: 'a', plugin: 'p', pluginInstance: '', type: 'x', typeInstance: '' },
        parts: [{ times: [1, 2], columns: [[3, 4]] }],
      },
    ])
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeBlock(bytes.subarray(0, length)).read(0, 0)).toThrow(RangeError)
    }
  })
})
