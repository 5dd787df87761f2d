/**
 * Gives back addresses that nobody wants: whose owner was never written, is gone, or says that it has another. A creation
 * takes its addresses before it is written, so a young one is left alone. Touches addresses alone.
 */

import { reservationGraceMilliseconds } from '../access/reserve.ts'
import { listLimitMaximum, type Page, type StoredObject, StoreUnavailableError } from '../control-plane/store.ts'
import { type AddressValue, addressKind, instanceKind, isExternalOwner, machineKind, moveKind } from '../objects.ts'
import type { ControllerContext } from '../services.ts'
import type { AddressAllocator } from './allocator.ts'
import { isUnderWay } from './migration/migration-operation.ts'

/** One turn gives back so many at most; the next one goes on. */
const releasesMaximum = 200
/** One turn looks at so many pages at most, so that it takes milliseconds however many addresses there are. */
const pagesMaximum = 10

type Context = Pick<ControllerContext, 'store' | 'now' | 'logger'>

/**
 * A turn of it, which never fails: what can't be judged now is looked at again. Answers how many were given back. Each
 * turn goes on where the one before ended.
 */
export function createAddressSweep(context: Context, allocator: AddressAllocator): () => Promise<number> {
  let after: string | null = null
  return async () => {
    let released = 0
    for (let pages = 0; pages < pagesMaximum; pages++) {
      const page: Page<AddressValue> = await context.store.list(addressKind, {
        limit,
        ...(after !== null && { after }),
      })
      for (const address of page.items) {
        if (released >= releasesMaximum) return released
        try {
          if (await sweepAddress(context, allocator, address)) released++
        } catch (error) {
          if (!(error instanceof StoreUnavailableError)) throw error
          return released
        }
        after = address.id
      }
      after = page.next
      if (after === null) break
    }
    return released
  }
}

const limit = listLimitMaximum

/** Whether it was given back. Throws where nobody can say who wants it. */
async function sweepAddress(
  context: Context,
  allocator: AddressAllocator,
  { version, value }: StoredObject<AddressValue>,
): Promise<boolean> {
  if (context.now() - Date.parse(value.allocatedAt) <= reservationGraceMilliseconds) return false
  if (await isWanted(context, value)) return false
  const { address, ownerId } = value
  if (!(await allocator.releaseAddresses(ownerId, [address], version)).ok) return false
  context.logger.info({ address, ownerId }, 'swept an address')
  return true
}

/** What was taken for something that is not ours is wanted until it is given back by hand. */
async function isWanted(context: Pick<ControllerContext, 'store'>, value: AddressValue): Promise<boolean> {
  if (isExternalOwner(value.ownerId)) return true
  if (await isListed(context, value, false)) return true
  // Asked before the holder itself: one whose move ends meanwhile says by then that the address is its own.
  if (isMoving(context, value)) return true
  // Memory may lag behind what another controller wrote: absent is said by the microshard's leader only.
  return isListed(context, value, true)
}

async function isListed({ store }: Pick<ControllerContext, 'store'>, value: AddressValue, latest: boolean) {
  if (value.ownerId.startsWith(`${machineKind.prefix}_`)) {
    const machine: StoredObject<{ readonly addresses: readonly { readonly address: string }[] }> | null =
      await store.get(machineKind, value.ownerId, { latest })
    return machine?.value.addresses.some(({ address }) => address === value.address) === true
  }
  const instance = await store.get(instanceKind, value.ownerId, { latest })
  if (instance === null) return false
  const { networkAddress, formerNetworkAddress } = instance.value
  return [networkAddress, formerNetworkAddress?.address].includes(value.address)
}

/** A move that is under way names both of its addresses: they are taken in the transaction that says so. */
const isMoving = ({ store }: Pick<ControllerContext, 'store'>, { ownerId, address }: AddressValue): boolean =>
  store
    .snapshot(moveKind, ownerId)
    .some(
      ({ value }) =>
        value.ownerId === ownerId && isUnderWay(value) && [value.from.address, value.to?.address].includes(address),
    )
