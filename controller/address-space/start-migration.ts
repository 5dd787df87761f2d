/**
 * What a migration needs before it may begin, and what is written with its beginning: the shard's mark, the migration
 * and its moves, in one transaction. Whatever speaks against it is said before anything moves. Reads the store.
 */

import { refuseField } from '../access/problems.ts'
import { findVisible } from '../access/view.ts'
import { shardSizes } from '../contract/address-space.ts'
import { type MigrationCreate, type MigrationMode, migrationModeDefault } from '../contract/migration.ts'
import { type Outcome, type Problem, refuse, succeed } from '../contract/problem.ts'
import type { Decision } from '../control-plane/act.ts'
import { type StoredObject, transactionWritesMaximum, write } from '../control-plane/store.ts'
import {
  addressKind,
  instanceKind,
  isExternalOwner,
  loadBalancerKind,
  type MigrationValue,
  machineKind,
  migrationKind,
  networkKind,
  type ShardValue,
  shardKind,
  shardOccupancyKind,
} from '../objects.ts'
import type { ControllerContext, RequestInfo } from '../services.ts'
import { listKeptRanges } from './address-policy.ts'
import { isIpv6 } from './cidr.ts'
import { describeShardUpdate } from './cut-shard.ts'
import { compareByAddress, joinNames } from './holder-names.ts'
import { listHolders, missingMoves } from './migration-moves.ts'
import { planShardMigration, type ShardMigrationPlan, selectTargets } from './plan-shard-migration.ts'
import { checkAttachment, readPolicy } from './read-policy.ts'
import { touchOccupancy } from './shard-occupancy.ts'
import { addressesNeverGiven } from './taken-bitmap.ts'
import { describeMigrationEvent } from './view-migration.ts'

type ReadContext = Pick<ControllerContext, 'store' | 'now'>
/** How a migration goes; whether it is only shown is for the caller to decide. */
export type MigrationInput = Omit<MigrationCreate, 'dryRun'>

const title = 'The shard can not be migrated'

/** Besides the moves: the shard, its record, the migration, and the events of both. */
export const movesAtOnceMaximum = transactionWritesMaximum - 5

/** The network that the shard is to join must be another one of the same project. */
export async function checkTargetNetwork(
  context: ReadContext,
  { id, value: shard }: StoredObject<ShardValue>,
  toNetworkId: string | undefined,
  request: RequestInfo,
): Promise<Outcome<true>> {
  if (toNetworkId === undefined) return succeed(true)
  const another = 'Name another network of the same project, or leave it out: the shard is available then.'
  if (toNetworkId === shard.networkId) {
    return refuseField('toNetworkId', `is the network that the shard '${shard.name}' is allocated to`, another)
  }
  const network = await findVisible(context, networkKind, toNetworkId, ({ value }) => value.projectId, request)
  if (!network.ok) return refuseField('toNetworkId', `there is no network ${toNetworkId}`, another)
  const { projectId, name, deletingSince } = network.value.value
  if (projectId !== shard.projectId) return refuseField('toNetworkId', `'${name}' is of another project`, another)
  if (deletingSince !== undefined) return refuseField('toNetworkId', `the network '${name}' is being deleted`, another)
  const problem = checkAttachment(context.store, toNetworkId, { id, poolId: shard.poolId })
  return problem === null ? succeed(true) : refuse(problem)
}

export interface PreparedMigration extends ShardMigrationPlan {
  /** The network that the holders are on. */
  readonly networkId: string
}

/** Who would move where; refused where the shard is on no network, or the target space is short. */
export function prepareMigration(
  context: ReadContext,
  { id, value }: StoredObject<ShardValue>,
): Outcome<PreparedMigration> {
  const { networkId } = value
  if (networkId === null) {
    return refuse({
      code: 'conflict',
      title,
      detail: `The shard '${value.name}' is allocated to no network, so nobody holds an address of it.`,
      remedy: `Allocate it to the network that shall have it: \`sluice shard allocate ${id} --network …\`.`,
      errors: [{ field: 'id', message: 'is allocated to no network' }],
    })
  }
  if (isIpv6(value.cidr)) return refuse(describeIpv6Migration(context, id, value))
  const { store } = context
  const occupancies = new Map(store.snapshot(shardOccupancyKind, id).map((object) => [object.id, object.value]))
  const external = describeExternal(context, { id, value })
  if (external !== null) return refuse(external)
  const targets = selectTargets(id, networkId, {
    shards: store.snapshot(shardKind, id),
    occupancyOf: (shardId) => occupancies.get(shardId),
    keptRanges: listKeptRanges(readPolicy(store, networkId)),
    now: context.now(),
  })
  const holders = listHolders(id, store.snapshot(addressKind, id), createHolderNaming(context, id))
  const plan = planShardMigration(holders, targets)
  if (plan.missingAddresses === 0) return succeed({ ...plan, networkId })
  const missing = `${count(plan.missingAddresses, 'is', 'are')} missing`
  return refuse({
    code: 'no-space',
    title,
    detail:
      `The shard '${value.name}' has ${count(holders.length, 'holder')}, and ${describeTargets(targets.length)} ` +
      `${count(plan.freeAddresses, 'free address', 'free addresses')}: ${missing}.`,
    remedy: describeRemedy(plan.missingAddresses, value.poolId, networkId),
    errors: [{ field: 'id', message: `of the addresses that its holders need ${missing}` }],
  })
}

/** As it was asked for, or else as the policy of the holders' network says. */
export const chooseMode = ({ store }: ReadContext, networkId: string, { mode }: MigrationInput): MigrationMode =>
  mode ?? readPolicy(store, networkId).migrationMode ?? migrationModeDefault

/** What is not run by us can't be moved: it is named, and who runs it has to act. Null: there is none. */
export function describeExternal(
  { store }: Pick<ReadContext, 'store'>,
  { id, value: { name } }: Pick<StoredObject<ShardValue>, 'id' | 'value'>,
): Problem | null {
  const occupancy = store.snapshot(shardOccupancyKind, id).find((object) => object.id === id)
  if ((occupancy?.value.externalCount ?? 0) === 0) return null
  const holders = store
    .snapshot(addressKind, id)
    .filter(({ value }) => value.shardId === id && isExternalOwner(value.ownerId))
    .toSorted(compareByAddress)
    .map(({ value }) => `${value.holder ?? value.ownerId} (${value.address})`)
  const detail = `Addresses of the shard '${name}' are held for what can't be moved from here: ${joinNames(holders)}.`
  return {
    code: 'in-use',
    title,
    detail,
    remedy: 'Give each another address yourself, and release these (`sluice address release`).',
    errors: [
      { field: 'id', message: `has ${count(holders.length, 'address', 'addresses')} that can't be moved from here` },
    ],
  }
}

/** Whoever holds an address of it was given it by hand, and has to be told by hand. */
function describeIpv6Migration({ store }: ReadContext, id: string, { name, networkId }: ShardValue): Problem {
  const held = store.snapshot(addressKind, id).flatMap(({ value }) => (value.shardId === id ? [value] : []))
  const holders = held.map(({ address, holder, ownerId }) => `${holder ?? ownerId} (${address})`)
  return {
    code: 'conflict',
    title,
    detail:
      `The shard '${name}' is of IPv6, which hosts do not carry yet: a migration could move nobody. ` +
      (holders.length === 0 ? 'Nobody holds an address of it.' : `Its addresses are held by ${joinNames(holders)}.`),
    remedy:
      holders.length === 0
        ? `Deallocate it: \`sluice shard deallocate ${id} --network ${networkId}\`. Any other network can have it then.`
        : 'Allocate addresses of another shard to these, release those of this one, and deallocate it.',
    errors: [{ field: 'id', message: 'is of IPv6, whose addresses no migration moves yet' }],
  }
}

const count = (number: number, one: string, many = `${one}s`) => `${number} ${number === 1 ? one : many}`

const describeTargets = (targets: number) =>
  targets === 0
    ? 'the network has no other shard that it could use, so there are'
    : `the network's other shards (${targets} that are neither reserved nor migrating) have`

function describeRemedy(missing: number, poolId: string, networkId: string): string {
  const largest = shardSizes.at(-1) ?? 0
  const size = shardSizes.find((one) => one - addressesNeverGiven >= missing) ?? largest
  const shards = Math.ceil(missing / (size - addressesNeverGiven))
  const what = shards === 1 ? `a shard of at least ${size} addresses` : `${shards} shards of ${size} addresses`
  const command = `sluice shard create --pool ${poolId} --size ${size} --network ${networkId}`
  return `Allocate ${what} to the network first: \`${command}\`. Or delete machines that are not needed.`
}

/** What operators call the holders of a client's addresses, from memory at this very moment. */
export function createHolderNaming({ store }: ReadContext, clientId: string): (ownerId: string) => string {
  const machines = new Map(store.snapshot(machineKind, clientId).map(({ id, value }) => [id, value.name]))
  const balancers = new Map(store.snapshot(loadBalancerKind, clientId).map(({ id, value }) => [id, value.name]))
  const instances = new Map(
    store
      .snapshot(instanceKind, clientId)
      .map(({ id, value }) => [id, `${balancers.get(value.loadBalancerId) ?? '?'}, slot ${value.slot}`]),
  )
  return (ownerId) => machines.get(ownerId) ?? instances.get(ownerId) ?? ownerId
}

/** Marks the shard and writes its migration. Asked again when another was faster. */
export function decideStart(
  context: ReadContext,
  migrationId: string,
  shard: StoredObject<ShardValue>,
  input: MigrationInput,
): Decision<ShardValue, Problem> {
  const prepared = prepareMigration(context, shard)
  if (!prepared.ok) return { kind: 'refuse', problem: prepared.problem }
  const { id, value } = shard
  const now = context.now()
  const migration: MigrationValue = {
    projectId: value.projectId,
    shardId: id,
    networkId: prepared.value.networkId,
    toNetworkId: input.toNetworkId ?? null,
    mode: chooseMode(context, prepared.value.networkId, input),
    parallelism: input.parallelism,
    drainSeconds: input.drainSeconds,
    wanted: 'run',
    status: 'running',
    reason: null,
    startedAt: new Date(now).toISOString(),
    finishedAt: null,
  }
  const addresses = context.store.snapshot(addressKind, id)
  const naming = { nameOf: createHolderNaming(context, id), now }
  const moves = missingMoves({ id: migrationId, value: migration }, addresses, [], naming)
  const marked = { ...value, migrationId }
  return {
    kind: 'write',
    value: marked,
    writes: [
      // Whoever is allocating from the shard meanwhile has read its record as it was, and is stopped by this.
      ...touchOccupancy(context, id),
      write({ kind: migrationKind, id: migrationId, expect: 'absent', value: migration }),
      ...moves.slice(0, movesAtOnceMaximum),
    ],
    events: [
      describeShardUpdate(id, marked),
      describeMigrationEvent('migration.started', migrationId, migration, {
        mode: migration.mode,
        movesTotal: moves.length,
      }),
    ],
  }
}

/** Whether a migration that is under way does what is asked for; a mode that is left out leaves it to that. */
export function saysTheSame(value: MigrationValue, input: MigrationInput): boolean {
  return (
    value.wanted === 'run' &&
    value.toNetworkId === (input.toNetworkId ?? null) &&
    (input.mode === undefined || value.mode === input.mode) &&
    value.parallelism === input.parallelism &&
    value.drainSeconds === input.drainSeconds
  )
}

/** It can't be migrated, or its migration be planned, beside the one that it has. */
export const describeMigrating = (shardName: string, migrationId: string, status: string): Problem => ({
  code: 'conflict',
  title,
  detail: `The shard '${shardName}' is migrating already: ${migrationId} is ${status}.`,
  remedy: `It goes on as it was asked for: follow it with \`sluice migration watch ${migrationId}\`, or cancel it first.`,
  errors: [{ field: 'id', message: `is migrating already by ${migrationId}, which is ${status}` }],
})
