/**
 * Reads that are kept in memory: a route that says what its answers rest on is answered out of the cache where that is as
 * good as reading, and what was missing is kept afterwards. Makes such reads ahead, too. Calls handlers and the cache.
 */

import { createSeed } from '../access/object-id.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import type { PrefetchUser, ReadMaker } from '../prediction/prefetch/prefetcher.ts'
import type { EntryReason, ReadCache, Ticket } from '../prediction/prefetch/read-cache.ts'
import { type ReadName, readKey } from '../prediction/prefetch/read-name.ts'
import type { ReadStatistics } from '../prediction/prefetch/read-statistics.ts'
import type { ControllerContext } from '../services.ts'
import { actionTypeOf } from './action-types.ts'
import { parseEtags, parseValue } from './parse.ts'
import type { Answer, Call, Route } from './route.ts'
import { continueTrace } from './trace.ts'

export interface CachedReads extends ReadMaker {
  /** The route as it is to be served. */
  wrap(route: Route): Route
}

export interface CachedReadsOptions {
  readonly cache: ReadCache<Answer>
  readonly statistics: ReadStatistics
  readonly context: Pick<ControllerContext, 'now' | 'random'>
  /** False: everything is read anew, and nothing is kept. */
  readonly isOn: () => boolean
  /** Milliseconds, on the monotonic clock. */
  readonly monotonic: () => number
  /** Does something once the answer is on its way. */
  readonly later?: (work: () => void) => void
}

const soon = (work: () => void) => void setTimeout(work, 0)

export function createCachedReads(options: CachedReadsOptions): CachedReads {
  const { cache, statistics, context, isOn, monotonic, later = soon } = options
  const routes = new Map<string, Route>()
  const underWay = new Map<string, Promise<unknown>>()

  function keep(
    read: { readonly name: ReadName; readonly key: string },
    answer: Answer,
    ticket: Ticket,
    reason: EntryReason,
  ) {
    const { basis } = answer
    if (basis === undefined || !isOn()) return
    const bytes = JSON.stringify(answer.body).length
    cache.put(ticket, { key: read.key, actionType: read.name.actionType, data: answer, bytes, basis, reason })
  }

  async function answer(route: Route, call: Call<never, never>): Promise<Outcome<Answer>> {
    if (!isOn() || route.isRead?.(call.givenQuery) !== true) return route.handle(call)
    const beganAt = monotonic()
    const name = { actionType: actionTypeOf(route.operationId), parameters: call.parameters, query: call.givenQuery }
    const key = readKey(name, call.request.caller)
    const ahead = underWay.get(key)
    if (ahead !== undefined) {
      statistics.noteJoined()
      await ahead
    }
    const found = await cache.find(key, namedVersion(call))
    if (found.kind === 'hit') {
      const milliseconds = monotonic() - beganAt
      statistics.noteHit(found.entry, found.ageMilliseconds, milliseconds)
      const word = found.entry.reason.kind === 'prefetched' ? 'prefetched' : 'hit'
      return succeed(withTiming(found.entry.data, word, milliseconds, found.ageMilliseconds))
    }
    statistics.noteMiss(found.miss)
    const ticket = cache.begin()
    const outcome = await route.handle(call)
    const milliseconds = monotonic() - ticket.readAt
    if (!outcome.ok || outcome.value.basis === undefined) return outcome
    statistics.noteRead(name.actionType, milliseconds)
    cache.raise(outcome.value.basis.source, outcome.value.basis.version)
    later(() => keep({ name, key }, outcome.value, ticket, { kind: 'missed' }))
    return succeed(withTiming(outcome.value, 'miss', milliseconds, 0))
  }

  async function read(name: ReadName, key: string, user: PrefetchUser, reason: EntryReason): Promise<void> {
    const route = routes.get(name.actionType)
    const call = route === undefined ? null : describeCall(route, name, user, context)
    if (route === undefined || call === null) return
    const ticket = cache.begin()
    const outcome = await route.handle(call)
    if (!outcome.ok) return
    statistics.noteRead(name.actionType, monotonic() - ticket.readAt)
    keep({ name, key }, outcome.value, ticket, reason)
  }

  return {
    wrap(route) {
      if (route.isRead === undefined) return route
      if (!routes.has(actionTypeOf(route.operationId))) routes.set(actionTypeOf(route.operationId), route)
      return { ...route, handle: (call) => answer(route, call) }
    },
    isTarget: ({ actionType, query }) => routes.get(actionType)?.isRead?.(query) === true,
    isCached: (key) => cache.has(key),
    async make(name, user, why) {
      const beganAt = monotonic()
      const key = readKey(name, user)
      const reason = { kind: 'prefetched', userAccountId: user.userAccountId, ...why } as const
      // What can't be read ahead is read when it is asked for, and whoever asks hears why.
      const reading = read(name, key, user, reason).catch(() => undefined)
      underWay.set(key, reading)
      await reading
      if (underWay.get(key) === reading) underWay.delete(key)
      return monotonic() - beganAt
    },
  }
}

/** As the user would ask for it; null: it can't be asked so any more. */
function describeCall(
  route: Route,
  { parameters, query }: ReadName,
  { userAccountId, scope, projectId }: PrefetchUser,
  { now, random }: CachedReadsOptions['context'],
): Call<never, never> | null {
  if (route.access === 'admin' && scope !== 'admin') return null
  for (const [name, schema] of Object.entries(route.parameters ?? {})) {
    if (!parseValue(schema, parameters[name], 'the path').ok) return null
  }
  const parsed = route.query === undefined ? succeed({}) : parseValue(route.query, query, 'the query')
  if (!parsed.ok) return null
  const seed = createSeed(now(), random)
  const { traceparent } = continueTrace(null, random)
  const caller = { tokenId: userAccountId, scope, projectId }
  return {
    request: { caller, traceparent, seed, actionId: `request ${seed}` },
    parameters,
    query: parsed.value as never,
    givenQuery: query,
    body: undefined as never,
    text: '',
    headers: new Headers(),
    signal: new AbortController().signal,
  }
}

/** The least version that the caller has told of: what it asks for, or what it has already. */
function namedVersion({ query, headers }: Call<never, never>): number {
  const { version } = query as { readonly version?: unknown }
  return Math.max(typeof version === 'number' ? version : 0, ...parseEtags(headers.get('if-none-match')))
}

/** What a browser's or a program's own clock can't see: where the answer came from, and how old it is. */
function withTiming(answer: Answer, word: 'hit' | 'prefetched' | 'miss', milliseconds: number, age: number): Answer {
  const timing = `cache;desc=${word};dur=${milliseconds.toFixed(2)}, age;dur=${age.toFixed(0)}`
  return { ...answer, headers: { ...answer.headers, 'server-timing': timing } }
}
