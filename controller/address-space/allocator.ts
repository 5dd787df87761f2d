/**
 * Takes addresses from shards and gives them back: the one way in which machines and instances come by an address.
 *
 * Each batch is one transaction, the address objects (which must be absent) and the shards' occupancy (at the version
 * read), so an address is never held twice however many controllers race. Requests that come while a batch is being
 * written wait and make up the next, so that the more there are, the fewer writes each costs.
 */

import { type Outcome, type Problem, refuse, succeed } from '../contract/problem.ts'
import { clientCharactersOf } from '../control-plane/shard-key.ts'
import { OutcomeUnknownError, type Store, transactionWritesMaximum } from '../control-plane/store.ts'
import { createAddressIndex } from './address-index.ts'
import { readShardSpace } from './allocator-space.ts'
import { describeAllocationRefusal } from './describe-refusal.ts'
import type { HeldAddress, ProjectSpace } from './draft-space.ts'
import { nameHolder } from './holder-names.ts'
import {
  type Allocate,
  type AllocationPlan,
  type AllocationRefusal,
  type AllocationRequest,
  type AllocationResult,
  planAllocations,
} from './plan-allocations.ts'
import { readPolicy } from './read-policy.ts'

export interface AddressAllocator {
  /** An owner that holds an address of the network already is given the same again. */
  allocateAddress(request: {
    readonly networkId: string
    readonly ownerId: string
    readonly address?: string
    /** The owner's name, where it is a machine: the policy may keep an address for it. */
    readonly machineName?: string
  }): Promise<Outcome<HeldAddress>>
  /**
   * An address for each of these owners, or for none of them; those who hold one already are given the same again. At
   * most `allocationsAtOnceMaximum`.
   */
  allocateAddresses(request: {
    readonly networkId: string
    readonly owners: readonly {
      readonly ownerId: string
      readonly holder?: string
      /** In its canonical form. */
      readonly address?: string
      /** Out of this shard: those of IPv6 give only so, or by the address. */
      readonly shardId?: string
    }[]
  }): Promise<Outcome<readonly HeldAddress[]>>
  /**
   * Everything that the owner holds, or only those named; nothing held is no error. With `atVersion` what was written
   * since then stays: it has been taken again, or is being put to use.
   */
  releaseAddresses(ownerId: string, addresses?: readonly string[], atVersion?: number): Promise<Outcome<null>>
  /** What the owner holds, as far as this controller knows. */
  heldBy(ownerId: string): readonly HeldAddress[]
  close(): void
}

/** Each is written together with the occupancy of its shard, and a transaction takes 500 writes. */
export const allocationsAtOnceMaximum = 128
const batchWritesMaximum = transactionWritesMaximum - 20
const attemptsMaximum = 32
const heardAttemptsMaximum = 4
const waitMillisecondsMaximum = 32

interface Waiting {
  readonly request: AllocationRequest
  readonly settle: (outcome: Outcome<readonly HeldAddress[]>) => void
}

/** @example const allocator = createAddressAllocator({ store, now: Date.now }) */
export function createAddressAllocator(options: {
  readonly store: Store
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** That many random bytes: for networks whose addresses are given at random, and for how long a loser waits. */
  readonly random?: (bytes: number) => Uint8Array
  /** Left out: whoever has lost a race goes on at once. */
  readonly sleep?: (milliseconds: number) => Promise<unknown>
}): AddressAllocator {
  const { store, now, sleep } = options
  const random = options.random ?? ((bytes: number) => crypto.getRandomValues(new Uint8Array(bytes)))
  const index = createAddressIndex(store)
  const heard = readShardSpace(store)
  const stopHearing = store.subscribe((changes) => {
    for (const { object } of changes) heard.put(object)
  })
  /** By project: its address space is one entity group. */
  const queues = new Map<string, Waiting[]>()

  function ask(request: AllocationRequest, memberId: string): Promise<Outcome<readonly HeldAddress[]>> {
    const group = clientCharactersOf(memberId)
    return new Promise((settle) => {
      const queue = queues.get(group)
      if (queue !== undefined) {
        queue.push({ request, settle })
        return
      }
      queues.set(group, [{ request, settle }])
      void work(group, memberId)
    })
  }

  async function work(group: string, memberId: string): Promise<void> {
    const queue = queues.get(group) ?? []
    // Whoever asks in this same turn belongs to the first batch.
    await Promise.resolve()
    while (queue.length > 0) {
      const batch = queue.splice(0, countForBatch(queue))
      try {
        await settleBatch(batch, memberId)
      } catch (error) {
        const problem = describeFailure(error)
        for (const { settle } of batch) settle(refuse(problem))
      }
    }
    queues.delete(group)
  }

  async function settleBatch(batch: readonly Waiting[], memberId: string): Promise<void> {
    const outcome = await writeBatch(batch, memberId)
    if (!outcome.ok) {
      for (const { settle } of batch) settle(outcome)
      return
    }
    const refusals: { readonly settle: Waiting['settle']; readonly refusal: AllocationRefusal }[] = []
    for (const [i, { settle }] of batch.entries()) {
      const result = outcome.value.results[i]
      if (result === undefined) throw new Error('BUG: an allocation plan without a result for each request')
      if (result.kind === 'refused') refusals.push({ settle, refusal: result.refusal })
      else settle(succeed(listHeld(result)))
    }
    // Told last, since a name may have to be looked up: those who ask again at once are all in the next batch.
    for (const { settle, refusal } of refusals) {
      settle(refuse(describeAllocationRefusal(refusal, await holderNameOf(refusal))))
    }
  }

  async function holderNameOf(refusal: { readonly kind: string; readonly holderId?: string | null }) {
    return refusal.holderId ? await nameHolder(store, refusal.holderId) : null
  }

  async function writeBatch(batch: readonly Waiting[], memberId: string): Promise<Outcome<AllocationPlan>> {
    const requests = batch.map(({ request }) => request)
    let isHeard = true
    for (let lostRaces = 0; lostRaces < attemptsMaximum; ) {
      const plan = planAllocations(requests, readSpace(memberId, isHeard), { now: now(), random })
      // Nobody is refused by what was heard: memory may know by now what was done a moment ago.
      if (isHeard && plan.results.some(({ kind }) => kind === 'refused')) {
        isHeard = false
        continue
      }
      if (plan.writes.length === 0) return succeed(plan)
      try {
        const outcome = await store.transact({ writes: plan.writes })
        if (outcome.outcome === 'committed') {
          index.take(outcome.objects)
          for (const object of outcome.objects) heard.put(object)
          return succeed(plan)
        }
        if (outcome.outcome === 'unavailable') return refuse(unavailable(outcome.reason, outcome.retryAfterSeconds))
      } catch (error) {
        // Whether it was stored shows at the next attempt: the owners then hold what they asked for.
        if (!(error instanceof OutcomeUnknownError)) throw error
      }
      lostRaces++
      // The winner has been heard of by now, unless it is of this very process and has only just been acknowledged.
      isHeard = isHeard && lostRaces < heardAttemptsMaximum
      if (sleep !== undefined) await sleep(drawWaitMilliseconds(lostRaces, random))
    }
    return refuse(unavailable('others kept changing the same shards', 1))
  }

  /** What has been heard of, kept in the orders in which addresses are given; or all of the project's out of the store's memory. */
  function readSpace(memberId: string, isHeard: boolean): ProjectSpace {
    return {
      shards: isHeard ? heard : readShardSpace(store, memberId),
      heldBy: index.heldBy,
      holderOf: index.holderOf,
      policyOf: (networkId: string) => readPolicy(store, networkId),
    }
  }

  async function allocate(request: Omit<Allocate, 'kind'>): Promise<Outcome<HeldAddress>> {
    const outcome = await ask({ kind: 'allocate', ...request }, request.networkId)
    if (!outcome.ok) return outcome
    const [held] = outcome.value
    if (held === undefined) throw new Error('BUG: an allocation that gave nothing')
    return succeed(held)
  }

  return {
    allocateAddress: allocate,
    async allocateAddresses({ networkId, owners }) {
      if (owners.length > allocationsAtOnceMaximum) throw new Error(`BUG: ${owners.length} addresses at once`)
      const requests = owners.map((owner) => ({ kind: 'allocate', networkId, ...owner }) as const)
      return owners.length === 0 ? succeed([]) : ask({ kind: 'allocateAll', requests }, networkId)
    },
    async releaseAddresses(ownerId, addresses, atVersion) {
      if (index.heldBy(ownerId).length === 0 && !queues.has(clientCharactersOf(ownerId))) return succeed(null)
      const outcome = await ask(
        { kind: 'release', ownerId, ...(addresses && { addresses }), ...(atVersion !== undefined && { atVersion }) },
        ownerId,
      )
      return outcome.ok ? succeed(null) : outcome
    },
    heldBy: (ownerId) => index.heldBy(ownerId).map(({ value }) => ({ address: value.address, shardId: value.shardId })),
    close() {
      stopHearing()
      index.close()
    },
  }
}

function listHeld(result: Exclude<AllocationResult, { kind: 'refused' }>): readonly HeldAddress[] {
  switch (result.kind) {
    case 'held':
      return [result.held]
    case 'allHeld':
      return result.held
    case 'released':
      return []
    default:
      return result satisfies never
  }
}

/** As many as surely fit into one transaction; one at least. */
function countForBatch(queue: readonly Waiting[]): number {
  let writes = 0
  for (const [i, { request }] of queue.entries()) {
    writes += writesMaximumOf(request)
    if (i > 0 && writes > batchWritesMaximum) return i
  }
  return queue.length
}

/** Of addresses, each with the occupancy of its shard; an owner holds two at most. */
function writesMaximumOf(request: AllocationRequest): number {
  switch (request.kind) {
    case 'allocate':
      return 2
    case 'allocateAll':
      return 2 * request.requests.length
    case 'release':
      return 4
    default:
      return request satisfies never
  }
}

/** Up to twice as long each time: who has won goes on undisturbed, and the others do not meet again at once. */
function drawWaitMilliseconds(lostRaces: number, random: (bytes: number) => Uint8Array): number {
  const share = (random(1)[0] ?? 0) / 256
  return share * Math.min(2 ** lostRaces, waitMillisecondsMaximum)
}

const unavailable = (reason: string, retryAfterSeconds: number): Problem => ({
  code: 'unavailable',
  title: 'Address space can not be changed now',
  detail: `No address was taken or given back: ${reason}.`,
  remedy: `Ask again after ${retryAfterSeconds} s.`,
  retryAfterSeconds,
})

function describeFailure(error: unknown): Problem {
  return unavailable(error instanceof Error ? error.message : String(error), 1)
}
