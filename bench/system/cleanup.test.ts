import { expect, test } from 'bun:test'
import { createCleanup } from './cleanup.ts'

test('takes away the last first, goes on after a failure, and does so once', async () => {
  const told: string[] = []
  const taken: string[] = []
  const cleanup = createCleanup((text) => told.push(text))
  cleanup.defer('the first', async () => taken.push('the first'))
  cleanup.defer('the second', () => Promise.reject(new Error('stuck')))
  cleanup.defer('the third', async () => taken.push('the third'))
  await Promise.all([cleanup.run(), cleanup.run()])
  expect(taken).toEqual(['the third', 'the first'])
  expect(told).toEqual(['the second could not be taken away: Error: stuck'])
})
