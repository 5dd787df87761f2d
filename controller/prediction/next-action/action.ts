/** What the model of next actions is told and asked: an action of a user, when it was, and what it used. Pure. */

/** What an action used of what there is; what is not known is left out. */
export interface ResourceUsage {
  /** The share of what its user may use that was in use, 0 to 1; 1: it was refused for lack of it. */
  readonly loadShare?: number
  /** How long it was worked on. */
  readonly milliseconds?: number
  /** How much was answered. */
  readonly bytes?: number
}

export interface RecentAction {
  readonly actionType: string
  /** Milliseconds since the epoch. Not finite, or before the one before it: how long it took is not known. */
  readonly at: number
  readonly resourceUsage?: ResourceUsage
}

export interface UserAction extends RecentAction {
  readonly userAccountId: string
}

export interface ActionProbability {
  readonly actionType: string
  readonly probability: number
}

/** Powers of four seconds, from a quarter of one up. 0: not known. */
export function gapBucket(before: number | undefined, at: number): number {
  const seconds = before === undefined ? Number.NaN : (at - before) / 1000
  if (!Number.isFinite(seconds) || seconds < 0) return 0
  return 1 + Math.min(8, Math.max(0, Math.ceil(Math.log2(4 * seconds + 1e-9) / 2)))
}

/** 0: nothing is known of it. Time and size by powers of ten, a load by quarters. */
export function usageBucket(usage: ResourceUsage | undefined): number {
  if (usage === undefined) return 0
  const { loadShare, milliseconds, bytes } = usage
  const load = isAmount(loadShare) ? 1 + Math.min(4, Math.floor(4 * loadShare)) : 0
  return load + 6 * (tenfold(milliseconds) + 8 * tenfold(bytes))
}

const isAmount = (value: number | undefined): value is number =>
  value !== undefined && Number.isFinite(value) && value >= 0
const tenfold = (value: number | undefined): number =>
  isAmount(value) ? 1 + Math.min(6, Math.floor(Math.log10(1 + value))) : 0
