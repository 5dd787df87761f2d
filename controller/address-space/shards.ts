/** Shards: the blocks that networks get their addresses from. Cut from a pool, attached to a network, given back whole. */

import { removeObject, updateObject } from '../access/change-object.ts'
import { type DeclaredContent, declareObject } from '../access/declare-object.ts'
import { createObjectId } from '../access/object-id.ts'
import { refuseField, refuseNotFound } from '../access/problems.ts'
import { findVisible, listObjects, viewObject } from '../access/view.ts'
import {
  type Shard,
  type ShardCreate,
  type ShardUpdate,
  shardSizeDefaultAddresses,
  shardSizes,
} from '../contract/address-space.ts'
import { type Outcome, type Problem, refuse, succeed } from '../contract/problem.ts'
import type { Decision } from '../control-plane/act.ts'
import { type EventDraft, type StoredObject, type Write, write } from '../control-plane/store.ts'
import {
  addressKind,
  type NetworkValue,
  networkKind,
  type PoolOccupancyValue,
  type PoolValue,
  poolKind,
  poolOccupancyKind,
  type ShardOccupancyValue,
  type ShardValue,
  shardKind,
  shardOccupancyKind,
} from '../objects.ts'
import type { ControllerContext, RequestInfo, Services } from '../services.ts'
import {
  type Block,
  blockOf,
  contains,
  findBestFit,
  formatAddress,
  formatBlock,
  overlaps,
  prefixLengthOf,
  sizeOf,
} from './cidr.ts'
import { joinNames, nameHolder } from './holder-names.ts'
import { parseCidrField } from './pools.ts'
import { addressesNeverGiven, createTakenBitmap, encodeBitmap } from './taken-bitmap.ts'

export function createShardsService(context: ControllerContext): Services['shards'] {
  const view = (object: StoredObject<ShardValue>) => viewShard(object, findOccupancy(context, object.id)?.value)

  async function change(
    id: string,
    request: RequestInfo,
    apply: (shard: StoredObject<ShardValue>) => Decision<ShardValue, Problem> | Promise<Decision<ShardValue, Problem>>,
  ): Promise<Outcome<Shard>> {
    const found = await findVisible(context, shardKind, id, projectIdOf, request)
    if (!found.ok) return found
    const scope = found.value.value.projectId
    const updated = await updateObject(context, { kind: shardKind, id, scope, apply }, request)
    return updated.ok ? succeed(view(updated.value)) : updated
  }

  return {
    async create(input, request) {
      const created = await createShard(context, input, request)
      return created.ok ? succeed(view(created.value)) : created
    },
    async list(query, request) {
      return succeed(listObjects(context, { kind: shardKind, projectIdOf, view }, query, request))
    },
    async show(id, request) {
      const found = await findVisible(context, shardKind, id, projectIdOf, request)
      return found.ok ? succeed(view(found.value)) : found
    },
    update: (id, input, request) => change(id, request, (shard) => decideUpdate(context, shard, input)),
    async remove(id, request) {
      const found = await findVisible(context, shardKind, id, projectIdOf, request)
      return found.ok ? removeShard(context, found.value, request) : found
    },
    async allocate(networkId, shardId, request) {
      const network = await findVisible(context, networkKind, networkId, projectIdOf, request)
      if (!network.ok) return network
      const attached = await change(shardId, request, (shard) => decideAttach(context, shard, network.value))
      if (!attached.ok) return attached
      // Whoever deletes the network marks it first and looks for shards then: one of both sees the other.
      const still = await context.store.get(networkKind, networkId, { latest: true })
      if (still !== null && still.value.deletingSince === undefined) return attached
      const undo = { ...request, actionId: `${request.actionId}-undo` }
      await change(shardId, undo, (shard) => decideDetach(context, shard, networkId))
      return refuseNotFound(networkKind.name, networkId)
    },
    async deallocate(networkId, shardId, request) {
      const network = await findVisible(context, networkKind, networkId, projectIdOf, request)
      if (!network.ok) return network
      return change(shardId, request, (shard) => decideDetach(context, shard, networkId))
    },
  }
}

const projectIdOf = ({ value }: StoredObject<{ readonly projectId: string }>) => value.projectId

const findOccupancy = (context: Pick<ControllerContext, 'store'>, id: string) =>
  context.store.snapshot(shardOccupancyKind, id).find((occupancy) => occupancy.id === id)

function viewShard(object: StoredObject<ShardValue>, occupancy: ShardOccupancyValue | undefined): Shard {
  const { name, projectId, poolId, networkId, cidr, reserved } = object.value
  const block = blockOf(cidr)
  const resourceCount = occupancy?.resourceCount ?? 0
  return {
    ...viewObject(object, { name, projectId }),
    status: reserved ? 'reserved' : networkId === null ? 'available' : 'in-use',
    poolId,
    networkId,
    cidr,
    gateway: formatAddress(block.first + 1),
    sizeAddresses: sizeOf(block),
    resourceCount,
    lastAccessedAt: occupancy?.lastAccessedAt ?? null,
    utilization: Math.round((1e4 * resourceCount) / (sizeOf(block) - addressesNeverGiven)) / 1e4,
  }
}

async function createShard(
  context: ControllerContext,
  input: ShardCreate,
  request: RequestInfo,
): Promise<Outcome<StoredObject<ShardValue>>> {
  const pool = await findVisible(context, poolKind, input.poolId, projectIdOf, request)
  if (!pool.ok) return refuseField('poolId', `there is no pool ${input.poolId}`, 'Give the id of a pool that is there.')
  const { projectId } = pool.value.value
  const network = await findNetwork(context, input.networkId, projectId)
  if (!network.ok) return network
  const wanted = parseWanted(input)
  if (!wanted.ok) return wanted
  const id = createObjectId(shardKind, projectId, request.seed)
  const decide = () => decideCut(context, { id, pool: pool.value, wanted: wanted.value, input })
  const before = await context.store.get(shardKind, id)
  if (before !== null) return succeed(before)
  const first = decide()
  if (!first.ok) return first
  return declareObject(
    context,
    {
      kind: shardKind,
      id,
      scope: projectId,
      name: first.value.value.name,
      quota: { noun: 'shards', projectId },
      ...first.value,
      decide,
    },
    request,
  )
}

async function findNetwork(
  context: ControllerContext,
  networkId: string | undefined,
  projectId: string,
): Promise<Outcome<StoredObject<NetworkValue> | null>> {
  if (networkId === undefined) return succeed(null)
  const network = await context.store.get(networkKind, networkId)
  if (network !== null && network.value.projectId === projectId) return succeed(network)
  return refuseField(
    'networkId',
    `there is no network ${networkId} in the pool's project`,
    'Give the id of a network of the same project.',
  )
}

type Wanted =
  | { readonly kind: 'size'; readonly sizeAddresses: number }
  | { readonly kind: 'block'; readonly block: Block }

function parseWanted({ cidr, sizeAddresses }: ShardCreate): Outcome<Wanted> {
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

interface Cut {
  readonly id: string
  readonly pool: StoredObject<PoolValue>
  readonly wanted: Wanted
  readonly input: ShardCreate
}

/** The pool's record is written with the shard: the one place where overlap within the pool is decided. */
function decideCut(context: ControllerContext, { id, pool, wanted, input }: Cut): Outcome<DeclaredContent<ShardValue>> {
  const occupancy = context.store.snapshot(poolOccupancyKind, pool.id).find((object) => object.id === pool.id)
  if (occupancy === undefined) {
    return refuseField('poolId', `the pool ${pool.id} has been deleted`, 'Give the id of a pool that is there.')
  }
  const found = findBlock(context, pool, occupancy.value, wanted)
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
  const cuts = [...occupancy.value.cuts, { shardId: id, cidr }]
  return succeed({
    value,
    beside: [
      write({ kind: shardOccupancyKind, id, expect: 'absent', value: empty }),
      write({ kind: poolOccupancyKind, id: pool.id, expect: occupancy.version, value: { cuts } }),
    ],
    events: [
      describe('shard.created', id, value, { shardId: id, poolId: pool.id, cidr }),
      ...(networkId === null ? [] : [describe('shard.allocated', id, value, { shardId: id, networkId, cidr })]),
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

function decideUpdate(
  context: ControllerContext,
  { id, value }: StoredObject<ShardValue>,
  input: ShardUpdate,
): Decision<ShardValue, Problem> {
  const changed = { ...value, name: input.name ?? value.name, reserved: input.reserved ?? value.reserved }
  if (Bun.deepEquals(changed, value)) return { kind: 'keep' }
  const { status } = viewShard({ id, value: changed } as StoredObject<ShardValue>, undefined)
  const events = [describe('shard.updated', id, value, { shardId: id, status })]
  // Whoever is allocating from it meanwhile has read it as it was: its record changes too, and stops that.
  const writes = changed.reserved === value.reserved ? [] : touchOccupancy(findOccupancy(context, id))
  return { kind: 'write', value: changed, writes, events }
}

function decideAttach(
  context: ControllerContext,
  { id, value }: StoredObject<ShardValue>,
  network: StoredObject<NetworkValue>,
): Decision<ShardValue, Problem> {
  const title = 'The shard can not be allocated'
  if (value.networkId === network.id) return { kind: 'keep' }
  if (value.projectId !== network.value.projectId) {
    const detail = `The shard ${id} and the network ${network.id} are of different projects.`
    return { kind: 'refuse', problem: { code: 'invalid', title, detail, remedy: 'Use a shard of the same project.' } }
  }
  if (value.networkId !== null) {
    const detail = `The shard '${value.name}' is allocated to the network ${value.networkId}.`
    return { kind: 'refuse', problem: { code: 'in-use', title, detail, remedy: 'Deallocate it there first.' } }
  }
  if (value.reserved) {
    const detail = `The shard '${value.name}' is reserved.`
    const remedy = 'Release it first: update it with reserved: false.'
    return { kind: 'refuse', problem: { code: 'conflict', title, detail, remedy } }
  }
  return {
    kind: 'write',
    value: { ...value, networkId: network.id },
    writes: touchOccupancy(findOccupancy(context, id)),
    events: [describe('shard.allocated', id, value, { shardId: id, networkId: network.id, cidr: value.cidr })],
  }
}

/** Detached from that network already: as it should be. */
async function decideDetach(
  context: ControllerContext,
  { id, value }: StoredObject<ShardValue>,
  networkId: string,
): Promise<Decision<ShardValue, Problem>> {
  if (value.networkId === null) return { kind: 'keep' }
  if (value.networkId !== networkId) {
    const problem: Problem = {
      code: 'conflict',
      title: 'The shard can not be deallocated',
      detail: `The shard '${value.name}' is allocated to the network ${value.networkId}, not to ${networkId}.`,
      remedy: 'Name the network that has it.',
    }
    return { kind: 'refuse', problem }
  }
  const occupancy = findOccupancy(context, id)
  const held = await checkEmpty(context, id, value.name, occupancy)
  if (held !== null) return { kind: 'refuse', problem: held }
  return {
    kind: 'write',
    value: { ...value, networkId: null },
    writes: touchOccupancy(occupancy),
    events: [describe('shard.deallocated', id, value, { shardId: id, networkId, cidr: value.cidr })],
  }
}

async function checkEmpty(
  context: ControllerContext,
  id: string,
  name: string,
  occupancy: StoredObject<ShardOccupancyValue> | undefined,
): Promise<Problem | null> {
  if (occupancy === undefined || occupancy.value.resourceCount === 0) return null
  const held = context.store.snapshot(addressKind, id).filter(({ value }) => value.shardId === id)
  const holders = await Promise.all(
    held.map(async ({ value }) => `${await nameHolder(context.store, value.ownerId)} (${value.address})`),
  )
  const detail = `The shard '${name}' has ${occupancy.value.resourceCount} addresses held: ${joinNames(holders)}.`
  return {
    code: 'in-use',
    title: 'It is in use',
    detail,
    remedy: 'Delete these, or have them move to another shard, first.',
    errors: [{ field: 'id', message: detail }],
  }
}

async function removeShard(
  context: ControllerContext,
  shard: StoredObject<ShardValue>,
  request: RequestInfo,
): Promise<Outcome<boolean>> {
  const { id } = shard
  // What is removed is what was seen to be empty, at that version.
  let seen: StoredObject<ShardOccupancyValue> | undefined
  return removeObject(
    context,
    {
      kind: shardKind,
      id,
      scopes: [shard.value.projectId],
      check: ({ value }) => {
        seen = findOccupancy(context, id)
        return checkEmpty(context, id, value.name, seen)
      },
      beside: ({ value }) => listRemovals(context, seen, value.poolId, id),
      events: ({ value }) => [describe('shard.deleted', id, value, { shardId: id, cidr: value.cidr })],
    },
    request,
  )
}

/** The shard's record goes at the version that was seen: an allocation meanwhile stops this. */
function listRemovals(
  context: ControllerContext,
  occupancy: StoredObject<ShardOccupancyValue> | undefined,
  poolId: string,
  id: string,
): readonly Write[] {
  const pool = context.store.snapshot(poolOccupancyKind, poolId).find((object) => object.id === poolId)
  return [
    ...(occupancy === undefined
      ? []
      : [write({ kind: shardOccupancyKind, id, expect: occupancy.version, value: null })]),
    ...(pool === undefined
      ? []
      : [
          write({
            kind: poolOccupancyKind,
            id: poolId,
            expect: pool.version,
            value: { cuts: pool.value.cuts.filter(({ shardId }) => shardId !== id) },
          }),
        ]),
  ]
}

/** Written as it is: whoever allocates at the version before is stopped. */
function touchOccupancy(occupancy: StoredObject<ShardOccupancyValue> | undefined): readonly Write[] {
  if (occupancy === undefined) return []
  const { id, version, value } = occupancy
  return [write({ kind: shardOccupancyKind, id, expect: version, value })]
}

const describe = (type: string, id: string, value: ShardValue, data: unknown): EventDraft => ({
  type,
  projectId: value.projectId,
  subject: id,
  data,
})
