/**
 * What becomes of a balancer under a load, second by second in virtual time: a queue before instances that each serve so
 * many requests a second, and a policy that sees no more than the controller would. Pure.
 */

export interface ReplaySettings {
  /** Of one instance: what it is to have at most, and what it can do. */
  readonly targetPerSecond: number
  readonly capacityPerSecond: number
  readonly maximum: number
  /** From a decision until clients use one more, and until one less is gone. */
  readonly growSeconds: number
  readonly shrinkSeconds: number
}

/** What is seen in one second: how much each instance serves, and how many there are. */
export interface Sight {
  readonly second: number
  readonly servedPerSecond: number
  readonly instances: number
}

/** How many instances there are to be from now on. */
export type Policy = (sight: Sight) => number

export interface Replayed {
  readonly requests: number
  /** Those that found more at their instance than it is to have. */
  readonly overTarget: number
  /** Those that waited for a second or more, as nobody could serve them. */
  readonly delayed: number
  readonly instanceHours: number
  /** How often the count changed. */
  readonly changes: number
}

/** @param arrivals requests in each second */
export function replay(arrivals: Float64Array, begin: number, policy: Policy, settings: ReplaySettings): Replayed {
  const [whole = nothing] = replayInPieces(arrivals, arrivals.length, begin, policy, settings)
  return whole
}

const nothing: Replayed = { requests: 0, overTarget: 0, delayed: 0, instanceHours: 0, changes: 0 }

/** One replay, told of in pieces of so many seconds: of each day, for one. */
export function replayInPieces(
  arrivals: Float64Array,
  pieceSeconds: number,
  begin: number,
  policy: Policy,
  settings: ReplaySettings,
): readonly Replayed[] {
  const { targetPerSecond, capacityPerSecond, maximum, growSeconds, shrinkSeconds } = settings
  const pieces: Replayed[] = []
  let piece = { ...nothing }
  let serving = begin
  let wanted = begin
  let queued = 0
  // What was decided and has not come about yet: at most one change of each second.
  const coming: { readonly at: number; readonly difference: number }[] = []
  const going: number[] = []
  for (let second = 0; second < arrivals.length; second++) {
    if (second > 0 && second % pieceSeconds === 0) {
      pieces.push(piece)
      piece = { ...nothing }
    }
    while (coming[0] !== undefined && coming[0].at <= second) serving += coming.shift()?.difference ?? 0
    while (going[0] !== undefined && going[0] <= second) going.shift()
    const arrived = arrivals[second] ?? 0
    const served = Math.min(queued + arrived, serving * capacityPerSecond)
    queued += arrived - served
    piece.requests += arrived
    piece.overTarget += Math.max(0, arrived - serving * targetPerSecond)
    piece.delayed += Math.min(arrived, queued)
    // One on its way in or out costs as well.
    piece.instanceHours += (Math.max(wanted, serving) + going.length) / 3600
    const next = Math.max(1, Math.min(maximum, policy({ second, servedPerSecond: served, instances: serving })))
    if (next === wanted) continue
    piece.changes += 1
    if (next > wanted) coming.push({ at: second + growSeconds, difference: next - wanted })
    else {
      // Those that have not come yet do not come; the others are out of the name at once.
      const gone = wanted - next
      for (let i = 0; i < gone; i++) going.push(second + shrinkSeconds)
      coming.push({ at: second + 1, difference: -gone })
      coming.sort((a, b) => a.at - b.at)
    }
    wanted = next
  }
  return [...pieces, piece]
}
