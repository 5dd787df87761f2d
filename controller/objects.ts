/**
 * Every kind of object in the store, with the value that it keeps. Spec, status and occupancy are kinds of their own
 * within one entity group, so a health report or an allocation never makes an If-Match stale. Times are RFC 3339.
 */

import type { Driver, WorkloadInstructions } from '../agent/contract/host-instructions.ts'
import type { MemberStatus } from '../agent/contract/host-report.ts'
import type { AddressPolicy } from './contract/address-space.ts'
import type { Condition } from './contract/common.ts'
import type { instanceStatuses } from './contract/load-balancer.ts'
import type { Logging } from './contract/logs.ts'
import type { MigrationMode, MoveStep } from './contract/migration.ts'
import type { Quota } from './contract/project.ts'
import type { AutoScaling, ScalingDecision } from './contract/scaling.ts'
import type { algorithms, HealthCheck, Limits, ProxyProtocol, StickySessions, Timeouts } from './contract/traffic.ts'
import { defineKind } from './control-plane/store.ts'
import type { BreakerValue, FormerInstance } from './load-balancing/life/life-values.ts'

/** The client of what belongs to the rack and to no project. */
export const systemClient = 'system'

/** Set on a spec that is being deleted: hosts give it up first, then it becomes a tombstone. */
interface Deletable {
  readonly deletingSince?: string
}

/** Marked as deleted while it is checked that nothing is left in it, so that nothing new begins meanwhile. */
export interface ProjectValue extends Deletable {
  readonly name: string
  readonly user: string
  readonly slug: string
  readonly quota: Quota
  /** What its networks leave out of theirs. */
  readonly addressPolicy?: AddressPolicy
}
export const projectKind = defineKind<ProjectValue>({ name: 'project', prefix: 'prj', dataType: 'project' })

/** Marked as deleted while its credentials for events are being revoked: it lets nobody in any more. */
export interface TokenValue extends Deletable {
  readonly name: string
  readonly scope: 'admin' | 'project'
  readonly projectId: string | null
  /** Hex SHA-256 of the secret. */
  readonly secretHash: string
  readonly expiresAt: string | null
  /** The NATS user's public key, when it has event credentials. */
  readonly natsPublicKey: string | null
}
/** An admin's tokens are kept by the client `system`, a project's by the project: its id tells which. */
export const tokenKind = defineKind<TokenValue>({ name: 'token', prefix: 'tok', dataType: 'token' })

export interface PoolValue {
  readonly name: string
  readonly projectId: string
  readonly cidr: string
}
/** A pool's record of the blocks that have been cut from it: the one place where overlap within it is decided. */
export interface PoolOccupancyValue {
  readonly cuts: readonly { readonly shardId: string; readonly cidr: string }[]
}
/** All pools of a project: the one place where overlap within a project is decided. */
export interface ProjectSpaceValue {
  readonly pools: readonly { readonly poolId: string; readonly cidr: string }[]
}
export interface ShardValue {
  readonly name: string
  readonly projectId: string
  readonly poolId: string
  readonly cidr: string
  readonly reserved: boolean
  readonly networkId: string | null
  /** While its holders move away: nothing is allocated out of it. */
  readonly migrationId?: string
}
/** Which addresses of a shard are held; the addresses themselves are objects beside it. */
export interface ShardOccupancyValue {
  /** Base64 of a bitmap, one bit an address of the block, set when it can't be given: network, gateway, broadcast, held. */
  readonly takenBitmap: string
  readonly resourceCount: number
  /** How many of these are held by what nobody here can move; absent: none. */
  readonly externalCount?: number
  readonly lastAccessedAt: string | null
  /** Given back and not given again until then; their bits stay set, and are cleared when the record is next written. */
  readonly quarantined?: readonly { readonly offset: number; readonly until: string }[]
  /** Where addresses are given in sequence: the one given last, and which turn of the network's that was. */
  readonly lastGiven?: { readonly offset: number; readonly turn: number }
}
export interface AddressValue {
  readonly address: string
  readonly shardId: string
  readonly projectId: string
  /** The machine or instance; or an id of its own that begins with `externalOwnerPrefix`. */
  readonly ownerId: string
  /** What that is called, where it is neither machine nor instance. */
  readonly holder?: string
  readonly allocatedAt: string
}
const addressSpace = 'address-space'
/** Of owners that are objects of nobody's: what is on a network and not run by us. */
export const externalOwnerPrefix = 'ext'
export const isExternalOwner = (ownerId: string) => ownerId.startsWith(`${externalOwnerPrefix}_`)
export const projectSpaceKind = defineKind<ProjectSpaceValue>({
  name: 'project-space',
  prefix: 'psp',
  dataType: addressSpace,
})
export const poolKind = defineKind<PoolValue>({ name: 'pool', prefix: 'pol', dataType: addressSpace })
export const poolOccupancyKind = defineKind<PoolOccupancyValue>({
  name: 'pool-occupancy',
  prefix: 'pol',
  dataType: addressSpace,
})
export const shardKind = defineKind<ShardValue>({ name: 'shard', prefix: 'shd', dataType: addressSpace })
export const shardOccupancyKind = defineKind<ShardOccupancyValue>({
  name: 'shard-occupancy',
  prefix: 'shd',
  dataType: addressSpace,
})
/**
 * Its id is named by shard and address (createNamedId), so that taking one twice is a conflict. The record of its shard
 * carries it, so that a batch of allocations is one message.
 */
export const addressKind = defineKind<AddressValue>({
  name: 'address',
  prefix: 'adr',
  dataType: addressSpace,
  carriedBy: { kind: shardOccupancyKind.name, carrierIdOf: ({ shardId }) => shardId },
})

/** Of one entity group with shards and addresses: a shard is marked together with the migration that empties it. */
export interface MigrationValue {
  readonly projectId: string
  readonly shardId: string
  readonly networkId: string
  readonly toNetworkId: string | null
  readonly mode: MigrationMode
  readonly parallelism: number
  readonly drainSeconds: number
  /** What was asked for last. */
  readonly wanted: 'run' | 'cancel' | 'rollback'
  /** `running` until there is nothing left to do for what is wanted; `blocked` when some could not move. */
  readonly status: 'running' | 'blocked' | 'cancelled' | 'rolled-back' | 'done'
  readonly reason: string | null
  readonly startedAt: string
  readonly finishedAt: string | null
}
/** Of one holder; its id is named by migration and holder (createNamedId). */
export interface MoveValue {
  readonly migrationId: string
  readonly projectId: string
  readonly networkId: string
  readonly ownerId: string
  readonly ownerKind: 'machine' | 'instance'
  readonly name: string
  readonly mode: MigrationMode
  readonly from: { readonly address: string; readonly shardId: string }
  readonly to: { readonly address: string; readonly shardId: string } | null
  readonly step: MoveStep
  /** Since when it is at this step. */
  readonly stepSince: string
  /** What a return ends in. */
  readonly returnsAs: 'failed' | 'undone' | null
  readonly reason: string | null
  /** Its members that were not healthy before balancers switched: they are not waited for after. */
  readonly unhealthyMemberIds?: readonly string[]
  readonly startedAt: string | null
  readonly finishedAt: string | null
}
export const migrationKind = defineKind<MigrationValue>({ name: 'migration', prefix: 'mig', dataType: addressSpace })
export const moveKind = defineKind<MoveValue>({ name: 'move', prefix: 'mov', dataType: addressSpace })

/** Marked as deleted while it is checked that nothing is left on it, so that no shard is allocated to it meanwhile. */
export interface NetworkValue extends Deletable {
  readonly name: string
  readonly projectId: string
  readonly vni: number
  readonly mtu: number
  readonly addressPolicy?: AddressPolicy
}
export const networkKind = defineKind<NetworkValue>({ name: 'network', prefix: 'net', dataType: 'network' })

/** Why its policy can't give it another shard, so that it is told once; absent where that never was so. */
export interface NetworkStatusValue {
  readonly blocked: { readonly reason: 'noRoom' | 'quotaExceeded'; readonly since: string } | null
}
export const networkStatusKind = defineKind<NetworkStatusValue>({
  name: 'network-status',
  prefix: 'net',
  dataType: 'network',
})

export interface MachineValue extends Deletable {
  readonly name: string
  readonly projectId: string
  readonly networkId: string
  readonly hostId: string
  readonly driver: Driver
  readonly mac: string
  readonly workloads: readonly WorkloadInstructions[]
  /** The first is the one that balancers, names and DHCP give; another one is on its way in or out. */
  readonly addresses: readonly { readonly address: string; readonly shardId: string }[]
  /** Changes its address by taking its interface down; set and cleared by a migration. */
  readonly restartsForAddress?: boolean
  /** Out of every balancer that it is a member of, while it is about to restart; set and cleared by a migration. */
  readonly drained?: boolean
}
export interface MachineStatusValue {
  readonly status: 'provisioning' | 'active' | 'failed' | 'deleting'
  readonly conditions: readonly Condition[]
  /** The spec's generation that this answers. */
  readonly observedGeneration: number
}
export const machineKind = defineKind<MachineValue>({ name: 'machine', prefix: 'mch', dataType: 'machine' })
export const machineStatusKind = defineKind<MachineStatusValue>({
  name: 'machine-status',
  prefix: 'mch',
  dataType: 'machine',
})

export interface MemberValue {
  readonly id: string
  readonly address: string | null
  readonly port: number | null
  readonly url: string | null
  readonly machineId: string | null
  /** Followed by its name. */
  readonly host?: string | null
  readonly weight: number
  /** Told so by hand. */
  readonly draining?: boolean
}
export interface LoadBalancerValue extends Deletable {
  readonly name: string
  readonly projectId: string
  readonly networkId: string
  readonly trafficType: 'http' | 'tcp'
  readonly algorithm: (typeof algorithms)[number]
  readonly listeners: readonly { readonly port: number; readonly memberPort?: number | undefined }[]
  readonly members: readonly MemberValue[]
  readonly healthCheck: HealthCheck
  /** What is absent here and in the five that follow is as settleTraffic has it; a driver is `netns`. */
  readonly timeouts: Partial<Timeouts>
  readonly retries?: number
  readonly slowStartSeconds?: number
  readonly stickySessions?: StickySessions | null
  readonly proxyProtocol?: ProxyProtocol
  readonly logging?: Logging
  readonly limits?: Limits
  readonly forwardedFor: boolean
  readonly driver?: Driver
  readonly instanceCount: number
  readonly autoScaling: AutoScaling | false
}
/** A balancer's slots: each a VIP and, when all is well, the instance whose home it is. */
export interface LoadBalancerSlotsValue {
  readonly slots: readonly SlotValue[]
}
export interface SlotValue {
  readonly slot: number
  readonly vip: string
  readonly instanceId: string | null
  /** On its way out: since then no name lists its VIP. RFC 3339. */
  readonly leavingSince?: string
  /** Nobody can have been told of its VIP of late any more: since then its instance gives up its clients. RFC 3339. */
  readonly drainingSince?: string
  /** Who had the slot before, until it is decided which of the two stays. */
  readonly former?: FormerInstance
}
/** What scaling has decided, so that any controller carries on. There is none without auto-scaling. */
export interface LoadBalancerScalingValue {
  readonly desiredCount: number
  readonly lastOutAt: string | null
  readonly lastInAt: string | null
  /** The last ones that changed the count, newest first. */
  readonly decisions: readonly ScalingDecision[]
}
export interface InstanceValue extends Deletable {
  readonly loadBalancerId: string
  readonly projectId: string
  readonly networkId: string
  readonly slot: number
  readonly hostId: string
  readonly driver: Driver
  readonly uplinkAddress: string
  readonly networkAddress: string
  readonly networkShardId: string
  /** Told to give up its clients: once its report says that it has drained, nobody is cut off by its end. */
  readonly draining?: boolean
  /** On its way in, or still there for the connections that were begun with it. */
  readonly formerNetworkAddress?: { readonly address: string; readonly shardId: string }
}
/** `drained`: told to drain, and no instance has anything left of it. */
export type RecordedMemberStatus = MemberStatus | 'drained'
export interface LoadBalancerStatusValue {
  readonly status: 'provisioning' | 'active' | 'degraded' | 'failed' | 'deleting'
  readonly conditions: readonly Condition[]
  readonly observedGeneration: number
  /** By member id, as its instances found them: kept so that each change makes one event. Absent: unknown. */
  readonly members?: Readonly<Record<string, RecordedMemberStatus>>
  /** With how many instances all of them served last: one with more to come is not thereby any worse. */
  readonly wholeCount?: number
}
export interface InstanceStatusValue {
  readonly status: (typeof instanceStatuses)[number]
  readonly conditions: readonly Condition[]
  readonly observedGeneration: number
}
const loadBalancing = 'load-balancer'
export const loadBalancerKind = defineKind<LoadBalancerValue>({
  name: 'load-balancer',
  prefix: 'lb',
  dataType: loadBalancing,
})
export const loadBalancerStatusKind = defineKind<LoadBalancerStatusValue>({
  name: 'load-balancer-status',
  prefix: 'lb',
  dataType: loadBalancing,
})
export const loadBalancerSlotsKind = defineKind<LoadBalancerSlotsValue>({
  name: 'load-balancer-slots',
  prefix: 'lb',
  dataType: loadBalancing,
})
export const loadBalancerScalingKind = defineKind<LoadBalancerScalingValue>({
  name: 'load-balancer-scaling',
  prefix: 'lb',
  dataType: loadBalancing,
})
export const instanceKind = defineKind<InstanceValue>({ name: 'instance', prefix: 'lbi', dataType: loadBalancing })
export const instanceStatusKind = defineKind<InstanceStatusValue>({
  name: 'instance-status',
  prefix: 'lbi',
  dataType: loadBalancing,
})

export interface HostValue {
  readonly name: string
  readonly maintenance: boolean
  readonly labels: Readonly<Record<string, string>>
  /** Null until it has joined. */
  readonly underlayAddress: string | null
  readonly publicKey: string | null
  readonly joinedAt: string | null
}
export interface JoinTokenValue {
  readonly hostId: string
  readonly host: string
  /** Hex SHA-256 of the secret: the key of the proof. */
  readonly secretHash: string
  readonly expiresAt: string
}
/** What health decided of a host: an event and a condition follow each change. */
export interface HostStatusValue {
  readonly status: 'awaiting-join' | 'active' | 'silent'
  readonly since: string
}
export const breakerKind = defineKind<BreakerValue>({ name: 'breaker', prefix: 'brk', dataType: 'host' })

export const hostKind = defineKind<HostValue>({ name: 'host', prefix: 'hst', dataType: 'host' })
export const hostStatusKind = defineKind<HostStatusValue>({ name: 'host-status', prefix: 'hst', dataType: 'host' })
export const joinTokenKind = defineKind<JoinTokenValue>({ name: 'join-token', prefix: 'jtk', dataType: 'host' })

/**
 * Something taken before the object that wants it is written, since a transaction covers one entity group: a name, a
 * unit of quota, a VNI, an address on the uplink. Its id is its name (createNamedId), so taking it twice is a conflict;
 * it carries its owner, and is released when the owner is not there.
 */
export interface ReservationValue {
  readonly ownerId: string
  readonly ownerKind: string
  /** Whose it is: a project's id, a user, or `system`. Within it the words are unique. */
  readonly clientId: string
  /** What is reserved, its sort first: `['name', 'network', 'web']`, `['uplink', '198.18.32.10']`. */
  readonly words: readonly string[]
  readonly takenAt: string
}
export const reservationKind = defineKind<ReservationValue>({
  name: 'reservation',
  prefix: 'rsv',
  dataType: 'reservation',
})

/** A request that came with an Idempotency-Key: the seed of what it makes, and its answer once it has one. */
export interface IdempotencyValue {
  readonly fingerprint: string
  /** What the ids of its objects are made from, so that a repetition carries on with the same. */
  readonly seed: string
  readonly answer: {
    readonly status: number
    readonly body: unknown
    readonly headers: Readonly<Record<string, string>>
  } | null
  readonly takenAt: string
}
export const idempotencyKind = defineKind<IdempotencyValue>({
  name: 'idempotency-key',
  prefix: 'idk',
  dataType: 'reservation',
})
