/**
 * Who does an action: a contended object is left to one controller for each microshard, which holds a lease for that and
 * writes what all of them ask for in few writes. It is a matter of speed alone: whoever gets no answer does it on its
 * own, conditionally, and what may be done by two is done by one. Touches leases and the bus that it is given.
 */

import type { Outcome } from '../../contract/problem.ts'
import type { RequestInfo } from '../../services.ts'
import type { LeaseClaim, Leases } from '../leases/lease.ts'
import type { ShardKey } from '../shard-key.ts'
import type { KeptRequest } from './kept-kinds.ts'
import type { ControlPlaneAction } from './perform-action.ts'

/** What one controller asks of another. */
export interface OwnerRequest {
  readonly microshardId: string
  /** The fencing token of the lease that the other is thought to hold. */
  readonly token: number
  readonly action: ControlPlaneAction
  readonly request: KeptRequest
}

export type OwnerReply<Answer> =
  | { readonly kind: 'answered'; readonly outcome: Outcome<Answer> }
  /** Nothing was done: it does not hold that lease. */
  | { readonly kind: 'notHeld' }

/** `unheard`: nobody was there to take it in. `unanswered`: it may be done, or may be done later. */
export type AskOutcome<Answer> = OwnerReply<Answer> | { readonly kind: 'unheard' } | { readonly kind: 'unanswered' }

export interface OwnerBus<Answer> {
  ask(holder: string, request: OwnerRequest, milliseconds: number): Promise<AskOutcome<Answer>>
  /** Answers what is asked of this controller, until it is closed. */
  serve(answer: (request: OwnerRequest) => Promise<OwnerReply<Answer>>): { close(): Promise<void> }
}

export interface OwnerMeans<Answer> {
  readonly leases: Pick<Leases, 'claim' | 'find' | 'holder'>
  readonly bus: OwnerBus<Answer>
  readonly microshardOf: (shardKey: ShardKey) => string
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  readonly answerMilliseconds?: number
}

export interface OwnerRouting<Answer> {
  /** Asks the owner to do it; null: it is done here. */
  ask(
    shardKey: ShardKey,
    action: ControlPlaneAction,
    request: KeptRequest,
  ): Promise<Exclude<AskOutcome<Answer>, { kind: 'notHeld' | 'unheard' }> | null>
  /** Does what others ask for, by `run`. */
  serve(run: (action: ControlPlaneAction, request: RequestInfo) => Promise<Outcome<Answer>>): void
  /** Gives up the leases of what is not contended any more. */
  tidy(): Promise<void>
  close(): Promise<void>
}

const answerMillisecondsDefault = 2_000
/** Whoever has not answered is not asked again for so long. */
const distrustMilliseconds = 2_000
/** A lease is given up when nothing under it was contended for so long. */
const idleMilliseconds = 30_000

export const ownerLeaseName = (microshardId: string): string => `owner.${microshardId}`

export function createOwnerRouting<Answer>(means: OwnerMeans<Answer>): OwnerRouting<Answer> {
  const { leases, bus, now } = means
  const claims = new Map<string, { readonly claim: LeaseClaim; usedAt: number }>()
  const distrusted = new Map<string, number>()
  const served: { close(): Promise<void> }[] = []

  function claimOf(microshardId: string): LeaseClaim {
    const known = claims.get(microshardId) ?? {
      claim: leases.claim(ownerLeaseName(microshardId), { isSpread: true }),
      usedAt: now(),
    }
    known.usedAt = now()
    claims.set(microshardId, known)
    return known.claim
  }

  return {
    async ask(shardKey, action, request) {
      const microshardId = means.microshardOf(shardKey)
      if (claimOf(microshardId).current() !== null) return null
      const owner = leases.find(ownerLeaseName(microshardId))
      if (owner === null || owner.holder === leases.holder) return null
      if (now() - (distrusted.get(owner.holder) ?? Number.NEGATIVE_INFINITY) < distrustMilliseconds) return null
      const milliseconds = means.answerMilliseconds ?? answerMillisecondsDefault
      const asked = { microshardId, token: owner.token, action, request }
      const reply = await bus.ask(owner.holder, asked, milliseconds)
      switch (reply.kind) {
        case 'answered':
          return reply
        case 'unanswered':
          distrusted.set(owner.holder, now())
          return reply
        case 'unheard':
          distrusted.set(owner.holder, now())
          return null
        case 'notHeld':
          return null
        default:
          return reply satisfies never
      }
    },

    serve(run) {
      /** The same action twice is one, as the bus may bring it twice. */
      const underWay = new Map<string, Promise<OwnerReply<Answer>>>()
      const answer = async ({ microshardId, token, action, request }: OwnerRequest): Promise<OwnerReply<Answer>> => {
        const lease = claimOf(microshardId).current()
        if (lease === null || lease.token !== token || !lease.isHeld()) return { kind: 'notHeld' }
        return { kind: 'answered', outcome: await run(action, request) }
      }
      served.push(
        bus.serve((request) => {
          const { actionId } = request.request
          const before = underWay.get(actionId)
          if (before !== undefined) return before
          const answering = answer(request).finally(() => underWay.delete(actionId))
          underWay.set(actionId, answering)
          return answering
        }),
      )
    },

    async tidy() {
      for (const [microshardId, { claim, usedAt }] of claims) {
        if (now() - usedAt < idleMilliseconds) continue
        claims.delete(microshardId)
        await claim.release()
      }
    },

    async close() {
      await Promise.all(served.splice(0).map((one) => one.close()))
      await Promise.all([...claims.values()].map(({ claim }) => claim.release()))
      claims.clear()
    },
  }
}
