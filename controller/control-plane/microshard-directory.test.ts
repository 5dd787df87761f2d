import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { findMicroshard, parseDirectory, planFirstDirectory } from './microshard-directory.ts'

describe('the first directory', () => {
  const directory = planFirstDirectory()

  test('has four equal arcs that cover the ring without a gap', () => {
    expect(directory.microshards.map(({ id, from, to, epoch }) => [id, from, to, epoch])).toEqual([
      ['1', '0000000000000000', '3fffffffffffffff', 1],
      ['2', '4000000000000000', '7fffffffffffffff', 1],
      ['3', '8000000000000000', 'bfffffffffffffff', 1],
      ['4', 'c000000000000000', 'ffffffffffffffff', 1],
    ])
  })

  test('keeps each point of the ring in the arc of its two leading bits', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (point) => {
        const entry = findMicroshard(directory, point.toString(16).padStart(16, '0'))
        expect(entry.id).toBe(String((point >> 62n) + 1n))
      }),
    )
  })

  test('is read back from its JSON', () => {
    expect(parseDirectory(JSON.stringify(directory))).toEqual(directory)
  })
})

describe('a directory that this program can not read', () => {
  test('is refused with what to do, when it has a newer format', () => {
    expect(() => parseDirectory('{"format": 2, "anything": true}')).toThrow(
      "the store's directory has format 2, and this program knows format 1: run the version of sluice that wrote it",
    )
  })

  test.each([
    '{}',
    '{"format": 1, "version": 1, "microshards": []}',
    '{"format": 1, "version": 0, "microshards": [{"id": "1", "from": "0", "to": "f", "epoch": 1}]}',
  ])('is refused when it is damaged: %s', (text) => {
    expect(() => parseDirectory(text)).toThrow()
  })
})
