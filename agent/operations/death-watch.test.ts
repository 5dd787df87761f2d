import { afterEach, expect, test } from 'bun:test'
import { createDeathWatch } from './death-watch.ts'

const children: Bun.Subprocess[] = []
const sleep = () => {
  const child = Bun.spawn(['sleep', '60'])
  children.push(child)
  return child
}

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

test('tells of those that have ended, once, and of no others', async () => {
  const watch = createDeathWatch()
  const [first, second] = [sleep(), sleep()]
  const ended: number[] = []
  for (const { pid } of [first, second]) {
    const isWatched = watch.watch(pid, () => {
      ended.push(pid)
    })
    expect(isWatched).toBe(true)
  }
  watch.poll()
  expect(ended).toEqual([])
  first.kill('SIGKILL')
  await first.exited
  watch.poll()
  watch.poll()
  expect(ended).toEqual([first.pid])
  watch.close()
})

test('tells nothing of one that has been released', async () => {
  const watch = createDeathWatch()
  const child = sleep()
  watch.watch(child.pid, () => {
    throw new Error('it was released')
  })
  watch.release(child.pid)
  child.kill('SIGKILL')
  await child.exited
  watch.poll()
  watch.close()
})

test('says at once that a process is no more', async () => {
  const watch = createDeathWatch()
  const child = sleep()
  child.kill('SIGKILL')
  await child.exited
  expect(watch.watch(child.pid, () => undefined)).toBe(false)
  watch.close()
})
