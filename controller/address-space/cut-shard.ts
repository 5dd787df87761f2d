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
import { type Block, blockOf, contains, findBestFit, formatBlock, overlaps, prefixLengthOf, sizeOf } from './cidr.ts'
import { parseCidrField } from './pools.ts'
import { createTakenBitmap, encodeBitmap } from './taken-bitmap.ts'

export type Wanted =
  | { readonly kind: 'size'; readonly sizeAddresses: number }
  | { readonly kind: 'block'; readonly block: Block }

export function parseWanted({ cidr, sizeAddresses }: ShardCreate): Outcome<Wanted> {
  if (cidr === undefined) return succeed({ kind: 'size', sizeAddresses: sizeAddresses ?? shardSizeDefaultAddresses })
  const parsed = parseCidrField(cidr)
  if (!parsed.ok) return parsed
  const block = parsed.value
  if (sizeAddresses !== undefined && sizeAddresses !== sizeOf(block)) {
    return refuseField(
      'sizeAddresses',
      `is ${sizeAddresses}, and ${cidr} has ${sizeOf(block)}`,
      'Give the cidr or the size, not both.',
    )
  }
  if (shardSizes.some((size) => size === sizeOf(block))) return succeed({ kind: 'block', block })
  return refuseField(
    'cidr',
    `${cidr} has ${sizeOf(block)} addresses`,
    'Choose a block from /28 to /20: 16 to 4096 addresses.',
  )
}

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
  const block = found.value
  const cidr = formatBlock(block)
  const networkId = input.networkId ?? null
  const { projectId } = pool.value
  // A name of its own follows from the id alone: which block it gets may change until it is written.
  const name = input.name ?? `shard-${id.slice(-6)}`
  const value: ShardValue = { name, projectId, poolId: pool.id, cidr, reserved: false, networkId }
  const empty: ShardOccupancyValue = {
    takenBitmap: encodeBitmap(createTakenBitmap(block)),
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
): Outcome<Block> {
  const whole = blockOf(pool.value.cidr)
  if (wanted.kind === 'size') {
    const taken = cuts.map(({ cidr }) => blockOf(cidr))
    const found = findBestFit(whole, taken, prefixLengthOf(wanted.sizeAddresses))
    if (found !== null) return succeed(found)
    return refuse({
      code: 'no-space',
      title: 'The pool has no such block left',
      detail: `The pool '${pool.value.name}' (${pool.value.cidr}) has no aligned block of ${wanted.sizeAddresses} addresses left.`,
      remedy: 'Ask for a smaller shard, delete one that is not needed, or create another pool.',
      errors: [{ field: 'sizeAddresses', message: 'is more than the pool has left in one block' }],
    })
  }
  const cidr = formatBlock(wanted.block)
  if (!contains(whole, wanted.block)) {
    return refuseField('cidr', `${cidr} is not within the pool's ${pool.value.cidr}`, 'Choose a block of the pool.')
  }
  const inTheWay = cuts.find((cut) => overlaps(blockOf(cut.cidr), wanted.block))
  if (inTheWay === undefined) return succeed(wanted.block)
  const shard = context.store.snapshot(shardKind, pool.id).find(({ id }) => id === inTheWay.shardId)
  const name = `${inTheWay.cidr}, the shard ${shard === undefined ? inTheWay.shardId : `'${shard.value.name}'`}`
  return refuse({
    code: 'overlap',
    title: 'It overlaps another shard',
    detail: `${cidr} overlaps ${name}.`,
    remedy: 'Choose another block, or give a size and let the block be chosen.',
    errors: [{ field: 'cidr', message: `overlaps ${name}` }],
  })
}

export const describeShardEvent = (type: string, id: string, value: ShardValue, data: unknown): EventDraft => ({
  type,
  projectId: value.projectId,
  subject: id,
  data,
})
