import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openIdentity } from './identity.ts'
import { openRevocations } from './revocations.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-identity-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test('the keys are made once', async () => {
  const first = await openIdentity(folder)
  const second = await openIdentity(folder)
  expect(second.operator.getPublicKey()).toBe(first.operator.getPublicKey())
  expect(second.accounts.hosts.getPublicKey()).toBe(first.accounts.hosts.getPublicKey())
  expect(second.roles.agent.getPublicKey()).toBe(first.roles.agent.getPublicKey())
})

test.each([
  ['half of it', (text: string) => text.slice(0, text.length / 2)],
  ['nothing', () => ''],
  ['a seed with a wrong letter', (text: string) => text.replace(/(SO[A-Z2-7]{10})[A-Z2-7]/, '$11')],
  ['a seed that fails its checksum', (text: string) => text.replace(/(SO[A-Z2-7]{20})../, '$1AA')],
])('a file that holds %s is refused and left as it is', async (_, damage) => {
  await openIdentity(folder)
  const path = join(folder, 'identity.json')
  const damaged = damage(await readFile(path, 'utf8'))
  await writeFile(path, damaged)
  await expect(openIdentity(folder)).rejects.toThrow('Restore it from a backup')
  expect(await readFile(path, 'utf8')).toBe(damaged)
})

test('revocations add up, keep the latest time, and are read again', async () => {
  const list = await openRevocations(folder)
  await Promise.all([list.add('UA', 10), list.add('UB', 20), list.add('UA', 5), list.add('UC', 30)])
  expect(list.current()).toEqual({ UA: 10, UB: 20, UC: 30 })
  expect((await openRevocations(folder)).current()).toEqual({ UA: 10, UB: 20, UC: 30 })
})

test('a list of revocations that can not be read is not taken for an empty one', async () => {
  await writeFile(join(folder, 'revocations.json'), '{')
  await expect(openRevocations(folder)).rejects.toThrow('Restore it from a backup')
})
