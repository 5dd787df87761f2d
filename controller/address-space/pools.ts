/** Pools: the supernets that a project's shards are cut from. No two of a project overlap, and none the uplink. */

import { removeObject, updateObject } from '../access/change-object.ts'
import { type DeclaredContent, declareObject } from '../access/declare-object.ts'
import { createObjectId } from '../access/object-id.ts'
import { refuseField, refuseInUse } from '../access/problems.ts'
import { findVisible, listObjects, maySee, viewObject } from '../access/view.ts'
import type { Pool, PoolCreate, PoolUpdate } from '../contract/address-space.ts'
import { type Outcome, type Problem, refuse, succeed } from '../contract/problem.ts'
import { createNamedId } from '../control-plane/shard-key.ts'
import { type EventDraft, type StoredObject, type Write, write } from '../control-plane/store.ts'
import {
  type PoolOccupancyValue,
  type PoolValue,
  poolKind,
  poolOccupancyKind,
  projectSpaceKind,
  shardKind,
} from '../objects.ts'
import type { ControllerContext, RequestInfo, Service } from '../services.ts'
import { sizeOfCidr } from './cidr.ts'
import { cidrsOverlap } from './cidr-families.ts'
import { parsePoolBlock } from './pool-block.ts'

export function createPoolsService(context: ControllerContext): Service<Pool, PoolCreate, PoolUpdate> {
  const view = (object: StoredObject<PoolValue>) => viewPool(object, occupancyOf(object.id))
  const occupancyOf = (id: string) =>
    context.store.snapshot(poolOccupancyKind, id).find((occupancy) => occupancy.id === id)?.value

  return {
    async create(input, request) {
      if (!maySee(request.caller, input.projectId)) return refuseUnknownProject(input.projectId)
      return createPool(context, input, request)
    },
    async list(query, request) {
      return succeed(listObjects(context, { kind: poolKind, projectIdOf, view }, query, request))
    },
    async show(id, request) {
      const found = await findVisible(context, poolKind, id, projectIdOf, request)
      return found.ok ? succeed(view(found.value)) : found
    },
    async update(id, input, request) {
      const found = await findVisible(context, poolKind, id, projectIdOf, request)
      if (!found.ok) return found
      const updated = await updateObject(
        context,
        {
          kind: poolKind,
          id,
          scope: found.value.value.projectId,
          apply: ({ value }) => {
            const changed = { ...value, name: input.name ?? value.name }
            if (changed.name === value.name) return { kind: 'keep' }
            return { kind: 'write', value: changed, events: [describeEvent('updated', id, changed)] }
          },
        },
        request,
      )
      return updated.ok ? succeed(view(updated.value)) : updated
    },
    async remove(id, request) {
      const found = await findVisible(context, poolKind, id, projectIdOf, request)
      if (!found.ok) return found
      return removePool(context, found.value, request)
    },
  }
}

export const refuseUnknownProject = (projectId: string) =>
  refuseField('projectId', `there is no project ${projectId}`, 'Give the id of a project that is there.')

const projectIdOf = ({ value }: StoredObject<PoolValue>) => value.projectId

function viewPool(object: StoredObject<PoolValue>, occupancy: PoolOccupancyValue | undefined): Pool {
  const { name, projectId, cidr } = object.value
  return {
    ...viewObject(object, { name, projectId }),
    status: 'available',
    cidr,
    sizeAddresses: sizeOfCidr(cidr),
    cutAddresses: (occupancy?.cuts ?? []).reduce((sum, cut) => sum + sizeOfCidr(cut.cidr), 0),
  }
}

async function createPool(context: ControllerContext, input: PoolCreate, request: RequestInfo): Promise<Outcome<Pool>> {
  const cidr = parsePoolBlock(input.cidr, context.settings.uplinkCidr)
  if (!cidr.ok) return cidr
  const id = createObjectId(poolKind, input.projectId, request.seed)
  const value: PoolValue = { name: input.name, projectId: input.projectId, cidr: cidr.value }
  const first = decidePool(context, id, value)
  if (!first.ok) return first
  const declared = await declareObject(
    context,
    {
      kind: poolKind,
      id,
      scope: input.projectId,
      name: input.name,
      quota: { noun: 'pools', projectId: input.projectId },
      value,
      events: [],
      decide: () => decidePool(context, id, value),
    },
    request,
  )
  return declared.ok ? succeed(viewPool(declared.value, undefined)) : declared
}

/** The project's list of pools is written with it: the one place where overlap is decided. */
function decidePool(context: ControllerContext, id: string, value: PoolValue): Outcome<DeclaredContent<PoolValue>> {
  const spaceId = projectSpaceIdOf(value.projectId)
  const space = context.store.snapshot(projectSpaceKind, value.projectId).find((object) => object.id === spaceId)
  const pools = space?.value.pools ?? []
  // A repetition at the same moment may have written this very pool: then the write finds it there, and not this.
  const inTheWay = pools.find((pool) => pool.poolId !== id && cidrsOverlap(pool.cidr, value.cidr))
  if (inTheWay !== undefined) return refuseOverlap(context, value.cidr, inTheWay)
  return succeed({
    value,
    beside: [
      write({ kind: poolOccupancyKind, id, expect: 'absent', value: { cuts: [] } }),
      write({
        kind: projectSpaceKind,
        id: spaceId,
        expect: space?.version ?? 'absent',
        value: { pools: [...pools, { poolId: id, cidr: value.cidr }] },
      }),
    ],
    events: [describeEvent('created', id, value)],
  })
}

const projectSpaceIdOf = (projectId: string) => createNamedId(projectSpaceKind.prefix, projectId, projectId)

function refuseOverlap(
  context: ControllerContext,
  cidr: string,
  other: { readonly poolId: string; readonly cidr: string },
): Outcome<never> {
  const pool = context.store.snapshot(poolKind, other.poolId).find(({ id }) => id === other.poolId)
  const name = pool === undefined ? other.poolId : `'${pool.value.name}' (${other.poolId})`
  return refuse({
    code: 'overlap',
    title: 'It overlaps another pool',
    detail: `${cidr} overlaps ${other.cidr}, the pool ${name} of the same project.`,
    remedy: 'Choose a block that no pool of the project has, or cut shards from that pool.',
    errors: [{ field: 'cidr', message: `overlaps ${other.cidr}, the pool ${name}` }],
  })
}

async function removePool(
  context: ControllerContext,
  pool: StoredObject<PoolValue>,
  request: RequestInfo,
): Promise<Outcome<boolean>> {
  const { id } = pool
  const { projectId, name } = pool.value
  // What is removed is what was seen to be uncut, at that version: a shard that is cut meanwhile stops this.
  let seen: StoredObject<PoolOccupancyValue> | undefined
  return removeObject(
    context,
    {
      kind: poolKind,
      id,
      scopes: [projectId],
      check: () => {
        seen = context.store.snapshot(poolOccupancyKind, id).find((occupancy) => occupancy.id === id)
        return checkUncut(context, seen, name)
      },
      beside: () => listRemovals(context, seen, projectId, id),
      events: ({ value }) => [describeEvent('deleted', id, value)],
    },
    request,
  )
}

function checkUncut(
  context: ControllerContext,
  occupancy: StoredObject<PoolOccupancyValue> | undefined,
  name: string,
): Problem | null {
  const cuts = occupancy?.value.cuts ?? []
  if (cuts.length === 0) return null
  const names = new Map(context.store.snapshot(shardKind, occupancy?.id).map(({ id, value }) => [id, value.name]))
  const holders = cuts.map(({ shardId, cidr }) => `shard '${names.get(shardId) ?? shardId}' (${cidr})`)
  return refuseInUse('pool', name, holders).problem
}

function listRemovals(
  context: ControllerContext,
  occupancy: StoredObject<PoolOccupancyValue> | undefined,
  projectId: string,
  id: string,
): readonly Write[] {
  const spaceId = projectSpaceIdOf(projectId)
  const space = context.store.snapshot(projectSpaceKind, projectId).find((object) => object.id === spaceId)
  const removals: Write[] = []
  if (occupancy !== undefined) {
    removals.push(write({ kind: poolOccupancyKind, id, expect: occupancy.version, value: null }))
  }
  if (space !== undefined) {
    const pools = space.value.pools.filter(({ poolId }) => poolId !== id)
    removals.push(write({ kind: projectSpaceKind, id: spaceId, expect: space.version, value: { pools } }))
  }
  return removals
}

const describeEvent = (type: 'created' | 'updated' | 'deleted', id: string, value: PoolValue): EventDraft => ({
  type: `pool.${type}`,
  projectId: value.projectId,
  subject: id,
  data: { name: value.name, cidr: value.cidr },
})
