/**
 * Where a new shard is cut from its pool, and what is written with it. The pool's record is written too, at the version
 * that was read: the one place where overlap within a pool is decided. Reads the store.
 */

import type { DeclaredContent } from '../access/declare-object.ts'
import { refuseField } from '../access/problems.ts'
import { type ShardCreate, shardSizeDefaultAddresses, shardSizes } from '../contract/address-space.ts'
import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import { type EventDraft, type StoredObject, write } from '../control-plane/store.ts'
import {
  type PoolOccupancyValue,
  type PoolValue,
  poolOccupancyKind,
  type ShardOccupancyValue,
  type ShardValue,
  shardKind,
  shardOccupancyKind,
} from '../objects.ts'
import type { ControllerContext } from '../services.ts'
import { blockOf, findBestFit, formatBlock, isIpv6, prefixLengthOf, sizeOfCidr } from './cidr.ts'
import { cidrContains, cidrsOverlap } from './cidr-families.ts'
import { findNextNetwork, formatIpv6Block, ipv6BlockOf, ipv6ShardPrefixLength } from './cidr-ipv6.ts'
import { parseAnyCidrField } from './parse-cidr-field.ts'
import { statusOfShard } from './shard-occupancy.ts'
import { createShardBitmap, encodeBitmap } from './taken-bitmap.ts'

export type Wanted =
  | { readonly kind: 'size'; readonly sizeAddresses: number }
  /** The next /64, whatever its number. */
  | { readonly kind: 'network' }
  | { readonly kind: 'block'; readonly cidr: string }

/** What is asked for, of a pool with this block. */
export function parseWanted({ cidr, sizeAddresses }: ShardCreate, poolCidr: string): Outcome<Wanted> {
  const isOfIpv6 = isIpv6(poolCidr)
  if (isOfIpv6 && sizeAddresses !== undefined) {
    return refuseField(
      'sizeAddresses',
      `is ${sizeAddresses}, and shards of the pool ${poolCidr} are /64s, as all of IPv6 are`,
      'Leave it out for the next /64 of the pool, or give the cidr of one.',
    )
  }
  if (cidr === undefined) {
    if (isOfIpv6) return succeed({ kind: 'network' })
    return succeed({ kind: 'size', sizeAddresses: sizeAddresses ?? shardSizeDefaultAddresses })
  }
  const parsed = parseAnyCidrField(cidr)
  if (!parsed.ok) return parsed
  const block = parsed.value
  if (isIpv6(block) !== isOfIpv6) return refuseOutside(cidr, poolCidr)
  return isOfIpv6 ? checkIpv6Size(block) : checkSize(block, sizeAddresses)
}

function checkSize(cidr: string, sizeAddresses: number | undefined): Outcome<Wanted> {
  const size = sizeOfCidr(cidr)
  if (sizeAddresses !== undefined && sizeAddresses !== size) {
    return refuseField(
      'sizeAddresses',
      `is ${sizeAddresses}, and ${cidr} has ${size}`,
      'Give the cidr or the size, not both.',
    )
  }
  if (shardSizes.some((one) => one === size)) return succeed({ kind: 'block', cidr })
  return refuseField('cidr', `${cidr} has ${size} addresses`, 'Choose a block from /28 to /20: 16 to 4096 addresses.')
}

function checkIpv6Size(cidr: string): Outcome<Wanted> {
  const { first, prefixLength } = ipv6BlockOf(cidr)
  if (prefixLength === ipv6ShardPrefixLength) return succeed({ kind: 'block', cidr })
  const network = (first >> 64n) << 64n
  return refuseField(
    'cidr',
    `${cidr} is no /64, and all shards of IPv6 are`,
    `Choose one /64, as ${formatIpv6Block({ first: network, prefixLength: ipv6ShardPrefixLength })}; several are several shards.`,
  )
}

const refuseOutside = (cidr: string, poolCidr: string) =>
  refuseField('cidr', `${cidr} is not within the pool's ${poolCidr}`, 'Choose a block of the pool.')

export interface Cut {
  readonly id: string
  readonly pool: StoredObject<PoolValue>
  readonly wanted: Wanted
  readonly input: ShardCreate
  /** Events besides its own. */
  readonly describeCause?: (cidr: string) => readonly EventDraft[]
}

export function decideCut(
  context: ControllerContext,
  { id, pool, wanted, input, describeCause }: Cut,
): Outcome<DeclaredContent<ShardValue>> {
  const occupancy = context.store.snapshot(poolOccupancyKind, pool.id).find((object) => object.id === pool.id)
  if (occupancy === undefined) {
    return refuseField('poolId', `the pool ${pool.id} has been deleted`, 'Give the id of a pool that is there.')
  }
  // A repetition at the same moment may have cut this very shard: then the write finds it there, and not this.
  const others = occupancy.value.cuts.filter(({ shardId }) => shardId !== id)
  const found = findBlock(context, pool, { cuts: others }, wanted)
  if (!found.ok) return found
  const cidr = found.value
  const networkId = input.networkId ?? null
  const { projectId } = pool.value
  // A name of its own follows from the id alone: which block it gets may change until it is written.
  const name = input.name ?? `shard-${id.slice(-6)}`
  const value: ShardValue = { name, projectId, poolId: pool.id, cidr, reserved: false, networkId }
  const empty: ShardOccupancyValue = {
    takenBitmap: encodeBitmap(createShardBitmap(cidr)),
    resourceCount: 0,
    lastAccessedAt: null,
  }
  const cuts = [...others, { shardId: id, cidr }]
  return succeed({
    value,
    beside: [
      write({ kind: shardOccupancyKind, id, expect: 'absent', value: empty }),
      write({ kind: poolOccupancyKind, id: pool.id, expect: occupancy.version, value: { cuts } }),
    ],
    events: [
      describeShardEvent('shard.created', id, value, { shardId: id, poolId: pool.id, cidr }),
      ...(networkId === null
        ? []
        : [describeShardEvent('shard.allocated', id, value, { shardId: id, networkId, cidr })]),
      ...(describeCause?.(cidr) ?? []),
    ],
  })
}

function findBlock(
  context: ControllerContext,
  pool: StoredObject<PoolValue>,
  { cuts }: PoolOccupancyValue,
  wanted: Wanted,
): Outcome<string> {
  switch (wanted.kind) {
    case 'size': {
      const taken = cuts.map((cut) => blockOf(cut.cidr))
      const found = findBestFit(blockOf(pool.value.cidr), taken, prefixLengthOf(wanted.sizeAddresses))
      if (found !== null) return succeed(formatBlock(found))
      return refuseFull(pool.value, `aligned block of ${wanted.sizeAddresses} addresses`, 'sizeAddresses')
    }
    case 'network': {
      const taken = cuts.map((cut) => ipv6BlockOf(cut.cidr))
      const found = findNextNetwork(ipv6BlockOf(pool.value.cidr), taken)
      return found === null ? refuseFull(pool.value, '/64', 'poolId') : succeed(formatIpv6Block(found))
    }
    case 'block':
      return checkBlock(context, pool, cuts, wanted.cidr)
    default:
      return wanted satisfies never
  }
}

function refuseFull({ name, cidr }: PoolValue, what: string, field: string): Outcome<never> {
  const smaller = field === 'sizeAddresses' ? 'Ask for a smaller shard, delete' : 'Delete'
  return refuse({
    code: 'no-space',
    title: 'The pool has no such block left',
    detail: `The pool '${name}' (${cidr}) has no ${what} left.`,
    remedy: `${smaller} one that is not needed, or create another pool.`,
    errors: [
      { field, message: field === 'poolId' ? `has no ${what} left` : 'is more than the pool has left in one block' },
    ],
  })
}

function checkBlock(
  context: ControllerContext,
  pool: StoredObject<PoolValue>,
  cuts: PoolOccupancyValue['cuts'],
  cidr: string,
): Outcome<string> {
  if (!cidrContains(pool.value.cidr, cidr)) return refuseOutside(cidr, pool.value.cidr)
  const inTheWay = cuts.find((cut) => cidrsOverlap(cut.cidr, cidr))
  if (inTheWay === undefined) return succeed(cidr)
  const shard = context.store.snapshot(shardKind, pool.id).find(({ id }) => id === inTheWay.shardId)
  const name = `${inTheWay.cidr}, the shard ${shard === undefined ? inTheWay.shardId : `'${shard.value.name}'`}`
  return refuse({
    code: 'overlap',
    title: 'It overlaps another shard',
    detail: `${cidr} overlaps ${name}.`,
    remedy: 'Choose another block, or give none and let the block be chosen.',
    errors: [{ field: 'cidr', message: `overlaps ${name}` }],
  })
}

export const describeShardEvent = (type: string, id: string, value: ShardValue, data: unknown): EventDraft => ({
  type,
  projectId: value.projectId,
  subject: id,
  data,
})

/** Its status or its name is another: `value` is as it is now. */
export const describeShardUpdate = (id: string, value: ShardValue): EventDraft =>
  describeShardEvent('shard.updated', id, value, { shardId: id, status: statusOfShard(value) })
