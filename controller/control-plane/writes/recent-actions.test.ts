import { expect, test } from 'bun:test'
import { createRecentActions } from './recent-actions.ts'

const version = (number: number, ...actionIds: readonly string[]) => ({ version: number, actionIds })

test('versions that were seen without a gap prove what has been done and what has not', () => {
  const recent = createRecentActions()
  recent.track('x', 3)
  recent.observe('x', version(4, 'old', 'a'))
  recent.observe('x', version(5, 'old', 'a', 'b'))
  expect(recent.find('x', 'b', 3, 5)).toBe('done')
  expect(recent.find('x', 'z', 3, 5)).toBe('undone')
  // Before it was followed, and after what was seen, nothing is known.
  expect(recent.find('x', 'z', 2, 5)).toBe('unknown')
  expect(recent.find('x', 'z', 3, 6)).toBe('unknown')
})

test('a gap begins anew', () => {
  const recent = createRecentActions()
  recent.track('x', 3)
  recent.observe('x', version(6, 'c'))
  expect(recent.find('x', 'z', 3, 6)).toBe('unknown')
  expect(recent.find('x', 'z', 5, 6)).toBe('undone')
})

test('what nobody asked for is not followed, and so much is forgotten in the order of asking', () => {
  const recent = createRecentActions()
  recent.observe('x', version(1, 'a'))
  expect([recent.isTracked('x'), recent.find('x', 'a', 0, 1)]).toEqual([false, 'unknown'])
  recent.track('first', 0)
  for (let i = 0; i < 1000; i++) recent.track(`other ${i}`, 0)
  expect(recent.isTracked('first')).toBe(false)
})
