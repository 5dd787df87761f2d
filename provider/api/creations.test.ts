import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCreations, nameRun } from './creations.ts'

let folder: string
let keys = 0

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'creations-'))
  keys = 0
})
afterEach(() => rmSync(folder, { recursive: true }))

const open = (run: string, endpoint = 'http://a', where: string | null = join(folder, 'deep')) =>
  createCreations({ folder: where, endpoint, run, createKey: () => `key ${++keys}`, log: () => undefined })
const files = () => readdirSync(join(folder, 'deep'))

test('what a killed run was creating is carried on with its key', () => {
  const first = open('1').begin('/v1/pools', { name: 'a' })
  const second = open('2').begin('/v1/pools', { name: 'a' })
  expect([first.isResumed, second.isResumed]).toEqual([false, true])
  expect(second.idempotencyKey).toBe(first.idempotencyKey)
})

test('another body, path or controller is another creation', () => {
  const { idempotencyKey } = open('1').begin('/v1/pools', { name: 'a' })
  const others = [
    open('2').begin('/v1/pools', { name: 'b' }),
    open('2').begin('/v1/networks', { name: 'a' }),
    open('2', 'http://b').begin('/v1/pools', { name: 'a' }),
  ]
  for (const other of others) expect(other.idempotencyKey).not.toBe(idempotencyKey)
})

test('two resources of one run that say the same have keys of their own, in one process or in two', () => {
  const run = open('1')
  const keysOfRun = [run, run, open('1')].map((creations) => creations.begin('/v1/pools', { name: 'a' }).idempotencyKey)
  expect(new Set(keysOfRun).size).toBe(3)
})

test('is forgotten when it was refused, when its object is read, and when the run ends in order', () => {
  open('1').begin('/v1/pools', { name: 'refused' }).refused()
  expect(files()).toEqual([])
  open('1').begin('/v1/pools', { name: 'read' }).made('pol_1')
  open('2').found('pol_1')
  expect(files()).toEqual([])
  const run = open('3')
  run.begin('/v1/pools', { name: 'made' }).made('pol_2')
  run.begin('/v1/pools', { name: 'nobody knows' })
  run.settle()
  expect(files()).toHaveLength(1)
})

test('files that are no entries, and a folder that can not be, are as if nothing had been', () => {
  writeFileSync(join(folder, 'deep'), 'in the way')
  expect(open('1').begin('/v1/pools', {}).isResumed).toBe(false)
  expect(open('1', 'http://a', null).begin('/v1/pools', {}).isResumed).toBe(false)
  const other = join(folder, 'other')
  createCreations({ folder: other, endpoint: 'e', run: '1', createKey: () => 'k', log: () => undefined }).begin(
    '/p',
    {},
  )
  for (const file of readdirSync(other)) writeFileSync(join(other, file), '{"key"')
  expect(open('2', 'e', other).begin('/p', {}).isResumed).toBe(false)
})

test('a run is named by the process that began it', () => {
  expect(nameRun(process.pid)).toBe(nameRun(process.pid))
  expect(nameRun(process.pid)).toStartWith(`${process.pid}-`)
})
