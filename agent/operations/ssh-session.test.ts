import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { quoteForShell } from './ssh-session.ts'

test('a shell reads quoted words as they are', () => {
  const word = fc.string({ maxLength: 20 }).filter((text) => !text.includes('\0'))
  const nasty = fc.constantFrom("it's", '$HOME', '`id`', 'a b', '', '--', '*', 'a\nb', '\\', '"', ';id')
  fc.assert(
    fc.property(fc.array(fc.oneof(word, nasty), { minLength: 1, maxLength: 6 }), (words) => {
      const { stdout } = Bun.spawnSync(['sh', '-c', `printf '%s\\0' ${quoteForShell(words)}`])
      expect(stdout.toString()).toBe(words.map((each) => `${each}\0`).join(''))
    }),
    { numRuns: 25 },
  )
})
