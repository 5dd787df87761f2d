import { expect, test } from 'bun:test'
import type { StoredObject } from '../control-plane/store.ts'
import { planPresence, type SeenPresence } from './plan-presence.ts'
import { type PresenceValue, presenceId } from './presence-kind.ts'

const now = '2026-01-01T00:00:00Z'
const node: SeenPresence = { what: 'node', name: 'node-1', address: '10.0.0.1:4222', version: '2.15.2' }
const controller: SeenPresence = { what: 'controller', name: 'control-1', address: 'http://a', version: '1' }

function record(value: PresenceValue): ReadonlyMap<string, StoredObject<PresenceValue>> {
  const id = presenceId(value.what, value.name)
  return new Map([[id, { id, version: 3, value } as StoredObject<PresenceValue>]])
}
const describe = (changes: ReturnType<typeof planPresence>) =>
  changes.map(({ write, event }) => [write.expect, (write.value as PresenceValue).status, event?.type ?? null])

test('who comes for the first time has appeared', () => {
  expect(describe(planPresence([node, controller], new Map(), now))).toEqual([
    ['absent', 'present', 'node.appeared'],
    ['absent', 'present', 'controller.appeared'],
  ])
})

test('who is not seen any more has disappeared, once', () => {
  const before = record({ ...node, status: 'present', since: now })
  expect(describe(planPresence([], before, now))).toEqual([[3, 'absent', 'node.disappeared']])
  expect(planPresence([], record({ ...node, status: 'absent', since: now }), now)).toEqual([])
})

test('who stays changes nothing, and another version of it is recorded without an event', () => {
  const before = record({ ...node, status: 'present', since: '2025-01-01T00:00:00Z' })
  expect(planPresence([node], before, now)).toEqual([])
  const [change] = planPresence([{ ...node, version: '2.16.0' }], before, now)
  expect(change?.event).toBeNull()
  expect(change?.write.value).toMatchObject({ version: '2.16.0', since: '2025-01-01T00:00:00Z' })
})
