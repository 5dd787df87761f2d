import { describe, expect, test } from 'bun:test'
import type { HostInstructions } from '../../agent/contract/host-instructions.ts'
import type { Reservation } from '../access/reserve.ts'
import type { Kind, Store, StoredObject } from '../control-plane/store.ts'
import { hostKind, instanceKind, loadBalancerKind, loadBalancerSlotsKind } from '../objects.ts'
import type { ObservedHost } from '../observed/observed-hosts.ts'
import { createUplinkJudges } from './judge-reservations.ts'

interface Parts {
  /** Of the one that the host a is told of. */
  readonly vips?: readonly string[]
  readonly reported?: object
  readonly leaving?: readonly object[]
}

/** A balancer with one slot, whose instance is on the host a: told of it at generation 3. */
function isWanted(ownerKind: string, address: string, parts: Parts = {}): boolean {
  const { vips = ['198.18.32.10'], reported = { generation: 3, status: 'converged' }, leaving = [] } = parts
  const instance = { id: 'one', value: { loadBalancerId: 'lb', hostId: 'hst', uplinkAddress: '198.18.32.11' } }
  const objects: Readonly<Record<string, readonly object[]>> = {
    [hostKind.name]: [{ id: 'hst', value: { name: 'a' } }],
    [loadBalancerSlotsKind.name]: [{ id: 'lb', value: { slots: [{ vip: '198.18.32.10' }] } }],
    [instanceKind.name]: [instance, ...leaving],
  }
  const store: Pick<Store, 'snapshot'> = {
    snapshot: <Value>(kind: Kind<Value>) => (objects[kind.name] ?? []) as readonly StoredObject<Value>[],
  }
  const told = { instances: [{ id: 'one', generation: 3, vips: vips.map((vip) => ({ address: vip })) }] }
  const report = { report: { generation: 3, instances: [{ id: 'one', ...reported }] } }
  const { uplink } = createUplinkJudges(store, {
    published: new Map([['a', told as unknown as HostInstructions]]),
    observed: { get: () => report as unknown as ObservedHost },
  })
  if (uplink === undefined) throw new Error('nobody judges addresses on the uplink')
  const ownerId = ownerKind === instanceKind.name ? 'one' : 'lb'
  const reservation = { value: { ownerId, ownerKind, words: ['uplink', address] } } as unknown as Reservation
  return uplink(reservation, {} as StoredObject<unknown>)
}

describe('a VIP', () => {
  const balancer = loadBalancerKind.name
  test('is wanted while a slot has it', () => {
    expect(isWanted(balancer, '198.18.32.10')).toBe(true)
  })
  test('is not wanted once every instance has let go of it', () => {
    expect(isWanted(balancer, '198.18.32.12')).toBe(false)
  })
  test('is wanted while an instance is told to serve it, or may not know that it is not', () => {
    expect(isWanted(balancer, '198.18.32.12', { vips: ['198.18.32.10', '198.18.32.12'] })).toBe(true)
    expect(isWanted(balancer, '198.18.32.12', { reported: { generation: 2, status: 'converged' } })).toBe(true)
    expect(isWanted(balancer, '198.18.32.12', { reported: { generation: 3, status: 'failed' } })).toBe(true)
  })
  test('is wanted while an instance that had it is still there', () => {
    const leaving = { id: 'two', value: { loadBalancerId: 'lb', hostId: 'hst', uplinkAddress: '198.18.32.13' } }
    expect(isWanted(balancer, '198.18.32.12', { leaving: [leaving] })).toBe(true)
  })
  test('is not kept for an instance whose host has been deleted', () => {
    const gone = { id: 'two', value: { loadBalancerId: 'lb', hostId: 'none', uplinkAddress: '198.18.32.13' } }
    expect(isWanted(balancer, '198.18.32.12', { leaving: [gone] })).toBe(false)
  })
})

test("an instance's own address is wanted while it says that it is its", () => {
  expect(isWanted(instanceKind.name, '198.18.32.11')).toBe(true)
  expect(isWanted(instanceKind.name, '198.18.32.12')).toBe(false)
})
