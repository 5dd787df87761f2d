import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { openState, partCharactersMaximum, partsMaximum, sealState } from './seal-state.ts'
import { parseStateKeys } from './state-keys.ts'

const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes))
const key = (filling: number) => new Uint8Array(32).fill(filling)
const keys = {
  current: 2,
  keys: new Map([
    [1, key(1)],
    [2, key(2)],
  ]),
}
const sealOrFail = (text: string, stackId = 'stk_a', own = keys) => {
  const sealed = sealState(text, stackId, own, random)
  if (sealed === null) throw new Error('it is too large')
  return sealed
}

describe('a sealed state', () => {
  test('is opened as it was, whatever it is', () => {
    const text = fc.string({ unit: 'binary', maxLength: 5000 })
    fc.assert(
      fc.property(text, (one) => expect(openState(sealOrFail(one), 'stk_a', keys)).toBe(one)),
      { numRuns: 20 },
    )
  })

  test('is cut into parts that a message takes, and says when it is too much for a transaction', () => {
    const noise = Buffer.from(random(2_000_000)).toString('base64')
    const { parts } = sealOrFail(noise)
    expect(parts.length).toBeGreaterThan(1)
    expect(parts.every((part) => part.length <= partCharactersMaximum)).toBe(true)
    expect(openState({ keyVersion: 2, parts }, 'stk_a', keys)).toBe(noise)
    const much = Buffer.from(random(partsMaximum * partCharactersMaximum)).toString('base64')
    expect(sealState(much, 'stk_a', keys, random)).toBeNull()
  })

  test('shows nothing of what is in it', () => {
    const sealed = sealOrFail('{"password":"hunter2"}')
    expect(Buffer.from(sealed.parts.join(''), 'base64').includes('hunter2')).toBe(false)
    expect(sealOrFail('{}').parts).not.toEqual(sealOrFail('{}').parts)
  })

  test('is opened by the key that sealed it, after a newer one has come', () => {
    const old = sealOrFail('{"serial":1}', 'stk_a', { current: 1, keys: keys.keys })
    expect(old.keyVersion).toBe(1)
    expect(openState(old, 'stk_a', keys)).toBe('{"serial":1}')
    expect(() => openState(old, 'stk_a', { current: 2, keys: new Map([[2, key(2)]]) })).toThrow('key 1')
  })

  test('is refused in another stack, by another key, and when a bit of it is another', () => {
    const sealed = sealOrFail('{"serial":1}')
    expect(() => openState(sealed, 'stk_b', keys)).toThrow('of one stack')
    expect(() => openState({ ...sealed, keyVersion: 1 }, 'stk_a', keys)).toThrow('of one stack')
    const bytes = Buffer.from(sealed.parts.join(''), 'base64')
    bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20)
    expect(() => openState({ keyVersion: 2, parts: [bytes.toString('base64')] }, 'stk_a', keys)).toThrow('of one stack')
  })
})

describe('a file of keys', () => {
  const text = Buffer.from(key(7)).toString('base64')

  test('has the newest to seal with', () => {
    const { current, keys: read } = parseStateKeys(`# ours\n1 ${text}\n\n3 ${text}\n2 ${text}\n`, 'f')
    expect([current, [...read.keys()]]).toEqual([3, [1, 3, 2]])
  })

  const wrong: readonly (readonly [string, string, string])[] = [
    ['a line without a version', text, 'line 1'],
    ['a key of another length', '1 YWJj', 'line 1'],
    ['a version twice', `1 ${text}\n1 ${text}`, 'version 1 a second time'],
    ['nothing', '# none\n', 'holds no key'],
  ]
  for (const [title, given, said] of wrong) {
    test(`${title} is refused, and not shown`, () => {
      expect(() => parseStateKeys(given, 'f')).toThrow(said)
      expect(() => parseStateKeys(given, 'f')).not.toThrow(text)
    })
  }
})
