/** Who holds an address, and who held it. Reads the store; changes nothing. */

import { refuseField, refuseNotFound } from '../access/problems.ts'
import { findVisible, listObjects, maySee, viewObject } from '../access/view.ts'
import type { Address, AddressHistory } from '../contract/address-space.ts'
import type { Page } from '../contract/common.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import type { StoredObject } from '../control-plane/store.ts'
import { type AddressValue, addressKind, isExternalOwner, machineKind, shardKind } from '../objects.ts'
import type { ControllerContext, ListQuery, RequestInfo } from '../services.ts'
import { cidrHasAddress, parseAnyAddress } from './cidr-families.ts'
import { addressIdOf } from './draft-space.ts'
import { nameHolder } from './holder-names.ts'

type ReadContext = Pick<ControllerContext, 'store'>

export interface AddressQuery extends ListQuery {
  readonly shardId?: string
  readonly ownerId?: string
  readonly address?: string
}

/** Those that are held, in the order of ids. */
export async function listAddresses(
  context: ReadContext,
  query: AddressQuery,
  request: Pick<RequestInfo, 'caller'>,
): Promise<Page<Address>> {
  const clientId = query.projectId ?? request.caller.projectId ?? undefined
  const networks = new Map(context.store.snapshot(shardKind, clientId).map(({ id, value }) => [id, value.networkId]))
  const view = (object: StoredObject<AddressValue>) => viewAddress(object, networks.get(object.value.shardId) ?? null)
  const listing = { kind: addressKind, projectIdOf, view }
  const { items, next } = listObjects(context, listing, spellAsStored(query), request)
  const named = items.map(async ({ owner, ...item }) => ({
    ...item,
    owner: owner ?? (await nameHolder(context.store, item.ownerId)),
  }))
  return { items: await Promise.all(named), next }
}

/** An address of IPv6 has many spellings, and is kept in one. */
function spellAsStored(query: AddressQuery): AddressQuery {
  const { address, name } = query
  return {
    ...query,
    ...(address !== undefined && { address: parseAnyAddress(address) ?? address }),
    ...(name !== undefined && { name: parseAnyAddress(name) ?? name }),
  }
}

export async function showAddress(
  context: ReadContext,
  id: string,
  request: Pick<RequestInfo, 'caller'>,
): Promise<Outcome<Address>> {
  const found = await findVisible(context, addressKind, id, projectIdOf, request)
  return found.ok ? succeed(await describeAddress(context, found.value)) : found
}

export async function describeAddress({ store }: ReadContext, object: StoredObject<AddressValue>): Promise<Address> {
  const { shardId, ownerId } = object.value
  const shard = await store.get(shardKind, shardId)
  const { owner, ...view } = viewAddress(object, shard?.value.networkId ?? null)
  return { ...view, owner: owner ?? (await nameHolder(store, ownerId)) }
}

/** By the address's id, also when nobody holds it now. */
export async function showAddressHistory(
  context: ReadContext,
  id: string,
  request: Pick<RequestInfo, 'caller'>,
): Promise<Outcome<AddressHistory>> {
  const versions = await context.store.history(addressKind, id)
  const known = versions.findLast((version): version is StoredObject<AddressValue> => version.value !== null)
  if (known === undefined || !maySee(request.caller, projectIdOf(known))) return refuseNotFound(addressKind.name, id)
  const { address, shardId } = known.value
  return succeed({ address, shardId, holders: await listHolders(context, versions) })
}

/** By a shard and an address of it; one that nobody ever held has no holders. */
export async function showHistoryInShard(
  context: ReadContext,
  { shardId, address }: { readonly shardId: string; readonly address: string },
  request: Pick<RequestInfo, 'caller'>,
): Promise<Outcome<AddressHistory>> {
  const shard = await findVisible(context, shardKind, shardId, projectIdOf, request)
  if (!shard.ok) return shard
  const { cidr } = shard.value.value
  const canonical = parseAnyAddress(address)
  if (canonical === null || !cidrHasAddress(cidr, canonical)) {
    return refuseField('address', `${address} is no address of ${cidr}`, 'Give an address of the shard.')
  }
  const versions = await context.store.history(addressKind, addressIdOf(shardId, canonical))
  return succeed({ address: canonical, shardId, holders: await listHolders(context, versions) })
}

const projectIdOf = ({ value }: StoredObject<{ readonly projectId: string }>) => value.projectId

function ownerKindOf(ownerId: string): Address['ownerKind'] {
  if (isExternalOwner(ownerId)) return 'external'
  return ownerId.startsWith(`${machineKind.prefix}_`) ? 'machine' : 'instance'
}

function viewAddress(object: StoredObject<AddressValue>, networkId: string | null) {
  const { address, shardId, projectId, ownerId, holder = null, allocatedAt } = object.value
  return {
    ...viewObject(object, { name: address, projectId }),
    status: 'held',
    address,
    shardId,
    networkId,
    ownerId,
    ownerKind: ownerKindOf(ownerId),
    /** Null: it is to be looked up. */
    owner: holder,
    allocatedAt,
  }
}

/** A version with a value is a holder's; the next one, a tombstone, is its end. */
async function listHolders(
  { store }: ReadContext,
  versions: readonly StoredObject<AddressValue | null>[],
): Promise<AddressHistory['holders']> {
  const holders = versions.map(async ({ value }, i) => {
    if (value === null) return []
    const { ownerId, holder, allocatedAt } = value
    const owner = holder ?? (await nameHolder(store, ownerId))
    const heldUntil = versions[i + 1]?.updatedAt ?? null
    return [{ ownerId, ownerKind: ownerKindOf(ownerId), owner, heldFrom: allocatedAt, heldUntil }]
  })
  return (await Promise.all(holders)).flat()
}
