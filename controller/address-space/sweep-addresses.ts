/**
 * Gives back addresses that nobody wants: whose owner was never written, is gone, or says that it has another. A creation
 * takes its addresses before it is written, so a young one is left alone. Touches addresses alone.
 */

import { reservationGraceMilliseconds } from '../access/reserve.ts'
import { type StoredObject, StoreUnavailableError } from '../control-plane/store.ts'
import { type AddressValue, addressKind, instanceKind, type MoveValue, machineKind, moveKind } from '../objects.ts'
import type { ControllerContext } from '../services.ts'
import type { AddressAllocator } from './allocator.ts'

/** One turn gives back so many at most; the next one goes on. */
const releasesMaximum = 200

/** Never fails: what can't be judged now is looked at again. Answers how many were given back. */
export async function sweepAddresses(
  context: Pick<ControllerContext, 'store' | 'now' | 'logger'>,
  allocator: AddressAllocator,
): Promise<number> {
  const moving = listMoving(context)
  let released = 0
  for (const { value } of context.store.snapshot(addressKind)) {
    if (released >= releasesMaximum) break
    if (context.now() - Date.parse(value.allocatedAt) <= reservationGraceMilliseconds) continue
    try {
      if (moving.has(nameHolding(value)) || (await isWanted(context, value))) continue
      const { address, ownerId } = value
      if (!(await allocator.releaseAddresses(ownerId, [address])).ok) continue
      released++
      context.logger.info({ address, ownerId }, 'swept an address')
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error
      break
    }
  }
  return released
}

const endedSteps: readonly MoveValue['step'][] = ['done', 'failed', 'undone', 'gone']

const nameHolding = ({ ownerId, address }: { readonly ownerId: string; readonly address: string }) =>
  `${ownerId} ${address}`

/** What holders on the move have taken, who may not say so yet, and what they may go back to. */
function listMoving({ store }: Pick<ControllerContext, 'store'>): ReadonlySet<string> {
  const names = store.snapshot(moveKind).flatMap(({ value: { step, ownerId, from, to } }) => {
    if (endedSteps.includes(step)) return []
    return [from, ...(to === null ? [] : [to])].map(({ address }) => nameHolding({ ownerId, address }))
  })
  return new Set(names)
}

async function isWanted(context: Pick<ControllerContext, 'store'>, value: AddressValue): Promise<boolean> {
  if (await isListed(context, value, false)) return true
  // Memory may lag behind what another controller wrote: absent is said by the microshard's leader only.
  return isListed(context, value, true)
}

async function isListed({ store }: Pick<ControllerContext, 'store'>, value: AddressValue, latest: boolean) {
  if (value.ownerId.startsWith(`${machineKind.prefix}_`)) {
    const machine: StoredObject<{ readonly addresses: readonly { readonly address: string }[] }> | null =
      await store.get(machineKind, value.ownerId, { latest })
    return machine?.value.addresses.some(({ address }) => address === value.address) ?? false
  }
  const instance = await store.get(instanceKind, value.ownerId, { latest })
  return (
    instance?.value.networkAddress === value.address || instance?.value.formerNetworkAddress?.address === value.address
  )
}
