/** The policies as an admin reads and writes them, and why what was decided was decided. Writes the store. */

import {
  type Contradiction,
  defaultMicroshardPolicies,
  type Explanation,
  findContradictions,
  type MicroshardPolicies,
} from '../../contract/microshard-policies.ts'
import { type Outcome, refuse, succeed } from '../../contract/problem.ts'
import { applyTransaction } from '../../control-plane/apply-outcome.ts'
import { type Store, write } from '../../control-plane/store.ts'
import type { RequestInfo } from '../../services.ts'
import {
  lifecycleStatusId,
  lifecycleStatusKind,
  microshardPoliciesId,
  microshardPoliciesKind,
} from './policies-object.ts'

export interface KeptPolicies {
  readonly policies: MicroshardPolicies
  /** 0: nobody has written any, and the defaults are in force. */
  readonly version: number
}

export interface PoliciesService {
  show(): KeptPolicies
  /** All of them: what is left out is as by default. */
  replace(
    policies: MicroshardPolicies,
    request: Pick<RequestInfo, 'expectedVersion' | 'actionId' | 'traceparent'>,
  ): Promise<Outcome<KeptPolicies>>
  explain(microshardId?: string): Explanation
}

type Context = { readonly store: Pick<Store, 'snapshot' | 'transact'> }

export function createPoliciesService(context: Context): PoliciesService {
  const { store } = context

  function show(): KeptPolicies {
    const kept = store.snapshot(microshardPoliciesKind).find(({ id }) => id === microshardPoliciesId)
    return { policies: kept?.value ?? defaultMicroshardPolicies, version: kept?.version ?? 0 }
  }

  return {
    show,

    async replace(policies, { expectedVersion, actionId, traceparent }) {
      const contradictions = findContradictions(policies)
      if (contradictions.length > 0) return refuseContradictions(contradictions)
      const { version } = show()
      if (expectedVersion !== undefined && expectedVersion !== version) return refuseVersion(expectedVersion, version)
      const outcome = await applyTransaction(context, {
        writes: [
          write({
            kind: microshardPoliciesKind,
            id: microshardPoliciesId,
            expect: version === 0 ? 'absent' : version,
            value: policies,
          }),
        ],
        events: [
          {
            type: 'microshard.policies-updated',
            projectId: null,
            subject: microshardPoliciesId,
            data: { mode: policies.mode },
          },
        ],
        actionId,
        traceparent,
      })
      if (outcome.kind === 'done') return succeed(show())
      return refuse({
        code: outcome.kind === 'failed' ? 'unavailable' : 'conflict',
        title: 'The policies were not written',
        detail: outcome.kind === 'failed' ? outcome.reason : 'They changed at the same moment.',
        remedy: 'Read them, and write them again.',
      })
    },

    explain(microshardId) {
      const { policies } = show()
      const status = store.snapshot(lifecycleStatusKind).find(({ id }) => id === lifecycleStatusId)?.value
      const isAbout = ({ microshards }: { readonly microshards: readonly string[] }) =>
        microshardId === undefined || microshards.includes(microshardId)
      return {
        mode: policies.mode,
        controller: status?.controller ?? null,
        at: status?.at ?? null,
        policy: status?.policy ?? 'equal',
        measures: status?.measures ?? {},
        rules: policies.rules.map(({ name, measure, over, above, until, policy }) => ({
          name,
          test: `${measure} ${over === 'past' ? 'over the last quarter of an hour ' : ''}above ${above}, until ${until}`,
          isMet: status?.met.includes(name) ?? false,
          policy,
        })),
        churn: {
          operations: status?.churn.operations ?? 0,
          bytes: status?.churn.bytes ?? 0,
          operationsPerHour: policies.churn.operationsPerHour,
          bytesPerHour: policies.churn.bytesPerHour,
        },
        heldBack: (status?.heldBack ?? []).filter(isAbout),
        decisions: (status?.decisions ?? []).filter(isAbout),
      }
    },
  }
}

const refuseContradictions = (contradictions: readonly Contradiction[]) =>
  refuse({
    code: 'invalid',
    title: 'The policies contradict each other',
    detail: contradictions.map(({ field, message }) => `${field} ${message}.`).join(' '),
    remedy: 'Change one of each two; nothing was written.',
    errors: contradictions,
  })

const refuseVersion = (expected: number, actual: number) =>
  refuse({
    code: 'precondition-failed',
    title: 'The policies have changed',
    detail: `They have version ${actual}, and not ${expected}.`,
    remedy: 'Read them, and write them again.',
  })
