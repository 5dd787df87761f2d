/**
 * What the controller tells programs: CloudEvents 1.0 on `sluice.events.<project id, or system>.<type>` and at
 * `/v1/events`. Every type is here with its data; types are nouns and a past participle.
 */

import * as v from 'valibot'
import { clashReasons, escalationResolutions } from './escalation.ts'
import { harmSchema } from './hypervisor.ts'
import { decisionModes, takenDecisionSchema } from './microshard-policies.ts'
import { scalingReasonSchema } from './scaling.ts'

const named = { name: v.string() }
const carrier = { ...named, address: v.string(), version: v.string() }
const slotOfBalancer = v.object({ loadBalancerId: v.string(), slot: v.number(), vip: v.string() })

/** How many connections outlasted the time to drain, and ended when the VIP moved; left out where none did. */
const cut = { connectionsCut: v.optional(v.number()) }

const handedOver = v.object({
  operationId: v.string(),
  sources: v.array(v.string()),
  targets: v.array(v.string()),
  /** Of the directory. */
  version: v.number(),
})

export const eventTypes = {
  'project.created': v.object({ ...named, user: v.string() }),
  'project.updated': v.object({ ...named, user: v.string() }),
  'project.deleted': v.object({ ...named, user: v.string() }),
  'token.created': v.object({ ...named, scope: v.string() }),
  'token.deleted': v.object({ ...named, scope: v.string() }),
  'pool.created': v.object({ ...named, cidr: v.string() }),
  'pool.updated': v.object({ ...named, cidr: v.string() }),
  'pool.deleted': v.object({ ...named, cidr: v.string() }),
  'shard.created': v.object({ shardId: v.string(), poolId: v.string(), cidr: v.string() }),
  'shard.updated': v.object({ shardId: v.string(), status: v.string() }),
  'shard.deleted': v.object({ shardId: v.string(), cidr: v.string() }),
  'shard.allocated': v.object({ shardId: v.string(), networkId: v.string(), cidr: v.string() }),
  'shard.deallocated': v.object({ shardId: v.string(), networkId: v.string(), cidr: v.string() }),
  'migration.started': v.object({
    shardId: v.string(),
    networkId: v.string(),
    toNetworkId: v.nullable(v.string()),
    mode: v.string(),
    movesTotal: v.number(),
  }),
  /** Something else is wanted of it: cancelled, rolled back or resumed; `status` says what it does now. */
  'migration.updated': v.object({
    shardId: v.string(),
    networkId: v.string(),
    toNetworkId: v.nullable(v.string()),
    status: v.string(),
  }),
  /** A holder has come to another step of its move. */
  'migration.step': v.object({
    ownerId: v.string(),
    name: v.string(),
    from: v.string(),
    to: v.nullable(v.string()),
    step: v.string(),
    reason: v.nullable(v.string()),
  }),
  'migration.completed': v.object({
    shardId: v.string(),
    networkId: v.string(),
    toNetworkId: v.nullable(v.string()),
  }),
  'migration.blocked': v.object({ shardId: v.string(), networkId: v.string(), reason: v.nullable(v.string()) }),
  'migration.cancelled': v.object({ shardId: v.string(), networkId: v.string() }),
  'migration.rolled-back': v.object({ shardId: v.string(), networkId: v.string() }),
  /** A policy cut a shard and allocated it, as its network's addresses were used to that degree, 0 to 1. */
  'policy.grown': v.object({
    networkId: v.string(),
    shardId: v.string(),
    poolId: v.string(),
    cidr: v.string(),
    utilization: v.number(),
  }),
  /** A network should have been given another shard, and no pool has room, or the project's quota is used up. */
  'policy.blocked': v.object({ networkId: v.string(), reason: v.picklist(['noRoom', 'quotaExceeded']) }),
  /** A policy deallocated and deleted a shard that had been empty since then. */
  'policy.gave-back': v.object({
    networkId: v.string(),
    shardId: v.string(),
    cidr: v.string(),
    emptySince: v.string(),
  }),
  'network.created': v.object({ ...named, vni: v.number() }),
  'network.updated': v.object({ ...named, vni: v.number() }),
  'network.deleted': v.object({ ...named, vni: v.number() }),
  'machine.created': v.object({ ...named, networkId: v.string() }),
  'machine.updated': v.object({ ...named, networkId: v.string() }),
  'machine.activated': v.object({ ...named, hostId: v.string(), addresses: v.array(v.string()) }),
  'machine.failed': v.object({ ...named, reason: v.string() }),
  'machine.deleted': v.object({ ...named, networkId: v.string() }),
  'load-balancer.created': v.object({ ...named, networkId: v.string(), trafficType: v.string() }),
  'load-balancer.updated': v.object({ ...named, fields: v.array(v.string()) }),
  'load-balancer.activated': v.object({ ...named, vips: v.array(v.string()) }),
  'load-balancer.degraded': v.object({ ...named, reason: v.string() }),
  'load-balancer.failed': v.object({ ...named, reason: v.string() }),
  'load-balancer.deleted': v.object(named),
  /** The name server lists these addresses under its name now, and no others. */
  'load-balancer.name.published': v.object({ ...named, dnsName: v.string(), addresses: v.array(v.string()) }),
  /** It is not found by that name any more. */
  'load-balancer.name.withdrawn': v.object({ ...named, dnsName: v.string() }),
  /** Its name could not be published or changed, and is as soon as that can be; `reason` is that of its condition. */
  'load-balancer.name.delayed': v.object({ ...named, dnsName: v.string(), reason: v.string(), message: v.string() }),
  'load-balancer.instance.placed': v.object({ loadBalancerId: v.string(), slot: v.number(), hostId: v.string() }),
  'load-balancer.instance.activated': v.object({ loadBalancerId: v.string(), slot: v.number(), hostId: v.string() }),
  'load-balancer.instance.suspected': v.object({ loadBalancerId: v.string(), slot: v.number(), reason: v.string() }),
  /** How many instances it is to have was decided anew, by its load or its schedules. */
  'load-balancer.scaled': v.object({
    ...named,
    from: v.number(),
    to: v.number(),
    reasons: v.array(scalingReasonSchema),
  }),
  /** No name lists its VIP any more, as its slot is to go; it stays after all; it has no clients any more, and goes. */
  'load-balancer.instance.withdrawn': slotOfBalancer,
  'load-balancer.instance.kept': slotOfBalancer,
  'load-balancer.instance.drained': v.object({ ...slotOfBalancer.entries, ...cut }),
  /** Every change of an instance's status, with why. */
  'load-balancer.instance.changed': v.object({
    loadBalancerId: v.string(),
    slot: v.number(),
    hostId: v.string(),
    from: v.string(),
    to: v.string(),
    reason: v.string(),
  }),
  /** Another one has its slot. */
  'load-balancer.instance.replaced': v.object({
    loadBalancerId: v.string(),
    slot: v.number(),
    replacementId: v.string(),
    hostId: v.string(),
    reason: v.string(),
  }),
  /** It has its slot again. */
  'load-balancer.instance.reinstated': v.object({
    loadBalancerId: v.string(),
    slot: v.number(),
    hostId: v.string(),
    insteadOf: v.string(),
    reason: v.string(),
  }),
  /** It is decided that it goes. */
  'load-balancer.instance.retired': v.object({
    loadBalancerId: v.string(),
    slot: v.number(),
    reason: v.string(),
    ...cut,
  }),
  'load-balancer.instance.deleted': v.object({ loadBalancerId: v.string(), slot: v.number() }),
  'load-balancer.member.changed': v.object({
    loadBalancerId: v.string(),
    memberId: v.string(),
    address: v.string(),
    status: v.string(),
  }),
  /** A change could not be made and waits for a person; `by` is the token that asked for it. */
  'escalation.raised': v.object({
    actionType: v.string(),
    kind: v.string(),
    objectId: v.string(),
    reason: v.picklist(clashReasons),
    by: v.string(),
  }),
  /** A person has decided: `version` is that which the change made, where it made one. */
  'escalation.resolved': v.object({
    actionType: v.string(),
    kind: v.string(),
    objectId: v.string(),
    resolution: v.picklist(escalationResolutions),
    by: v.string(),
    version: v.nullable(v.number()),
  }),
  /** The subject is the first of the microshards that were handed over; their successors keep the same arcs. */
  'microshard.split': handedOver,
  'microshard.merged': handedOver,
  'microshard.migrated': handedOver,
  /** Its keys have other weights from now on. */
  'microshard.resharded': handedOver,
  /** An operation was given up: everything is where it was, if need be in microshards with other numbers. */
  'microshard.restored': handedOver,
  /** The lifecycle manager has decided something; in a dry run nothing comes of it. */
  'microshard.decided': v.object({
    ...v.omit(takenDecisionSchema, ['at']).entries,
    mode: v.picklist(decisionModes),
  }),
  'microshard.policies-updated': v.object({ mode: v.picklist(decisionModes) }),
  /** Another number of nodes would suit the load, as it is or is expected; nobody starts or ends one by himself. */
  'nodes.wanted': v.object({
    present: v.number(),
    wanted: v.number(),
    reason: v.string(),
    figures: v.record(v.string(), v.number()),
  }),
  /**
   * A project, or a host for itself, has more series than anybody may: new ones are dropped. `owner` is its id, or the
   * host's name; `host` and `plugin` are the source of most of them.
   */
  'metrics.limited': v.object({
    owner: v.string(),
    seriesMaximum: v.number(),
    host: v.string(),
    plugin: v.string(),
    refused: v.number(),
  }),
  'host.created': v.object(named),
  'host.joined': v.object({ ...named, underlayAddress: v.string() }),
  'host.updated': v.object(named),
  'host.silenced': v.object({ ...named, lastReportAt: v.string() }),
  'host.recovered': v.object(named),
  'host.deleted': v.object(named),
  /** A controller is heard of, or no more. */
  'controller.appeared': v.object(carrier),
  'controller.disappeared': v.object(carrier),
  /** A NATS server answers, or no more. */
  'node.appeared': v.object(carrier),
  'node.disappeared': v.object(carrier),
  /** The stack of a libvirt host was applied, or is as it should be again; `adopted` was ours and not in its state. */
  'host.stack.converged': v.object({ ...named, changes: v.array(v.string()), adopted: v.array(v.string()) }),
  'host.stack.refused': v.object({ ...named, harms: v.array(harmSchema) }),
  'host.stack.failed': v.object({ ...named, reason: v.string(), message: v.string(), remedy: v.string() }),
  /** Terraform or OpenTofu keeps its state here. */
  'stack.state.written': v.object({ ...named, stateVersion: v.number(), serial: v.nullable(v.number()) }),
  'stack.state.removed': v.object(named),
  'stack.state.rolled-back': v.object({ ...named, stateVersion: v.number(), toVersion: v.number() }),
  /** By an admin, who holds that its holder is gone. */
  'stack.lock.broken': v.object({ ...named, lockId: v.string(), who: v.string() }),
  /** Too many hosts fail together: nothing is replaced from now on. */
  'breaker.opened': v.object({ reason: v.string(), hostIds: v.array(v.string()) }),
  /** By a recovery, or by a person. */
  'breaker.closed': v.object({ reason: v.string() }),
} as const

export type EventType = keyof typeof eventTypes
export type EventData<Type extends EventType> = v.InferOutput<(typeof eventTypes)[Type]>

export const cloudEventSchema = v.object({
  specversion: v.literal('1.0'),
  id: v.string(),
  source: v.literal('sluice'),
  type: v.string(),
  /** The id of the object that it is about. */
  subject: v.string(),
  time: v.string(),
  datacontenttype: v.literal('application/json'),
  /** Left out: of the rack, not of a project. */
  projectid: v.optional(v.string()),
  traceparent: v.optional(v.string()),
  data: v.unknown(),
})
export type CloudEvent = v.InferOutput<typeof cloudEventSchema>
