/** Gives an owner one more address out of another shard, as a migration plans it. Only tests use it. */

import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import { OutcomeUnknownError } from '../control-plane/store.ts'
import { addressKind, machineKind } from '../objects.ts'
import { readShardSpace } from './allocator-space.ts'
import { describeAllocationRefusal } from './describe-refusal.ts'
import type { HeldAddress, ProjectSpace } from './draft-space.ts'
import { type AllocationRequest, planAllocations } from './plan-allocations.ts'
import { readPolicy } from './read-policy.ts'
import type { TestSpace } from './test-space.ts'

const attemptsMaximum = 50

export async function allocateForMove(
  { context: { store, now, random } }: Pick<TestSpace, 'context'>,
  move: { readonly networkId: string; readonly ownerId: string; readonly fromShardId: string },
): Promise<Outcome<HeldAddress>> {
  const isMachine = move.ownerId.startsWith(`${machineKind.prefix}_`)
  const machine = isMachine ? await store.get(machineKind, move.ownerId) : null
  const named = machine === null ? {} : { machineName: machine.value.name }
  const request: AllocationRequest = { kind: 'allocate', ...move, ...named }
  for (let attempt = 0; attempt < attemptsMaximum; attempt++) {
    const { results, writes } = planAllocations([request], readSpace({ store }, move.networkId), { now: now(), random })
    const [result] = results
    if (result?.kind === 'refused') return refuse(describeAllocationRefusal(result.refusal, null))
    if (result?.kind !== 'held') throw new Error('BUG: an allocation without a result')
    if (writes.length === 0) return succeed(result.held)
    try {
      const { outcome } = await store.transact({ writes })
      if (outcome === 'committed') return succeed(result.held)
    } catch (error) {
      if (!(error instanceof OutcomeUnknownError)) throw error
    }
  }
  throw new Error('others kept changing the same shards')
}

function readSpace({ store }: Pick<TestSpace['context'], 'store'>, networkId: string): ProjectSpace {
  const addresses = store.snapshot(addressKind, networkId)
  return {
    shards: readShardSpace(store, networkId),
    heldBy: (ownerId) => addresses.filter(({ value }) => value.ownerId === ownerId),
    holderOf: (addressId) => addresses.find(({ id }) => id === addressId)?.value.ownerId ?? null,
    policyOf: (id) => readPolicy(store, id),
  }
}
