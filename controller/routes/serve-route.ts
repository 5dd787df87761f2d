/**
 * One request from its arrival to its answer: trace, caller, parameters, body, idempotency, the handler, the wait, the
 * answer. The same for every route. Calls services and the store by what it is given.
 */

import { keepAnswer, type TakenKey, takeIdempotencyKey } from '../access/idempotency.ts'
import { createSeed } from '../access/object-id.ts'
import { refuseForbidden, refuseNotFound, refuseUnavailable, refuseUnknownOutcome } from '../access/problems.ts'
import { type Outcome, type Problem, refuse, succeed } from '../contract/problem.ts'
import { OutcomeUnknownError, StoreUnavailableError } from '../control-plane/store.ts'
import type { ActionRecord } from '../prediction/prefetch/action-record.ts'
import type { Caller, ControllerContext, RequestInfo, Services } from '../services.ts'
import { actionTypeOf } from './action-types.ts'
import { describeAnswer, describeProblem } from './answer.ts'
import type { KeyedLock } from './keyed-lock.ts'
import { parseIfMatch, parseJson, parseValue, parseWait, refuseParameter } from './parse.ts'
import type { ParsedCall, RoutePerformer } from './perform-route.ts'
import type { Answer, Route } from './route.ts'
import { continueTrace, type Trace } from './trace.ts'
import { waitUntilSettled } from './wait.ts'

export interface RoutingContext {
  readonly context: ControllerContext
  readonly tokens: Pick<Services['tokens'], 'authenticate'>
  readonly performer: Pick<RoutePerformer, 'perform'>
  /** Requests with an Idempotency-Key that are under way: a repetition waits for the first. */
  readonly lock: KeyedLock
  /** Told of what was done, once it is answered. */
  readonly note: (action: ActionRecord) => void
}

export interface Arrival {
  readonly request: Request
  readonly url: URL
  readonly parameters: Readonly<Record<string, string>>
  /** The body; read once, however often it is asked for. */
  readonly readText: () => Promise<Outcome<string>>
}

const noCaller: Caller = { tokenId: '', scope: 'project', projectId: null }

/** Answers a request for a route; never rejects. */
export async function serveRoute(routing: RoutingContext, route: Route, arrival: Arrival): Promise<Response> {
  const { context } = routing
  const beganAt = performance.now()
  const trace = continueTrace(arrival.request.headers.get('traceparent'), context.random)
  const admitted: Admitted = { caller: null }
  const answered = await answerSafely(routing, route, arrival, { trace, admitted })
  const response = answered.ok
    ? describeAnswer(answered.value, arrival.request, trace)
    : await describeRefusal(route, arrival, answered.problem, trace)
  const milliseconds = Math.round((performance.now() - beganAt) * 10) / 10
  const line = { traceId: trace.traceId, method: route.method, path: arrival.url.pathname, status: response.status }
  const code = answered.ok ? {} : { code: answered.problem.code }
  context.logger.info({ ...line, ...code, milliseconds }, 'request')
  const { caller } = admitted
  if (caller !== null) routing.note(describeAction(routing, route, arrival, { caller, response, milliseconds }))
  return response
}

/** Who was let in; null: nobody has to say who asks, or nobody is known by what was said. */
interface Admitted {
  caller: Caller | null
}

interface Asked {
  readonly trace: Trace
  readonly admitted: Admitted
}

/** What is kept of it in the log of actions: of bodies nothing, and of queries only what reads were asked by. */
function describeAction(
  { context }: RoutingContext,
  route: Route,
  { parameters, url }: Arrival,
  done: { readonly caller: Caller; readonly response: Response; readonly milliseconds: number },
): ActionRecord {
  const { tokenId, scope, projectId } = done.caller
  const query = Object.fromEntries(url.searchParams)
  return {
    userAccountId: tokenId,
    ...{ scope, projectId, parameters },
    actionType: actionTypeOf(route.operationId),
    at: context.now(),
    isRead: route.isRead?.(query) === true,
    query: route.method === 'GET' ? query : {},
    status: done.response.status,
    milliseconds: done.milliseconds,
    bytes: Number(done.response.headers.get('content-length') ?? 0),
  }
}

async function describeRefusal(route: Route, arrival: Arrival, problem: Problem, trace: Trace): Promise<Response> {
  if (route.describeRefusal === undefined) return describeProblem(problem, trace)
  const text = await arrival.readText()
  const body = route.describeRefusal(problem, text.ok ? text.value : '', arrival.url.searchParams.get('request'))
  return describeProblem(problem, trace, { body, mediaType: 'application/json' })
}

async function answerSafely(
  routing: RoutingContext,
  route: Route,
  arrival: Arrival,
  asked: Asked,
): Promise<Outcome<Answer>> {
  const { trace } = asked
  try {
    return await answerRequest(routing, route, arrival, asked)
  } catch (cause) {
    if (cause instanceof OutcomeUnknownError) return refuseUnknownOutcome(1)
    if (cause instanceof StoreUnavailableError) return refuseUnavailable(cause.message, cause.retryAfterSeconds)
    if (arrival.request.signal.aborted) return refuseGone()
    routing.context.logger.error({ err: cause, traceId: trace.traceId, path: arrival.url.pathname }, 'a request failed')
    return refuse({
      code: 'internal',
      title: 'The controller failed',
      detail: 'This is a mistake of the controller, not of the request.',
      remedy: `Tell its operator the trace id ${trace.traceId}, which is in its log.`,
    })
  }
}

async function answerRequest(
  routing: RoutingContext,
  route: Route,
  arrival: Arrival,
  { trace, admitted }: Asked,
): Promise<Outcome<Answer>> {
  const { headers } = arrival.request
  const caller = await admitCaller(routing, route, headers)
  if (!caller.ok) return caller
  if (route.access !== 'open') admitted.caller = caller.value
  const parsed = await parseArrival(route, arrival)
  if (!parsed.ok) return parsed
  const { expectedVersion, currentVersion, bodyText, given, ...rest } = parsed.value
  const begin = (seed: string, actionId: string): ParsedCall => {
    const request: RequestInfo = {
      caller: caller.value,
      traceparent: trace.traceparent,
      seed,
      actionId,
      ...(expectedVersion === undefined ? {} : { expectedVersion }),
      ...(currentVersion === undefined ? {} : { currentVersion }),
    }
    const { query, body, parameters } = rest
    const call = {
      request,
      parameters,
      query: query as never,
      givenQuery: given.query,
      body: body as never,
      text: bodyText,
      headers,
      signal: arrival.request.signal,
    }
    return { call, given }
  }
  const perform = async (seed: string, actionId: string) => {
    const outcome = await routing.performer.perform(route, begin(seed, actionId))
    return waitFor(routing, outcome, rest.waitMilliseconds, arrival)
  }
  const key = headers.get('idempotency-key')
  if (key === null || route.takesIdempotencyKey !== true) {
    const seed = createSeed(routing.context.now(), routing.context.random)
    return perform(seed, `request ${seed}`)
  }
  const fingerprint = describeFingerprint(route, arrival, bodyText)
  return answerOnce(routing, route, { key, caller: caller.value, fingerprint }, (taken) =>
    perform(taken.seed, taken.actionId),
  )
}

async function admitCaller(routing: RoutingContext, route: Route, headers: Headers): Promise<Outcome<Caller>> {
  if (route.access === 'open') return succeed(noCaller)
  const bearer = readBearer(headers.get('authorization') ?? '')
  const caller = bearer === null ? null : await routing.tokens.authenticate(bearer)
  if (caller === null) return refuseUnauthenticated(bearer !== null)
  if (route.access === 'admin' && caller.scope !== 'admin') return refuseForbidden(route.summary.toLowerCase())
  return succeed(caller)
}

/** `Bearer slt_…`; or Basic with the token as password, for programs that know of nothing else. */
function readBearer(authorization: string): string | null {
  const [, bearer] = /^Bearer +(\S+)\s*$/i.exec(authorization) ?? []
  if (bearer !== undefined) return bearer
  const [, basic] = /^Basic +([A-Za-z0-9+/]+=*)\s*$/i.exec(authorization) ?? []
  if (basic === undefined) return null
  const pair = Buffer.from(basic, 'base64').toString()
  return pair.slice(pair.indexOf(':') + 1)
}

interface ParsedArrival {
  readonly parameters: Readonly<Record<string, string>>
  readonly query: unknown
  readonly body: unknown
  readonly bodyText: string
  readonly expectedVersion: number | undefined
  readonly currentVersion: number | undefined
  /** As it came, for those who do it again. */
  readonly given: ParsedCall['given']
  readonly waitMilliseconds: number | null
}

async function parseArrival(route: Route, arrival: Arrival): Promise<Outcome<ParsedArrival>> {
  const { request, url, parameters } = arrival
  for (const [name, schema] of Object.entries(route.parameters ?? {})) {
    if (!parseValue(schema, parameters[name], 'the path').ok) return refuseNotFound(route.tag, parameters[name] ?? '')
  }
  const query = parseQuery(route, url)
  if (!query.ok) return query
  const wait = parseWait(url.searchParams)
  if (!wait.ok) return wait
  const expectedVersion =
    route.takesIfMatch === true ? parseIfMatch(request.headers.get('if-match')) : succeed(undefined)
  if (!expectedVersion.ok) return expectedVersion
  const text = route.body !== undefined || route.takesText === true ? await arrival.readText() : succeed('')
  if (!text.ok) return text
  const json = route.body === undefined ? succeed(undefined) : parseWhole(text.value, route.body)
  if (!json.ok) return json
  const body = route.body === undefined ? json : parseValue(route.body, json.value, 'the body')
  if (!body.ok) return body
  return succeed({
    parameters,
    query: query.value,
    body: body.value,
    bodyText: text.value,
    expectedVersion: expectedVersion.value,
    currentVersion: currentVersionOf(query.value),
    given: { query: Object.fromEntries(url.searchParams), body: json.value },
    waitMilliseconds: wait.value,
  })
}

function parseQuery(route: Route, url: URL): Outcome<unknown> {
  const given = Object.fromEntries(url.searchParams)
  const [unknown] = Object.keys(given).filter((name) => !(name in (route.query?.entries ?? {})))
  if (unknown !== undefined) {
    const known = Object.keys(route.query?.entries ?? {})
    const remedy =
      known.length === 0 ? 'Leave it out: there is none here.' : `Those that are known: ${known.join(', ')}.`
    return refuseParameter(unknown, 'is not a query parameter that is known here', remedy)
  }
  return route.query === undefined ? succeed({}) : parseValue(route.query, given, 'the query')
}

function currentVersionOf(query: unknown): number | undefined {
  if (typeof query !== 'object' || query === null || !('currentVersion' in query)) return undefined
  return typeof query.currentVersion === 'number' ? query.currentVersion : undefined
}

/** An object, or a list where the schema is of one. */
function parseWhole(text: string, schema: NonNullable<Route['body']>): Outcome<unknown> {
  const json = parseJson(text)
  if (!json.ok) return json
  const { value } = json
  const sort = Array.isArray(value)
    ? 'a list'
    : value === null
      ? 'null'
      : typeof value === 'object'
        ? 'object'
        : `a ${typeof value}`
  const wanted = schema.type === 'array' ? 'a list' : 'object'
  if (sort !== wanted) {
    return wanted === 'object'
      ? refuseParameter('body', `must be a JSON object, not ${sort}`, 'Send the fields as one object.')
      : refuseParameter('body', `must be a JSON list, not ${sort}`, 'Send the items as one list.')
  }
  return succeed(value)
}

async function waitFor(
  routing: RoutingContext,
  outcome: Outcome<Answer>,
  milliseconds: number | null,
  arrival: Arrival,
): Promise<Outcome<Answer>> {
  if (!outcome.ok || milliseconds === null) return outcome
  const { settles, waitForEnd } = outcome.value
  const wait = { milliseconds, signal: arrival.request.signal }
  if (waitForEnd !== undefined) return waitForEnd(wait)
  if (settles === undefined) return outcome
  const settled = await waitUntilSettled(routing.context, settles, wait)
  return settled.ok ? settles.answer() : settled
}

/** One after the other for each key, so that a repetition that overtakes its original finds the answer of that one. */
async function answerOnce(
  routing: RoutingContext,
  route: Route,
  asked: { readonly key: string; readonly caller: Caller; readonly fingerprint: string },
  answer: (taken: TakenKey) => Promise<Outcome<Answer>>,
): Promise<Outcome<Answer>> {
  if (!/^[\x21-\x7e]{1,255}$/.test(asked.key)) {
    return refuseParameter('Idempotency-Key', 'must be 1 to 255 visible ASCII characters', 'Send a new UUID.')
  }
  return routing.lock(`${asked.caller.tokenId} ${asked.key}`, async () => {
    const taken = await takeIdempotencyKey(routing.context, asked.caller, asked.key, asked.fingerprint)
    if (!taken.ok) return taken
    if (taken.value.answer !== null) return succeed(replay(taken.value.answer))
    const outcome = await answer(taken.value)
    // A refusal has changed nothing, so its repetition may well be asked anew: only what was done is kept.
    const isDone = outcome.ok && outcome.value.isPending !== true
    if (isDone && route.isSecret !== true) await keepAnswer(routing.context, taken.value, keep(outcome.value))
    return outcome
  })
}

function keep({ status, body, headers = {}, version }: Answer) {
  return { status, body: body ?? null, headers: version === undefined ? headers : { ...headers, etag: `"${version}"` } }
}

function replay(kept: {
  readonly status: number
  readonly body: unknown
  readonly headers: Readonly<Record<string, string>>
}): Answer {
  const headers = { ...kept.headers, 'idempotent-replayed': 'true' }
  return { status: kept.status as Answer['status'], headers, ...(kept.body === null ? {} : { body: kept.body }) }
}

/** What makes two requests the same; how long one waits is not part of it. */
function describeFingerprint(route: Route, arrival: Arrival, bodyText: string): string {
  const query = new URLSearchParams(arrival.url.searchParams)
  query.delete('wait')
  query.delete('timeout')
  const text = JSON.stringify([route.method, arrival.url.pathname, query.toString(), bodyText])
  return new Bun.CryptoHasher('sha256').update(text).digest('hex')
}

function refuseUnauthenticated(isGiven: boolean): { readonly ok: false; readonly problem: Problem } {
  return refuse({
    code: 'unauthenticated',
    title: 'Who asks is not known',
    detail: isGiven ? 'There is no such token, or it has expired or been deleted.' : 'The request carries no token.',
    remedy:
      "Send `Authorization: Bearer slt_…`; `sluice token create` makes a token, `sluice lab env` shows the lab's.",
    errors: [{ field: 'Authorization', message: isGiven ? 'names no valid token' : 'is missing' }],
  })
}

/** Nobody reads this any more. */
const refuseGone = () =>
  refuse({ code: 'timeout', title: 'The caller has gone', detail: 'The request was ended by its caller.' })
