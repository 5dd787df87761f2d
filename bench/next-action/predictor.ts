/** What every predictor in the bench is: told of actions one after the other, and asked before each what it will be. Types. */

import type { UserAction } from '../../controller/prediction/next-action/action.ts'

export interface Predictor {
  /** The three that are likeliest, the likeliest first, by what it has been told and nothing else. */
  guess(userAccountId: string): readonly string[]
  observe(action: UserAction): void
}

/** The keys of the greatest values; of equals the first. */
export function greatest(scores: ReadonlyMap<string, number>, count: number): readonly string[] {
  const best: [string, number][] = []
  for (const entry of scores) {
    const place = best.findIndex(([, score]) => entry[1] > score)
    if (place >= 0) best.splice(place, 0, entry)
    else if (best.length < count) best.push(entry)
    if (best.length > count) best.pop()
  }
  return best.map(([key]) => key)
}
