/**
 * What a policy of address space says: which one holds for a network, whether it can be kept, and which addresses it
 * keeps. Pure.
 */

import type { FieldError } from '../access/problems.ts'
import type { AddressPolicy } from '../contract/address-space.ts'
import { addressOf, type Block, blockOf, containsAddress, endOf, isIpv6, parseAddress, sizeOf } from './cidr.ts'
import { setTaken } from './taken-bitmap.ts'

/** What a network says, over what its project says; what both leave out is as the contract describes. */
export function effectivePolicy(network: AddressPolicy | undefined, project: AddressPolicy | undefined): AddressPolicy {
  const said = Object.entries(network ?? {}).filter(([, value]) => value !== undefined)
  return { ...project, ...Object.fromEntries(said) }
}

/** The address that is kept for a machine of that name, or undefined. */
export function findPinned(policy: AddressPolicy, machineName: string): string | undefined {
  return policy.pinnedAddresses?.find((pin) => pin.machineName === machineName)?.address
}

/** The name of the machine that an address is kept for, or undefined. */
export function findPinHolder(policy: AddressPolicy, address: string): string | undefined {
  return policy.pinnedAddresses?.find((pin) => pin.address === address)?.machineName
}

/** Addresses from the first to the last, both included, as numbers. */
export interface AddressRange {
  readonly first: number
  readonly last: number
}

/** What is given only when it is chosen: reserved ranges and pinned addresses. */
export function listKeptRanges({ reservedRanges = [], pinnedAddresses = [] }: AddressPolicy): readonly AddressRange[] {
  return [
    ...reservedRanges.map(({ first, last }) => ({ first: addressOf(first), last: addressOf(last) })),
    ...pinnedAddresses.map(({ address }) => ({ first: addressOf(address), last: addressOf(address) })),
  ]
}

/** What of a block is kept, one bit an address; null: nothing. */
export function createKeptBitmap(ranges: readonly AddressRange[], block: Block, bytes: number): Uint8Array | null {
  const within = ranges.filter(({ first, last }) => first < endOf(block) && block.first <= last)
  if (within.length === 0) return null
  const bitmap = new Uint8Array(bytes)
  for (const { first, last } of within) {
    const end = Math.min(last, endOf(block) - 1)
    for (let address = Math.max(first, block.first); address <= end; address++) {
      setTaken(bitmap, address - block.first, true)
    }
  }
  return bitmap
}

export interface PolicyPool {
  readonly id: string
  readonly cidr: string
}

/**
 * The first thing in a policy that can't be kept, by its field; null: nothing. `pools` are those of the project,
 * `allowedPoolIds` those that shards may come from where the policy itself does not say.
 */
export function findPolicyFault(
  policy: AddressPolicy,
  pools: readonly PolicyPool[],
  allowedPoolIds: readonly string[] | undefined = policy.poolIds,
): FieldError | null {
  const allowed = pools.filter(({ id, cidr }) => !isIpv6(cidr) && (allowedPoolIds?.includes(id) ?? true))
  return (
    findPoolFault(policy, pools) ??
    findGrowthFault(policy, allowed) ??
    findRangeFault(policy) ??
    findPinFault(policy, allowed)
  )
}

const fault = (path: string, message: string): FieldError => ({ field: `addressPolicy.${path}`, message })

function findPoolFault({ poolIds = [] }: AddressPolicy, pools: readonly PolicyPool[]): FieldError | null {
  for (const [i, poolId] of poolIds.entries()) {
    if (!pools.some(({ id }) => id === poolId)) {
      return fault(`poolIds[${i}]`, `there is no pool ${poolId} in the project`)
    }
    if (poolIds.indexOf(poolId) < i) return fault(`poolIds[${i}]`, `${poolId} is there twice`)
  }
  return null
}

/** Where there is no pool yet, one may come that is large enough. */
function findGrowthFault(
  { growAtUtilization, growSizeAddresses, maximumShards }: AddressPolicy,
  allowed: readonly PolicyPool[],
): FieldError | null {
  if (growAtUtilization !== undefined && maximumShards === 1) {
    return fault('growAtUtilization', 'asks for another shard, and maximumShards is 1: it would never come')
  }
  const largest = Math.max(0, ...allowed.map(({ cidr }) => sizeOf(blockOf(cidr))))
  if (growSizeAddresses === undefined || largest === 0 || growSizeAddresses <= largest) return null
  const message = `is ${growSizeAddresses}, and the largest pool that its shards may come from has ${largest}`
  return fault('growSizeAddresses', message)
}

function findRangeFault({ reservedRanges = [] }: AddressPolicy): FieldError | null {
  for (const [i, { first, last }] of reservedRanges.entries()) {
    const [from, to] = [parseAddress(first), parseAddress(last)]
    if (from === null) return fault(`reservedRanges[${i}].first`, `${first} is no IPv4 address`)
    if (to === null) return fault(`reservedRanges[${i}].last`, `${last} is no IPv4 address`)
    if (to < from) return fault(`reservedRanges[${i}]`, `ends at ${last}, which is before ${first}, where it begins`)
  }
  return null
}

function findPinFault({ pinnedAddresses = [] }: AddressPolicy, allowed: readonly PolicyPool[]): FieldError | null {
  for (const [i, { address, machineName }] of pinnedAddresses.entries()) {
    const number = parseAddress(address)
    const before = pinnedAddresses.slice(0, i)
    if (number === null) return fault(`pinnedAddresses[${i}].address`, `${address} is no IPv4 address`)
    const other = before.find((pin) => pin.address === address)
    if (other !== undefined) {
      return fault(`pinnedAddresses[${i}].address`, `${address} is pinned for '${other.machineName}' already`)
    }
    const another = before.find((pin) => pin.machineName === machineName)
    if (another !== undefined) {
      return fault(`pinnedAddresses[${i}].machineName`, `'${machineName}' has ${another.address} pinned already`)
    }
    if (!allowed.some(({ cidr }) => containsAddress(blockOf(cidr), number))) {
      const which = allowed.map(({ cidr }) => cidr).join(', ') || 'of which there are none'
      return fault(`pinnedAddresses[${i}].address`, `${address} is in no pool that its shards may come from: ${which}`)
    }
  }
  return null
}
