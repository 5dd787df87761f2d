import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type BackupMessage, createBackupCheck, createBackupLines } from './backup.ts'

const message = (i: number): Omit<BackupMessage, 'kind'> => ({
  subject: `shard.shd_${i}`,
  shardKey: '0123456789abcdef',
  body: `{"version":${i}}`,
})

/** Two parts, the second with one message. */
function makeBackup(counts: readonly number[] = [3, 1]): readonly string[] {
  const lines = createBackupLines()
  const head = { createdAt: '2026-01-01T00:00:00Z', sluiceVersion: '1.0.0', parts: counts.length }
  return [
    lines.head(head),
    ...counts.flatMap((count, i) => [
      lines.part({ microshard: `${i}`, from: '0000000000000000', to: 'ffffffffffffffff', cut: 9 }),
      ...Array.from({ length: count }, (_, n) => lines.message(message(n))),
      lines.partEnd(),
    ]),
    lines.end(),
  ].map((line) => line.trimEnd())
}

function check(lines: readonly string[]) {
  const checking = createBackupCheck()
  for (const line of lines) checking.take(line)
  return checking.finish()
}

describe('a backup', () => {
  test('that is whole tells what is in it', () => {
    expect(check(makeBackup())).toMatchObject({ parts: 2, messages: 4, sluiceVersion: '1.0.0' })
    expect(check(makeBackup([]))).toMatchObject({ parts: 0, messages: 0 })
  })

  const whole = makeBackup()
  const rows: readonly (readonly [string, readonly string[], string])[] = [
    ['is empty', [], 'the file is empty'],
    ['is something else', ['hello'], 'is no backup of Sluice'],
    ['is other JSON', ['{"a":1}'], 'is no backup of Sluice'],
    ['is of a newer format', ['{"kind":"head","format":2}'], 'format 2, and this program knows format 1'],
    ['was cut off', whole.slice(0, -1), 'ends after 9 lines without its end'],
    ['was cut off within a line', [...whole.slice(0, 3), whole[3]?.slice(0, 9) ?? ''], 'line 4 is no JSON'],
    ['lacks a message', whole.filter((_, i) => i !== 3), 'says 3 messages, and there are 2'],
    ['lacks a part', [...whole.slice(0, 6), ...whole.slice(-1)], 'whose checksum is another'],
    ['has a message changed', whole.map((line, i) => (i === 3 ? line.replace('1', '2') : line)), 'checksum is another'],
    ['goes on after its end', [...whole, whole[1] ?? ''], 'comes after the end'],
  ]
  for (const [what, lines, words] of rows) {
    test(`that ${what} is refused with that`, () => expect(() => check(lines)).toThrow(words))
  }

  test('of which any one character is changed is refused', () => {
    const text = whole.join('\n')
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom('0', '1', 'x', '}', ' '), (place, character) => {
        if (text[place] === character || text[place] === '\n') return
        const changed = text.slice(0, place) + character + text.slice(place + 1)
        expect(() => check(changed.split('\n'))).toThrow()
      }),
    )
  })
})
