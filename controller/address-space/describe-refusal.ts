/** Why an address was not given, in words: what is wrong, with what, and the remedy. Pure. */

import type { Problem } from '../contract/problem.ts'
import type { StoredObject } from '../control-plane/store.ts'
import type { ShardValue } from '../objects.ts'
import { isIpv6, sizeOf } from './cidr.ts'
import type { AllocationRefusal } from './plan-allocations.ts'
import { ipv6BitmapBlock } from './taken-bitmap.ts'

const title = 'No address'

type NoSpace = Extract<AllocationRefusal, { kind: 'noSpace' }>

export function describeAllocationRefusal(refusal: AllocationRefusal, holderName: string | null): Problem {
  switch (refusal.kind) {
    case 'noShards':
      return {
        code: 'no-space',
        title,
        detail:
          refusal.shards.length === 0
            ? 'The network has no shard.'
            : `The network has no IPv4 shard: ${listShards(refusal.shards)}.`,
        remedy: 'Allocate a shard to the network first.',
        errors: [{ field: 'networkId', message: 'has no shard that gives such addresses' }],
      }
    case 'notOfNetwork':
      return {
        code: 'invalid',
        title,
        detail: `The network does not have the shard ${refusal.shardId}.`,
        remedy: 'Name one of its shards, or leave it out.',
        errors: [{ field: 'shardId', message: 'is no shard of the network' }],
      }
    case 'noSpace':
      return describeNoSpace(refusal)
    case 'outside':
      return {
        code: 'invalid',
        title,
        detail: `${refusal.address} is in no shard of the network, which has ${listShards(refusal.shards)}.`,
        remedy: 'Choose an address of these, or leave the address out.',
        errors: [{ field: 'address', message: 'is in no shard of the network' }],
      }
    case 'neverGiven':
      return {
        code: 'invalid',
        title,
        detail: `${refusal.address} is the shard's ${refusal.role} address, which is never given.`,
        remedy: 'Choose another address, or leave it out.',
        errors: [{ field: 'address', message: `is the shard's ${refusal.role} address` }],
      }
    case 'held':
      return {
        code: 'in-use',
        title,
        detail: `${refusal.address} is held by ${holderName ?? 'another'}.`,
        remedy: 'Choose another address, or leave it out.',
        errors: [{ field: 'address', message: 'is held already' }],
      }
    case 'reserved':
      return {
        code: 'conflict',
        title,
        detail: `${refusal.address} is of the shard ${refusal.shard.value.name}, which is reserved.`,
        remedy: 'Release the shard from being reserved, or choose an address of another.',
        errors: [{ field: 'address', message: 'is of a reserved shard' }],
      }
    case 'migrating':
      return {
        code: 'conflict',
        title,
        detail: `${refusal.address} is of the shard ${refusal.shard.value.name}, whose holders are moving away.`,
        remedy: 'Choose an address of another shard, or wait for the migration to end, or cancel it.',
        errors: [{ field: 'address', message: 'is of a migrating shard' }],
      }
    case 'pinned':
      return {
        code: 'conflict',
        title,
        detail: `${refusal.address} is kept for the machine '${refusal.machineName}'.`,
        remedy: "Choose another address, or take it out of the address policy's pinnedAddresses.",
        errors: [{ field: 'address', message: `is kept for the machine '${refusal.machineName}'` }],
      }
    case 'holdsAnother':
      return {
        code: 'conflict',
        title,
        detail: `${refusal.address} is asked for by one that holds ${refusal.heldAddress} of this network.`,
        remedy: 'Give that back first.',
        errors: [{ field: 'address', message: `is asked for by one that holds ${refusal.heldAddress}` }],
      }
    default:
      return refusal satisfies never
  }
}

function describeNoSpace({ shards, quarantinedCount, keptCount }: NoSpace): Problem {
  const listed = listShards(shards)
  const isOfIpv6 = shards.some(({ value }) => isIpv6(value.cidr))
  const isShut = shards.every(({ value }) => value.reserved || value.migrationId !== undefined)
  const ofIpv6 = isShut
    ? `No address is given of ${listed}.`
    : `Of ${listed} the first ${sizeOf(ipv6BitmapBlock)} addresses are given without being chosen, and none is left.`
  const held = isOfIpv6 ? ofIpv6 : `All addresses of the network's shards are held: ${listed}.`
  return {
    code: 'no-space',
    title,
    detail: [
      held,
      ...(quarantinedCount > 0 ? [`In quarantine: ${quarantinedCount}.`] : []),
      ...(keptCount > 0 ? [`Kept by the address policy: ${keptCount}.`] : []),
    ].join(' '),
    remedy: isOfIpv6
      ? 'Choose one of the others by its address, or name another shard of the network.'
      : 'Allocate another shard to the network, or delete machines or load balancers that hold an address.',
    errors: [{ field: 'networkId', message: 'has no address left that can be given' }],
  }
}

function listShards(shards: readonly StoredObject<ShardValue>[]): string {
  return shards.map(({ value }) => `${value.cidr}${describeShard(value)}`).join(', ')
}

function describeShard({ reserved, migrationId }: ShardValue): string {
  if (reserved) return ' (reserved)'
  return migrationId === undefined ? '' : ' (migrating)'
}
