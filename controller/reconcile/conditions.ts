/** Conditions: the detail behind a status. One keeps its time for as long as it says the same. Pure. */

import type { Condition } from '../contract/common.ts'

export type ConditionDraft = Omit<Condition, 'changedAt'>

/** @param now milliseconds since the epoch */
export function stampConditions(
  drafts: readonly ConditionDraft[],
  before: readonly Condition[],
  now: number,
): readonly Condition[] {
  return drafts.map((draft) => {
    const known = before.find(({ type }) => type === draft.type)
    const isSame = known !== undefined && known.status === draft.status && known.reason === draft.reason
    return { ...draft, changedAt: isSame ? known.changedAt : new Date(now).toISOString() }
  })
}
