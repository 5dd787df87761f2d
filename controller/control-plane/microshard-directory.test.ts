import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { encodeDirectory, parseDirectory } from './directory/directory-format.ts'
import { findMicroshard, planFirstDirectory } from './microshard-directory.ts'

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
    expect(parseDirectory(encodeDirectory(directory))).toEqual(directory)
  })
})

describe('a directory of the first format', () => {
  const entry = (id: string, from: string, to: string) => ({ id, from, to, epoch: 1 })
  const halves = [
    entry('1', '0000000000000000', '7fffffffffffffff'),
    entry('2', '8000000000000000', 'ffffffffffffffff'),
  ]

  test('is read as one of today, a version further', () => {
    const read = parseDirectory(JSON.stringify({ format: 1, version: 1, microshards: halves }))
    expect(read).toMatchObject({ format: 3, version: 2, nextMicroshard: 3, operations: [], finished: [] })
    expect(read.microshards).toEqual(halves.map((half) => ({ ...half, version: 2, node: null, layout: 1 })))
    expect(parseDirectory(encodeDirectory(read))).toEqual(read)
  })

  test('is refused when its arcs leave a gap', () => {
    const gap = [entry('1', '0000000000000000', '7ffffffffffffffe'), halves[1]]
    expect(() => parseDirectory(JSON.stringify({ format: 1, version: 1, microshards: gap }))).toThrow(
      "the store's directory has a gap or an overlap at microshard 1",
    )
  })
})

test('a directory of the second format is read as one of today, a version further', () => {
  const { keyLayouts, placement, ...first } = planFirstDirectory()
  const microshards = first.microshards.map(({ id, from, epoch, version, node }) => [id, from, epoch, version, node])
  const second = JSON.stringify({ ...first, format: 2, keyLayout: keyLayouts[0], microshards })
  expect(parseDirectory(second)).toEqual({ ...first, version: 2, keyLayouts, placement })
})

describe('a directory that this program can not read', () => {
  test('is refused with what to do, when it has a newer format', () => {
    expect(() => parseDirectory('{"format": 4, "anything": true}')).toThrow(
      "the store's directory has format 4, and this program knows format 3: run the version of sluice that wrote it",
    )
  })

  test('is refused when it does not tell the weights that an arc is meant by', () => {
    const first = planFirstDirectory()
    const microshards = first.microshards.map((entry) => ({ ...entry, layout: 2 }))
    expect(() => parseDirectory(encodeDirectory({ ...first, microshards }))).toThrow('weights 2 of microshard 1')
  })

  test.each([
    '{}',
    '{"format": 1, "version": 1, "microshards": []}',
    '{"format": 1, "version": 0, "microshards": [{"id": "1", "from": "0", "to": "f", "epoch": 1}]}',
    '{"format": 2, "version": 1, "microshards": []}',
  ])('is refused when it is damaged: %s', (text) => {
    expect(() => parseDirectory(text)).toThrow()
  })
})

test('ten thousand microshards fit into one message', () => {
  const directory = planFirstDirectory(10_000)
  expect(encodeDirectory(directory).length).toBeLessThan(900_000)
  expect(parseDirectory(encodeDirectory(directory))).toEqual(directory)
})
