/**
 * What the routes call: one service a noun, each created by a factory in its room from the same context. Types only.
 * A service answers an Outcome; it has parsed nothing and sends nothing.
 */

import type { Logger } from 'pino'
import type { JoinAnswer, JoinRequest } from '../agent/contract/enrolment.ts'
import type {
  Address,
  AddressAllocate,
  Network,
  NetworkCreate,
  NetworkUpdate,
  Pool,
  PoolCreate,
  PoolUpdate,
  Shard,
  ShardCreate,
  ShardUpdate,
} from './contract/address-space.ts'
import type { Page } from './contract/common.ts'
import type {
  LoadBalancer,
  LoadBalancerCreate,
  LoadBalancerUpdate,
  Member,
  MemberCreate,
  MemberUpdate,
} from './contract/load-balancer.ts'
import type {
  Host,
  HostCreate,
  HostCreated,
  HostUpdate,
  Machine,
  MachineCreate,
  MachineUpdate,
} from './contract/machine.ts'
import type {
  Migration,
  MigrationAction,
  MigrationCreate,
  MigrationPlan,
  MigrationSummary,
} from './contract/migration.ts'
import type { Outcome } from './contract/problem.ts'
import type { Project, ProjectCreate, ProjectUpdate, Token, TokenCreate, TokenCreated } from './contract/project.ts'
import type { Scaling } from './contract/scaling.ts'
import type { Actions } from './control-plane/act.ts'
import type { Store } from './control-plane/store.ts'
import type { LifeSettings } from './load-balancing/life/life-settings.ts'
import type { NameSettings } from './names/name-object.ts'
import type { ObservedHosts } from './observed/observed-hosts.ts'

export interface ControllerContext {
  readonly store: Store
  /** How objects change: what is asked for at once on one object is written as one. */
  readonly actions: Actions
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly random: (bytes: number) => Uint8Array
  /** Left out: whoever has lost a race goes on at once, as where time is simulated. */
  readonly sleep?: (milliseconds: number) => Promise<unknown>
  readonly logger: Logger
  readonly observed: ObservedHosts
  readonly settings: ControllerSettings
  /** Asks for a turn of the reconcile loop; only a wake-up. The loop also wakes by the store's changes. */
  readonly wake: () => void
}

export interface ControllerSettings {
  readonly uplinkCidr: string
  readonly uplinkGateway: string
  readonly advertIntervalSeconds: number
  readonly preemptDelaySeconds: number
  /** Null: balancers have no names, and are reached by their VIPs. */
  readonly names: NameSettings | null
  readonly life: LifeSettings
  /** What the keys of appliances are made of, the same in all controllers of a rack. Left out: there are none. */
  readonly secret?: Uint8Array
}

/** Who asks: an admin (`projectId` null) or a project's token. */
export interface Caller {
  readonly tokenId: string
  readonly scope: 'admin' | 'project'
  readonly projectId: string | null
}

/** One request: who, its trace, and what makes it idempotent. */
export interface RequestInfo {
  readonly caller: Caller
  readonly traceparent: string
  /** From If-Match; stale: `precondition-failed` with both versions, never reconciled. */
  readonly expectedVersion?: number
  /**
   * The version that the change was decided on, where its caller named one without If-Match: what others have changed
   * since stays, and a field that both have changed is escalated.
   */
  readonly currentVersion?: number
  /** Given: another may have done it already, in a version of this object after this one. */
  readonly doneAfter?: { readonly id: string; readonly version: number }
  /** The same for every repetition of one request, so that whatever it writes is written once. */
  readonly actionId: string
  /** For creates: the same for every repetition with one Idempotency-Key, so that a repetition carries on. */
  readonly seed: string
}

export interface ListQuery {
  readonly projectId?: string
  readonly name?: string
  readonly networkId?: string
  readonly poolId?: string
  readonly shardId?: string
  readonly status?: string
  readonly after?: string
  readonly limit?: number
}

/** A shard's holders move away; the reconcile loop does the moves. */
export interface MigrationService {
  plan(shardId: string, input: MigrationCreate, request: RequestInfo): Promise<Outcome<MigrationPlan>>
  /** Refused before anything moves where the target space is short. */
  start(shardId: string, input: MigrationCreate, request: RequestInfo): Promise<Outcome<Migration>>
  /** Starts one that leaves the shard on no network, or answers the one that does so already, however it goes. */
  evacuate(shardId: string, request: RequestInfo): Promise<Outcome<Migration>>
  /** Without their moves, which `show` has. */
  list(query: ListQuery, request: RequestInfo): Promise<Outcome<Page<MigrationSummary>>>
  show(id: string, request: RequestInfo): Promise<Outcome<Migration>>
  act(id: string, action: MigrationAction, request: RequestInfo): Promise<Outcome<Migration>>
}

/** Addresses for what is on a network and not run by us: those of machines and instances come and go with these. */
export interface AddressService {
  /** All that are asked for, or none. */
  allocate(networkId: string, input: AddressAllocate, request: RequestInfo): Promise<Outcome<readonly Address[]>>
  /** One that nobody holds any more is as it should be; one of a machine or an instance goes with that. */
  release(id: string, request: RequestInfo): Promise<Outcome<null>>
}

/** `remove` answers true when it is gone, false when hosts have to give it up first (202). */
export interface Service<View, Create, Update, Created = View> {
  create(input: Create, request: RequestInfo): Promise<Outcome<Created>>
  list(query: ListQuery, request: RequestInfo): Promise<Outcome<Page<View>>>
  show(id: string, request: RequestInfo): Promise<Outcome<View>>
  update(id: string, input: Update, request: RequestInfo): Promise<Outcome<View>>
  remove(id: string, request: RequestInfo): Promise<Outcome<boolean>>
}

export interface Services {
  readonly projects: Service<Project, ProjectCreate, ProjectUpdate>
  readonly tokens: Service<Token, TokenCreate, never, TokenCreated> & {
    /** Null: no such token, or one that has expired. */
    authenticate(bearer: string): Promise<Caller | null>
  }
  readonly pools: Service<Pool, PoolCreate, PoolUpdate>
  readonly shards: Service<Shard, ShardCreate, ShardUpdate> & {
    allocate(networkId: string, shardId: string, request: RequestInfo): Promise<Outcome<Shard>>
    deallocate(networkId: string, shardId: string, request: RequestInfo): Promise<Outcome<Shard>>
  }
  readonly addresses: AddressService
  readonly migrations: MigrationService
  readonly networks: Service<Network, NetworkCreate, NetworkUpdate>
  readonly machines: Service<Machine, MachineCreate, MachineUpdate>
  readonly loadBalancers: Service<LoadBalancer, LoadBalancerCreate, LoadBalancerUpdate> & {
    listMembers(id: string, request: RequestInfo): Promise<Outcome<Page<Member>>>
    showMember(id: string, memberId: string, request: RequestInfo): Promise<Outcome<Member>>
    addMember(id: string, input: MemberCreate, request: RequestInfo): Promise<Outcome<Member>>
    updateMember(id: string, memberId: string, input: MemberUpdate, request: RequestInfo): Promise<Outcome<Member>>
    removeMember(id: string, memberId: string, request: RequestInfo): Promise<Outcome<boolean>>
    /** Why it has as many instances as it has. */
    showScaling(id: string, request: RequestInfo): Promise<Outcome<Scaling>>
  }
  readonly hosts: Service<Host, HostCreate, HostUpdate, HostCreated> & {
    /** Called by the agent that joins, without a bearer token: the proof is its own. */
    join(name: string, input: JoinRequest, traceparent: string): Promise<Outcome<JoinAnswer>>
  }
}
