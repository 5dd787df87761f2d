/**
 * Turns a log of a cloud account's API calls into requests to ours, in the same order and by the same users: each sort of
 * call becomes always the same sort of request, about what its user is busy with; what changed something changes
 * something. Pure.
 */

import type { LoggedAction } from '../next-action/read-actions.ts'

/** What there is to read and to change. */
export interface Ground {
  readonly projectId: string
  readonly networkIds: readonly string[]
  readonly poolIds: readonly string[]
  readonly shardIds: readonly string[]
}

export interface ReplayStep {
  readonly user: string
  /** After the step before it. */
  readonly waitMilliseconds: number
  readonly request:
    | { readonly kind: 'read'; readonly path: string; readonly isSlow: boolean }
    | { readonly kind: 'rename'; readonly networkId: string }
}

export interface ReplayPace {
  /** A second of the log takes so long. */
  readonly millisecondsPerSecond: number
  readonly waitMillisecondsMinimum: number
  readonly waitMillisecondsMaximum: number
}

/** A user who has done nothing for so long comes back to something else. */
const pauseSeconds = 60

interface Place {
  readonly network: string
  readonly pool: string
  readonly shard: string
  readonly project: string
}

/** In the order in which they are given to sorts of calls as these come up: slow ones and fast ones in turns. */
const reads: readonly { readonly isSlow: boolean; readonly pathOf: (place: Place) => string }[] = [
  { isSlow: true, pathOf: ({ network }) => `/v1/networks/${network}/history` },
  { isSlow: false, pathOf: ({ network }) => `/v1/networks/${network}` },
  { isSlow: true, pathOf: ({ project }) => `/v1/events?format=json&projectId=${project}&limit=50` },
  { isSlow: false, pathOf: () => '/v1/networks' },
  { isSlow: true, pathOf: ({ pool }) => `/v1/pools/${pool}/history` },
  { isSlow: false, pathOf: ({ pool }) => `/v1/pools/${pool}` },
  { isSlow: true, pathOf: ({ shard }) => `/v1/shards/${shard}/history` },
  { isSlow: false, pathOf: () => '/v1/pools' },
  { isSlow: true, pathOf: ({ project }) => `/v1/projects/${project}/history` },
  { isSlow: false, pathOf: () => '/v1/status' },
  { isSlow: true, pathOf: ({ shard }) => `/v1/metrics?object=${shard}&measure=takenAddresses&from=-2h` },
  { isSlow: false, pathOf: ({ project }) => `/v1/projects/${project}` },
]

export function planReplay(actions: readonly LoggedAction[], ground: Ground, pace: ReplayPace): readonly ReplayStep[] {
  const sorts = new Map<string, number>()
  const users = new Map<string, { at: number; turn: number }>()
  let before: number | undefined
  return actions.map(({ userAccountId, actionType, at, isRead }) => {
    const known = users.get(userAccountId)
    const isBack = known !== undefined && at - known.at > 1000 * pauseSeconds
    const turn = known === undefined ? users.size : known.turn + (isBack ? 1 : 0)
    users.set(userAccountId, { at, turn })
    const place = {
      network: ground.networkIds[turn % ground.networkIds.length] ?? '',
      pool: ground.poolIds[turn % ground.poolIds.length] ?? '',
      shard: ground.shardIds[turn % ground.shardIds.length] ?? '',
      project: ground.projectId,
    }
    const sort = sorts.get(actionType) ?? sorts.size
    sorts.set(actionType, sort)
    const seconds = before === undefined ? 0 : (at - before) / 1000
    before = at
    const { millisecondsPerSecond, waitMillisecondsMinimum, waitMillisecondsMaximum } = pace
    const wait = Math.max(waitMillisecondsMinimum, seconds * millisecondsPerSecond)
    const read = reads[sort % reads.length]
    if (read === undefined) throw new Error('BUG: there is nothing to read')
    return {
      user: userAccountId,
      waitMilliseconds: Math.min(waitMillisecondsMaximum, wait),
      request: isRead
        ? { kind: 'read', path: read.pathOf(place), isSlow: read.isSlow }
        : { kind: 'rename', networkId: place.network },
    }
  })
}
