import { describe, expect, test } from 'bun:test'
import type { Reservation } from '../access/reserve.ts'
import type { Kind, Store, StoredObject } from '../control-plane/store.ts'
import { instanceKind, loadBalancerKind, loadBalancerSlotsKind, loadBalancerStatusKind } from '../objects.ts'
import { createUplinkJudges } from './judge-reservations.ts'

const instance = { id: 'one', value: { loadBalancerId: 'lb', uplinkAddress: '198.18.32.11' } }

/** A balancer at version 2 with the slot 1, and an instance of its own in it. */
const settled = {
  [loadBalancerKind.name]: [{ id: 'lb', version: 2, value: {} }],
  [loadBalancerSlotsKind.name]: [{ id: 'lb', value: { slots: [{ slot: 1, vip: '198.18.32.10', instanceId: 'one' }] } }],
  [loadBalancerStatusKind.name]: [{ id: 'lb', value: { status: 'active', observedGeneration: 2 } }],
  [instanceKind.name]: [instance],
}

function isWanted(objects: Readonly<Record<string, readonly object[]>>, ownerKind: string, address: string): boolean {
  const store: Pick<Store, 'snapshot'> = {
    snapshot: <Value>(kind: Kind<Value>) => (objects[kind.name] ?? []) as readonly StoredObject<Value>[],
  }
  const ownerId = ownerKind === instanceKind.name ? 'one' : 'lb'
  const reservation = { value: { ownerId, ownerKind, words: ['uplink', address] } } as unknown as Reservation
  const judge = createUplinkJudges(store).uplink
  if (judge === undefined) throw new Error('nobody judges addresses on the uplink')
  return judge(reservation, {} as StoredObject<unknown>)
}

describe('a VIP', () => {
  test('is wanted while a slot has it', () => {
    expect(isWanted(settled, loadBalancerKind.name, '198.18.32.10')).toBe(true)
  })
  test('is not wanted once every instance serves without it', () => {
    expect(isWanted(settled, loadBalancerKind.name, '198.18.32.12')).toBe(false)
  })
  test('is wanted while an instance that had it is still there', () => {
    const leaving = { id: 'two', value: { loadBalancerId: 'lb', uplinkAddress: '198.18.32.13' } }
    const objects = { ...settled, [instanceKind.name]: [instance, leaving] }
    expect(isWanted(objects, loadBalancerKind.name, '198.18.32.12')).toBe(true)
  })
  test('is wanted while an instance may not know that it has it no more', () => {
    for (const status of [
      { status: 'degraded', observedGeneration: 2 },
      { status: 'active', observedGeneration: 1 },
    ]) {
      const objects = { ...settled, [loadBalancerStatusKind.name]: [{ id: 'lb', value: status }] }
      expect(isWanted(objects, loadBalancerKind.name, '198.18.32.12')).toBe(true)
    }
  })
})

test("an instance's own address is wanted while it says that it is its", () => {
  expect(isWanted(settled, instanceKind.name, '198.18.32.11')).toBe(true)
  expect(isWanted(settled, instanceKind.name, '198.18.32.12')).toBe(false)
})
