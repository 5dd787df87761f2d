/**
 * Addresses that somebody asks for by the API, for what is on a network and not run by us: taken and given back by the
 * allocator, as those of machines are. Touches addresses alone.
 */

import { refuseNotFound, refuseUnavailable } from '../access/problems.ts'
import { findVisible, maySee } from '../access/view.ts'
import type { Address } from '../contract/address-space.ts'
import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import { createNamedId } from '../control-plane/shard-key.ts'
import type { StoredObject } from '../control-plane/store.ts'
import { type AddressValue, addressKind, externalOwnerPrefix, isExternalOwner, networkKind } from '../objects.ts'
import type { AddressService, ControllerContext } from '../services.ts'
import type { AddressAllocator } from './allocator.ts'
import { parseAnyAddress } from './cidr-families.ts'
import { addressIdOf, type HeldAddress } from './draft-space.ts'
import { nameHolder } from './holder-names.ts'
import { describeAddress } from './show-addresses.ts'

type Context = Pick<ControllerContext, 'store'>

export function createAddressService(context: Context, allocator: AddressAllocator): AddressService {
  return {
    async allocate(networkId, { holder, count = 1, addresses, shardId }, request) {
      const network = await findVisible(context, networkKind, networkId, projectIdOf, request)
      if (!network.ok) return network
      const wanted =
        addresses?.map((address) => parseAnyAddress(address) ?? address) ??
        Array.from({ length: count }, () => undefined)
      const owners = wanted.map((address, i) => ({
        // The same for every repetition of the request, so that it is given the same addresses again.
        ownerId: createNamedId(externalOwnerPrefix, network.value.value.projectId, request.seed, String(i)),
        holder,
        ...(address !== undefined && { address }),
        ...(shardId !== undefined && { shardId }),
      }))
      const allocated = await allocator.allocateAddresses({ networkId, owners })
      return allocated.ok ? succeed(await describeAll(context, allocated.value)) : allocated
    },

    async release(id, request) {
      const address = await context.store.getOrTombstone(addressKind, id)
      if (address === null) return refuseNotFound(addressKind.name, id)
      if (!hasValue(address)) return succeed(null)
      const { value } = address
      if (!maySee(request.caller, value.projectId)) return refuseNotFound(addressKind.name, id)
      if (isExternalOwner(value.ownerId)) return releaseExternal(context, allocator, id, value)
      const owner = await nameHolder(context.store, value.ownerId)
      return refuse({
        code: 'in-use',
        title: 'It is in use',
        detail: `${value.address} is held by ${owner}, which would have no address without it.`,
        remedy: 'Delete that one: its address is given back with it.',
        errors: [{ field: 'id', message: `is held by ${owner}` }],
      })
    },
  }
}

async function releaseExternal(
  { store }: Context,
  allocator: AddressAllocator,
  id: string,
  { ownerId, address }: AddressValue,
): Promise<Outcome<null>> {
  const released = await allocator.releaseAddresses(ownerId, [address])
  if (!released.ok) return released
  // The allocator may not have heard of it yet, where another controller has just given it; and nobody sweeps it.
  const still = await store.get(addressKind, id)
  if (still?.value.ownerId !== ownerId) return released
  return refuseUnavailable(`${address} has just been allocated`, 1)
}

const projectIdOf = ({ value }: StoredObject<{ readonly projectId: string }>) => value.projectId

const hasValue = <Value>(object: StoredObject<Value | null>): object is StoredObject<Value> => object.value !== null

/** As they are in memory by now: the allocator has shown them to it. */
async function describeAll(context: Context, held: readonly HeldAddress[]): Promise<Address[]> {
  const objects = await Promise.all(
    held.map(({ shardId, address }) => context.store.get(addressKind, addressIdOf(shardId, address))),
  )
  const found: StoredObject<AddressValue>[] = objects.filter((object) => object !== null)
  return Promise.all(found.map((object) => describeAddress(context, object)))
}
