/** Shards: the blocks that networks get their addresses from. Cut from a pool, attached to a network, given back whole. */

import { removeObject, updateObject } from '../access/change-object.ts'
import { declareObject } from '../access/declare-object.ts'
import { createObjectId } from '../access/object-id.ts'
import { refuseField, refuseNotFound } from '../access/problems.ts'
import { findVisible, listObjects, viewObject } from '../access/view.ts'
import type { Shard, ShardCreate, ShardUpdate } from '../contract/address-space.ts'
import { type Outcome, type Problem, refuse, succeed } from '../contract/problem.ts'
import type { Decision } from '../control-plane/act.ts'
import { type EventDraft, type StoredObject, type Write, write } from '../control-plane/store.ts'
import {
  addressKind,
  type NetworkValue,
  networkKind,
  poolKind,
  poolOccupancyKind,
  type ShardOccupancyValue,
  type ShardValue,
  shardKind,
  shardOccupancyKind,
} from '../objects.ts'
import type { ControllerContext, RequestInfo, Services } from '../services.ts'
import { blockOf, formatAddress, sizeOf } from './cidr.ts'
import { decideCut, describeShardEvent, parseWanted } from './cut-shard.ts'
import { joinNames, nameHolder } from './holder-names.ts'
import { checkAttachment } from './read-policy.ts'
import { findOccupancy, touch, touchOccupancy } from './shard-occupancy.ts'
import { addressesNeverGiven } from './taken-bitmap.ts'

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
      const clientId = query.projectId ?? request.caller.projectId ?? undefined
      const occupancies = new Map(
        context.store.snapshot(shardOccupancyKind, clientId).map(({ id, value }) => [id, value]),
      )
      const viewEach = (object: StoredObject<ShardValue>) => viewShard(object, occupancies.get(object.id))
      return succeed(listObjects(context, { kind: shardKind, projectIdOf, view: viewEach }, query, request))
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

function viewShard(object: StoredObject<ShardValue>, occupancy: ShardOccupancyValue | undefined): Shard {
  const { name, projectId, poolId, networkId, cidr } = object.value
  const block = blockOf(cidr)
  const resourceCount = occupancy?.resourceCount ?? 0
  return {
    ...viewObject(object, { name, projectId }),
    status: statusOf(object.value),
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

function statusOf({ migrationId, reserved, networkId }: ShardValue): Shard['status'] {
  if (migrationId !== undefined) return 'migrating'
  if (reserved) return 'reserved'
  return networkId === null ? 'available' : 'in-use'
}

/** `describeCause` gives events besides its own, by the id and the block that it gets. */
export async function createShard(
  context: ControllerContext,
  input: ShardCreate,
  request: RequestInfo,
  describeCause: (id: string, cidr: string) => readonly EventDraft[] = () => [],
): Promise<Outcome<StoredObject<ShardValue>>> {
  const pool = await findVisible(context, poolKind, input.poolId, projectIdOf, request)
  if (!pool.ok) return refuseField('poolId', `there is no pool ${input.poolId}`, 'Give the id of a pool that is there.')
  const { projectId } = pool.value.value
  const network = await findNetwork(context, input.networkId, projectId)
  if (!network.ok) return network
  const wanted = parseWanted(input)
  if (!wanted.ok) return wanted
  const id = createObjectId(shardKind, projectId, request.seed)
  const decide = () => {
    const problem =
      input.networkId === undefined ? null : checkAttachment(context.store, input.networkId, { id, poolId: input.poolId })
    if (problem !== null) return refuse(problem)
    const cut = { id, pool: pool.value, wanted: wanted.value, input }
    return decideCut(context, { ...cut, describeCause: (cidr) => describeCause(id, cidr) })
  }
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

function decideUpdate(
  context: ControllerContext,
  { id, value }: StoredObject<ShardValue>,
  input: ShardUpdate,
): Decision<ShardValue, Problem> {
  const changed = { ...value, name: input.name ?? value.name, reserved: input.reserved ?? value.reserved }
  if (Bun.deepEquals(changed, value)) return { kind: 'keep' }
  const events = [describeShardEvent('shard.updated', id, value, { shardId: id, status: statusOf(changed) })]
  // Whoever is allocating from it meanwhile has read it as it was: its record changes too, and stops that.
  const writes = changed.reserved === value.reserved ? [] : touchOccupancy(context, id)
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
  const problem = checkAttachment(context.store, network.id, { id, poolId: value.poolId })
  if (problem !== null) return { kind: 'refuse', problem }
  return {
    kind: 'write',
    value: { ...value, networkId: network.id },
    writes: touchOccupancy(context, id),
    events: [
      describeShardEvent('shard.allocated', id, value, { shardId: id, networkId: network.id, cidr: value.cidr }),
    ],
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
  const held = checkNotMigrating(value) ?? (await checkEmpty(context, id, value.name, occupancy))
  if (held !== null) return { kind: 'refuse', problem: held }
  return {
    kind: 'write',
    value: { ...value, networkId: null },
    writes: touch(occupancy),
    events: [describeShardEvent('shard.deallocated', id, value, { shardId: id, networkId, cidr: value.cidr })],
  }
}

/** Until its migration has ended it belongs to that, whoever still holds an address of it. */
function checkNotMigrating({ name, migrationId }: ShardValue): Problem | null {
  if (migrationId === undefined) return null
  const detail = `The shard '${name}' is migrating: ${migrationId}.`
  return {
    code: 'in-use',
    title: 'It is in use',
    detail,
    remedy: `Follow it with \`sluice migration watch ${migrationId}\`; when it is done, the shard is free.`,
    errors: [{ field: 'id', message: detail }],
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
    remedy: `Have them move to the network's other shards first (\`sluice shard migrate ${id}\`), or delete them.`,
    errors: [{ field: 'id', message: detail }],
  }
}

/** `causes` are events before its own. */
export async function removeShard(
  context: ControllerContext,
  shard: StoredObject<ShardValue>,
  request: RequestInfo,
  causes: readonly EventDraft[] = [],
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
        return checkNotMigrating(value) ?? checkEmpty(context, id, value.name, seen)
      },
      beside: ({ value }) => listRemovals(context, seen, value.poolId, id),
      events: ({ value }) => [
        ...causes,
        describeShardEvent('shard.deleted', id, value, { shardId: id, cidr: value.cidr }),
      ],
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
