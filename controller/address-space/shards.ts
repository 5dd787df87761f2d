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
import { isIpv6, sizeOfCidr } from './cidr.ts'
import { addressAt } from './cidr-families.ts'
import { decideCut, describeShardEvent, describeShardUpdate, parseWanted } from './cut-shard.ts'
import { compareByAddress, joinNames, nameHolder } from './holder-names.ts'
import { checkAttachment } from './read-policy.ts'
import { findOccupancy, statusOfShard, touch, touchOccupancy } from './shard-occupancy.ts'
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
      if (await isNetworkStaying(context, networkId)) return attached
      await change(shardId, undoOf(request), (shard) => decideDetach(context, shard, networkId))
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

/** Whoever deletes a network marks it first and looks for its shards then: asked after a shard joined it, one of both sees the other. */
async function isNetworkStaying({ store }: ControllerContext, networkId: string): Promise<boolean> {
  const network = await store.get(networkKind, networkId, { latest: true })
  return network !== null && network.value.deletingSince === undefined
}

/** It takes back what the request has just written, at whatever version that is. */
function undoOf({ expectedVersion: _, ...request }: RequestInfo): RequestInfo {
  return { ...request, actionId: `${request.actionId}-undo` }
}

function viewShard(object: StoredObject<ShardValue>, occupancy: ShardOccupancyValue | undefined): Shard {
  const { name, projectId, poolId, networkId, cidr } = object.value
  const sizeAddresses = sizeOfCidr(cidr)
  const resourceCount = occupancy?.resourceCount ?? 0
  const conditions = isIpv6(cidr) ? [{ ...notOnHosts, changedAt: object.createdAt }] : []
  return {
    ...viewObject(object, { name, projectId, conditions }),
    status: statusOfShard(object.value),
    poolId,
    networkId,
    cidr,
    gateway: addressAt(cidr, 1),
    sizeAddresses,
    resourceCount,
    lastAccessedAt: occupancy?.lastAccessedAt ?? null,
    utilization: Math.round((1e4 * resourceCount) / (sizeAddresses - addressesNeverGiven)) / 1e4,
  }
}

/** Of every IPv6 shard, until hosts carry IPv6. */
const notOnHosts = {
  type: 'on-hosts',
  status: 'false',
  reason: 'ipv6NotCarried',
  message: 'Addresses are given; hosts do not carry IPv6 yet (docs/ipv6.md).',
} as const

type DescribeCause = (id: string, cidr: string) => readonly EventDraft[]

/** `describeCause` gives events besides its own, by the id and the block that it gets. */
export async function createShard(
  context: ControllerContext,
  input: ShardCreate,
  request: RequestInfo,
  describeCause: DescribeCause = () => [],
): Promise<Outcome<StoredObject<ShardValue>>> {
  const created = await declareShard(context, input, request, describeCause)
  const { networkId } = input
  if (!created.ok || networkId === undefined || created.value.value.networkId !== networkId) return created
  if (await isNetworkStaying(context, networkId)) return created
  await removeShard(context, created.value, undoOf(request))
  return refuseNetwork(networkId)
}

async function declareShard(
  context: ControllerContext,
  input: ShardCreate,
  request: RequestInfo,
  describeCause: DescribeCause,
): Promise<Outcome<StoredObject<ShardValue>>> {
  const pool = await findVisible(context, poolKind, input.poolId, projectIdOf, request)
  if (!pool.ok) return refuseField('poolId', `there is no pool ${input.poolId}`, 'Give the id of a pool that is there.')
  const { projectId } = pool.value.value
  const network = await findNetwork(context, input.networkId, projectId)
  if (!network.ok) return network
  const wanted = parseWanted(input, pool.value.value.cidr)
  if (!wanted.ok) return wanted
  const id = createObjectId(shardKind, projectId, request.seed)
  const decide = () => {
    const problem =
      input.networkId === undefined
        ? null
        : checkAttachment(context.store, input.networkId, { id, poolId: input.poolId })
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
  const isUsable = network?.value.projectId === projectId && network.value.deletingSince === undefined
  return isUsable ? succeed(network) : refuseNetwork(networkId)
}

const refuseNetwork = (networkId: string) =>
  refuseField(
    'networkId',
    `there is no network ${networkId} in the pool's project`,
    'Give the id of a network of the same project.',
  )

function decideUpdate(
  context: ControllerContext,
  { id, value }: StoredObject<ShardValue>,
  input: ShardUpdate,
): Decision<ShardValue, Problem> {
  const changed = { ...value, name: input.name ?? value.name, reserved: input.reserved ?? value.reserved }
  if (Bun.deepEquals(changed, value)) return { kind: 'keep' }
  const events = [describeShardUpdate(id, changed)]
  // Whoever is allocating from it meanwhile has read it as it was: its record changes too, and stops that.
  const writes = changed.reserved === value.reserved ? [] : touchOccupancy(context, id)
  return { kind: 'write', value: changed, writes, events }
}

function decideAttach(
  context: ControllerContext,
  { id, value }: StoredObject<ShardValue>,
  network: StoredObject<NetworkValue>,
): Decision<ShardValue, Problem> {
  if (value.networkId === network.id && value.migrationId === undefined) return { kind: 'keep' }
  const problem =
    checkMayAttach(id, value, network) ?? checkAttachment(context.store, network.id, { id, poolId: value.poolId })
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

/** Why a shard can't join a network as it is now; null: it can. */
function checkMayAttach(id: string, shard: ShardValue, network: StoredObject<NetworkValue>): Problem | null {
  const { name, migrationId } = shard
  const describe = (code: Problem['code'], message: string, remedy: string): Problem => ({
    code,
    title: 'The shard can not be allocated',
    detail: `The shard '${name}' ${message}.`,
    remedy,
    errors: [{ field: 'shardId', message }],
  })
  if (shard.projectId !== network.value.projectId) {
    return describe('invalid', `is of another project than the network ${network.id}`, 'Use one of the same project.')
  }
  if (migrationId !== undefined) return describe('conflict', `is migrating: ${migrationId}`, followOf(migrationId))
  if (shard.networkId !== null) {
    const remedy = `Deallocate it there first, or have it join this one: \`sluice shard migrate ${id} --to-network ${network.id}\`.`
    return describe('in-use', `is allocated to the network ${shard.networkId}`, remedy)
  }
  if (!shard.reserved) return null
  return describe('conflict', 'is reserved', 'Release it first: update it with reserved: false.')
}

const followOf = (migrationId: string) =>
  `Follow it with \`sluice migration watch ${migrationId}\`: the shard is free when it is done. Or cancel it.`

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
      errors: [{ field: 'networkId', message: `does not have the shard; ${value.networkId} has it` }],
    }
    return { kind: 'refuse', problem }
  }
  const occupancy = findOccupancy(context, id)
  const held = await checkUnused(context, id, value, occupancy)
  if (held !== null) return { kind: 'refuse', problem: held }
  return {
    kind: 'write',
    value: { ...value, networkId: null },
    writes: touch(occupancy),
    events: [describeShardEvent('shard.deallocated', id, value, { shardId: id, networkId, cidr: value.cidr })],
  }
}

/** Null: nobody holds an address of it. Until its migration has ended it belongs to that, whoever still holds one. */
async function checkUnused(
  context: ControllerContext,
  id: string,
  { name, migrationId, cidr }: ShardValue,
  occupancy: StoredObject<ShardOccupancyValue> | undefined,
): Promise<Problem | null> {
  const held = await describeHeld(context, id, occupancy)
  if (migrationId === undefined && held === null) return null
  const parts = [
    ...(migrationId === undefined ? [] : [`is migrating: ${migrationId}`]),
    ...(held === null ? [] : [held]),
  ]
  const detail = `The shard '${name}' ${parts.join(', and ')}.`
  return {
    code: 'in-use',
    title: 'It is in use',
    detail,
    remedy: migrationId === undefined ? emptyingOf(id, cidr) : followOf(migrationId),
    errors: [{ field: 'id', message: migrationId === undefined ? 'is in use' : `is migrating: ${migrationId}` }],
  }
}

const emptyingOf = (id: string, cidr: string) =>
  isIpv6(cidr)
    ? `Release its addresses first: \`sluice address list --shard ${id}\`.`
    : `Have them move to the network's other shards first (\`sluice shard migrate ${id}\`), or delete them.`

/** Its holders by name, in the order of their addresses; null: there are none. */
async function describeHeld(
  context: ControllerContext,
  id: string,
  occupancy: StoredObject<ShardOccupancyValue> | undefined,
): Promise<string | null> {
  if (occupancy === undefined || occupancy.value.resourceCount === 0) return null
  const { resourceCount } = occupancy.value
  const held = context.store
    .snapshot(addressKind, id)
    .filter(({ value }) => value.shardId === id)
    .toSorted(compareByAddress)
  const holders = await Promise.all(
    held.map(async ({ value }) => `${await nameHolder(context.store, value.ownerId)} (${value.address})`),
  )
  return `has ${resourceCount} ${resourceCount === 1 ? 'address' : 'addresses'} held: ${joinNames(holders)}`
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
        return checkUnused(context, id, value, seen)
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
