import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import { appendFileSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { giveBackHead } from '../operations/files.ts'
import { runCommand } from '../operations/run-command.ts'
import { parseOwnLine } from './parse-own-line.ts'
import { type FilePosition, readNewLines } from './read-new-lines.ts'

// A machine that is busy with other things takes its time.
setDefaultTimeout(30_000)

let folder = ''
let path = ''
let position: FilePosition | undefined
beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/sluice-logs-`)
  path = `${folder}/haproxy.log`
  forget()
})
afterEach(() => rmSync(folder, { recursive: true }))

const forget = () => {
  position = undefined
}
const read = () => {
  const fresh = readNewLines(path, position)
  position = fresh?.position ?? position
  return fresh?.lines ?? []
}

test('a file is read from its beginning, and then what is added', () => {
  expect(read()).toEqual([])
  writeFileSync(path, 'one\ntwo\n')
  expect(read()).toEqual(['one', 'two'])
  expect(read()).toEqual([])
  appendFileSync(path, 'three\n')
  expect(read()).toEqual(['three'])
})

test('a line waits for its end', () => {
  writeFileSync(path, 'one\ntw')
  expect(read()).toEqual(['one'])
  appendFileSync(path, 'o\n')
  expect(read()).toEqual(['two'])
})

test('a line without an end is cut, and one of any bytes is text', () => {
  writeFileSync(path, 'x'.repeat(20_000))
  expect(read().map(({ length }) => length)).toEqual([20_000])
  appendFileSync(path, Buffer.from([0xff, 0xfe, 0x0a]))
  expect(read()).toEqual(['��'])
})

test('a file that was emptied, or is another one, is read anew', () => {
  writeFileSync(path, 'one\ntwo\n')
  read()
  writeFileSync(path, 'three\n')
  expect(read()).toEqual(['three'])
  writeFileSync(`${path}.new`, 'four is longer than all that was before it\n')
  renameSync(`${path}.new`, path)
  expect(read()).toEqual(['four is longer than all that was before it'])
})

test('the room of what was read is given back, and nothing is read twice or missed, not even by who forgot his place', async () => {
  const bytes = () => statSync(path).blocks * 512
  const lines = Array.from({ length: 30_000 }, (_, i) => `line ${i}`)
  writeFileSync(path, `${lines.join('\n')}\n`)
  while (read().length > 0);
  const before = bytes()
  appendFileSync(path, 'one\ntw')
  expect(await giveBackHead(runCommand, path, position?.offsetBytes ?? 0)).toBeUndefined()
  expect(bytes()).toBeLessThan(before / 10)
  appendFileSync(path, 'o\n')
  expect(read()).toEqual(['one', 'two'])
  const place = position
  forget()
  expect(read()).toEqual(['one', 'two'])
  expect(position).toEqual(place)
})

test('more than can be read at once comes piece by piece', () => {
  const lines = Array.from({ length: 30_000 }, (_, i) => `line ${i}`)
  writeFileSync(path, `${lines.join('\n')}\n`)
  const all: string[] = []
  for (let piece = read(); piece.length > 0; piece = read()) all.push(...piece)
  expect(all).toEqual(lines)
})

const now = Date.parse('Sat Nov 21 23:14:05 2026')

test.each([
  [
    'keepalived says when',
    'Sat Nov 21 23:10:00 2026: (v1) Entering MASTER STATE',
    now - 245_000,
    '(v1) Entering MASTER STATE',
  ],
  ['it was just now, by the second', 'Sat Nov 21 23:14:04 2026: Stopping', now, 'Stopping'],
  [
    'haproxy does not',
    '[NOTICE]   (10033) : New worker (10036) forked',
    now,
    '[NOTICE] (10033) : New worker (10036) forked',
  ],
  ['what would move a cursor is a space', 'a\u001b[2Jb\tc', now, 'a [2Jb c'],
])('%s', (_, line, at, message) => {
  expect(parseOwnLine(line, now)).toEqual({ at, message })
})
