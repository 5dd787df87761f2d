import { expect, test } from 'bun:test'
import { findLocalAddresses, isAlive, openTurns } from './process-facts.ts'

/** As the kernel shows it, shortened. */
const table = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 198.18.16.0
        /20 link UNICAST
Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     +-- 198.18.16.0/20 2 0 2
        |-- 198.18.31.1
           /32 host LOCAL
        |-- 198.18.31.11
           /32 host LOCAL
        |-- 198.18.31.255
           /32 link BROADCAST
`

test.each<[string, string, string[]]>([
  ['an address that is there', '198.18.31.1', ['198.18.31.1']],
  ['one that only begins like it', '198.18.31.110', []],
  ['one that is no address of its own', '198.18.31.255', []],
  ['one that another contains', '98.18.31.1', []],
])('%s', (_, address, expected) => {
  expect(findLocalAddresses(table, [address])).toEqual(expected)
})

test('a process has turns while it lives', async () => {
  const child = Bun.spawn(['sleep', '60'])
  const turns = openTurns(child.pid)
  expect(turns?.read()).toBeGreaterThan(0)
  expect(isAlive(child.pid)).toBe(true)
  child.kill('SIGKILL')
  await child.exited
  expect(turns?.read()).toBeUndefined()
  expect(isAlive(child.pid)).toBe(false)
  expect(openTurns(child.pid)).toBeUndefined()
  turns?.close()
})
