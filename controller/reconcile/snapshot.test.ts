import { expect, setDefaultTimeout, test } from 'bun:test'
import type { Outcome } from '../contract/problem.ts'
import { createTestRack } from '../test-rack.ts'
import { countFreeAddresses, readSnapshot } from './snapshot.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

function get<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(outcome.problem.detail)
  return outcome.value
}

test('what a network can still give is of IPv4, of shards that are neither reserved nor held', async () => {
  const { context, projectId, services, store } = await createTestRack()
  const { pools, networks, shards, machines } = services
  const network = get(await networks.create({ name: 'net', projectId, mtu: 1400 }, context.request()))
  const countFree = () => countFreeAddresses(readSnapshot(store), network.id)
  const cut = async (cidr: string) => {
    const pool = get(await pools.create({ name: cidr, projectId, cidr }, context.request()))
    return get(await shards.create({ poolId: pool.id, cidr, networkId: network.id }, context.request()))
  }
  expect(countFree()).toBe(0)
  await cut('fd00:20::/64')
  expect(countFree()).toBe(0)
  await cut('10.0.0.0/28')
  const reserved = await cut('10.1.0.0/28')
  expect(countFree()).toBe(26)
  get(await shards.update(reserved.id, { reserved: true }, context.request()))
  expect(countFree()).toBe(13)
  const { id: networkId } = network
  get(await machines.create({ name: 'web-1', projectId, networkId, driver: 'netns', workloads: [] }, context.request()))
  expect(countFree()).toBe(12)
})
