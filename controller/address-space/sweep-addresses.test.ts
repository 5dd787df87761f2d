import { expect, test } from 'bun:test'
import { reservationGraceMilliseconds } from '../access/reserve.ts'
import { createNamedId } from '../control-plane/shard-key.ts'
import { addressKind, externalOwnerPrefix } from '../objects.ts'
import { createAddressSweep } from './sweep-addresses.ts'
import { openTestSpace } from './test-space.ts'

const held = (space: Awaited<ReturnType<typeof openTestSpace>>) => space.context.store.snapshot(addressKind).length

test('what nobody wants is given back once it is not young, and what is held by hand is not', async () => {
  const space = await openTestSpace(['10.0.0.0/24'])
  const { networkId, context, allocator } = space
  for (let i = 0; i < 20; i++) await allocator.allocateAddress({ networkId, ownerId: space.newOwner() })
  const owners = [{ ownerId: createNamedId(externalOwnerPrefix, networkId, 'printer'), holder: 'printer' }]
  await allocator.allocateAddresses({ networkId, owners })
  const sweep = createAddressSweep(context, allocator)
  expect(await sweep()).toBe(0)
  context.advance(reservationGraceMilliseconds + 1)
  expect(await sweep()).toBe(20)
  expect(held(space)).toBe(1)
  expect(await sweep()).toBe(0)
})

test('of more than a turn gives back the next one gives back the rest', async () => {
  const space = await openTestSpace(['10.0.0.0/22'])
  const { networkId, context, allocator } = space
  await Promise.all(
    Array.from({ length: 450 }, () => allocator.allocateAddress({ networkId, ownerId: space.newOwner() })),
  )
  context.advance(reservationGraceMilliseconds + 1)
  const sweep = createAddressSweep(context, allocator)
  const released: number[] = []
  // A turn may end where the pages do: the one after it begins anew.
  while (held(space) > 0 && released.length < 6) released.push(await sweep())
  expect(released).toEqual([200, 200, 50])
})
