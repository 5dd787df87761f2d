import { expect, test } from 'bun:test'
import { withLabLock } from './lock.ts'

const labName = `t${process.pid}`.slice(0, 11)

test('one holds the lock, others wait for it and say so', async () => {
  const order: string[] = []
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>()
  const { promise: waits, resolve: waiting } = Promise.withResolvers<void>()
  const first = withLabLock(labName, async () => {
    await mayEnd
    order.push('first')
  })
  const second = withLabLock(labName, async () => order.push('second'), waiting)
  await waits
  expect(order).toEqual([])
  end()
  await Promise.all([first, second])
  expect(order).toEqual(['first', 'second'])
})

test('what fails under the lock gives it back', async () => {
  await expect(
    withLabLock(labName, async () => {
      throw new Error('in vain')
    }),
  ).rejects.toThrow('in vain')
  expect(await withLabLock(labName, async () => 'free')).toBe('free')
})
