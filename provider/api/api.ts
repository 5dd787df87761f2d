/**
 * Calls the controller's API: one request and its answer, parsed by the contract's schema, repeated while the controller
 * can't be reached. The one place of the provider that speaks HTTP. Clock, chance and `fetch` come as arguments.
 */

import * as v from 'valibot'
import { pageSchema } from '../../controller/contract/common.ts'
import { problemSchema } from '../../controller/contract/problem.ts'
import type { JsonObject } from '../plugin/index.ts'
import { ApiError, type ApiProblem } from './api-error.ts'

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
  /** Each POST has one, so that every request can be repeated. */
  readonly idempotencyKey?: string
  /** Left out: the answer is waited for as long as `signal` lets. */
  readonly timeoutMilliseconds?: number
}

export interface ApiAnswer<Body> {
  readonly status: number
  readonly body: Body
  /** True: the answer is that of an earlier request with the same key. */
  readonly isReplayed: boolean
}

export interface Api {
  readonly endpoint: string
  /** Rejects with an ApiError for every refusal, and where no answer comes. */
  call<Schema extends v.GenericSchema>(
    request: ApiRequest,
    schema: Schema,
    signal: AbortSignal,
  ): Promise<ApiAnswer<v.InferOutput<Schema>>>
  /** All pages of a list. */
  listAll<Schema extends v.GenericSchema>(
    path: string,
    item: Schema,
    query: Readonly<Record<string, string | undefined>>,
    signal: AbortSignal,
  ): Promise<v.InferOutput<Schema>[]>
}

export interface ApiMeans {
  readonly fetch: (url: string, init: BunFetchRequestInit) => Promise<Response>
  /** Milliseconds since some point in time. */
  readonly now: () => number
  /** Rejects when the signal aborts. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>
  /** 0 to 1. */
  readonly random: () => number
  readonly log: (message: string, fields: JsonObject) => void
}

export interface ApiOptions {
  /** `http://127.0.0.1:7480`, with or without a slash at its end. */
  readonly endpoint: string
  readonly token: string
  /** PEM; undefined: the system's authorities. */
  readonly caCertificate?: string | undefined
  /** True: a certificate of the controller is not checked. */
  readonly isInsecure?: boolean
  /** How long a controller that can't be reached is asked again. */
  readonly retrySeconds: number
}

/** Where a change is found that is answered before it is made. */
const actionsPath = '/v1/actions/'
/** The longest slice of a wait is shorter than this. */
const answerMillisecondsMaximum = 60_000
const pauseMillisecondsFirst = 100
const pauseMillisecondsMaximum = 2000
/** The most that the API puts on one page. */
export const listPageItems = '1000'

/** What the same request may well be answered otherwise in a moment. */
const passingCodes: ReadonlySet<string> = new Set(['unavailable', 'too-many-requests'])

export function createApi(options: ApiOptions, means: ApiMeans): Api {
  const endpoint = options.endpoint.replace(/\/+$/, '')

  async function call<Schema extends v.GenericSchema>(request: ApiRequest, schema: Schema, signal: AbortSignal) {
    const deadline = means.now() + options.retrySeconds * 1000
    for (let pause = pauseMillisecondsFirst; ; pause = Math.min(pause * 2, pauseMillisecondsMaximum)) {
      const outcome = await askOnce(request, schema, signal)
      if (!(outcome instanceof ApiError)) return outcome
      const wait = outcome.retryAfterMilliseconds ?? pause * (0.5 + means.random() / 2)
      if (!outcome.isPassing || signal.aborted || means.now() + wait > deadline) throw outcome
      means.log('the controller is asked again', { method: request.method, path: request.path, why: outcome.message })
      await means.sleep(wait, signal)
    }
  }

  async function askOnce<Schema extends v.GenericSchema>(
    request: ApiRequest,
    schema: Schema,
    signal: AbortSignal,
  ): Promise<ApiAnswer<v.InferOutput<Schema>> | ApiError> {
    const begunAt = means.now()
    try {
      const timeout = AbortSignal.timeout(request.timeoutMilliseconds ?? answerMillisecondsMaximum)
      const response = await means.fetch(urlOf(endpoint, request), {
        ...describeRequest(options, request),
        signal: AbortSignal.any([signal, timeout]),
      })
      const text = await response.text()
      const { status } = response
      means.log('request', { ...nameRequest(request), status, milliseconds: Math.round(means.now() - begunAt) })
      return response.ok ? readAnswer(request, response, text, schema) : readRefusal(endpoint, request, response, text)
    } catch (cause) {
      return describeFailure(endpoint, cause, signal)
    }
  }

  return {
    endpoint,
    call,
    async listAll(path, item, query, signal) {
      const schema = pageSchema(item)
      const items: v.InferOutput<typeof item>[] = []
      let after: string | undefined
      do {
        const page = await call(
          { method: 'GET', path, query: { ...query, limit: listPageItems, after } },
          schema,
          signal,
        )
        items.push(...page.body.items)
        after = page.body.next ?? undefined
      } while (after !== undefined)
      return items
    },
  }
}

const nameRequest = ({ method, path, idempotencyKey }: ApiRequest) => ({ method, path, idempotencyKey })

function urlOf(endpoint: string, { path, query = {} }: ApiRequest): string {
  const given = Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))
  return `${endpoint}${path}${given.length === 0 ? '' : `?${new URLSearchParams(given)}`}`
}

function describeRequest(options: ApiOptions, request: ApiRequest): BunFetchRequestInit {
  const { token, caCertificate, isInsecure } = options
  const isPlain = caCertificate === undefined && isInsecure !== true
  return {
    method: request.method,
    // A redirect would carry the token to somewhere else.
    redirect: 'manual',
    headers: {
      authorization: `Bearer ${token}`,
      ...(request.body !== undefined && { 'content-type': 'application/json' }),
      ...(request.idempotencyKey !== undefined && { 'idempotency-key': request.idempotencyKey }),
    },
    ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
    ...(!isPlain && {
      tls: { ...(caCertificate !== undefined && { ca: caCertificate }), rejectUnauthorized: isInsecure !== true },
    }),
  }
}

function readAnswer<Schema extends v.GenericSchema>(
  request: ApiRequest,
  response: Response,
  text: string,
  schema: Schema,
): ApiAnswer<v.InferOutput<Schema>> | ApiError {
  const parsed = v.safeParse(schema, text === '' ? undefined : parseOrNull(text))
  const isReplayed = response.headers.get('idempotent-replayed') === 'true'
  if (response.status === 202 && response.headers.get('location')?.startsWith(actionsPath))
    return describeLater(request)
  if (parsed.success) return { status: response.status, body: parsed.output, isReplayed }
  const [issue] = parsed.issues
  const where = v.getDotPath(issue) ?? 'the answer'
  return new ApiError({
    code: 'unknown-answer',
    title: 'The answer is not what this provider knows',
    detail: `${request.method} ${request.path} was answered ${response.status}, and ${where} is wrong: ${issue.message}.`,
    remedy:
      'Use the version of the provider that belongs to the controller, and check that the endpoint is its address.',
  })
}

/** Others keep changing the same, and the controller goes on trying: asked again, it answers once that is done. */
const describeLater = ({ method, path }: ApiRequest) =>
  new ApiError(
    {
      code: 'reconciling',
      title: 'The change is still being made',
      detail: `${method} ${path} meets changes that others make at the same time.`,
      remedy: 'Apply again; `sluice escalation list` tells whether a person has to decide.',
    },
    { isPassing: true, retryAfterMilliseconds: 1000 },
  )

function readRefusal(endpoint: string, request: ApiRequest, response: Response, text: string): ApiError {
  const parsed = v.safeParse(problemSchema, parseOrNull(text))
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN)
  const retryAfterMilliseconds = Number.isFinite(retryAfter) ? retryAfter * 1000 : undefined
  if (!parsed.success) return describeForeignAnswer(endpoint, request, response, text)
  const { code, title, detail, remedy, errors, traceId } = parsed.output
  const problem: ApiProblem = {
    code,
    title,
    detail,
    ...(remedy !== undefined && { remedy }),
    ...(errors !== undefined && { errors }),
    ...(traceId !== undefined && { traceId }),
  }
  return new ApiError(problem, { isPassing: passingCodes.has(code), retryAfterMilliseconds })
}

/** A proxy before the controller says 502 and 504 while that restarts; anything else is no controller at all. */
function describeForeignAnswer(endpoint: string, request: ApiRequest, response: Response, text: string): ApiError {
  const problem: ApiProblem = {
    code: 'not-a-controller',
    title: 'No controller answers at the endpoint',
    detail: `${request.method} ${endpoint}${request.path} was answered ${response.status}, not in the way of a controller: ${text.trim().slice(0, 200) || 'nothing'}`,
    remedy: 'Check `endpoint` (or SLUICE_ADDR): it is the address of the controller itself, without a path.',
  }
  return new ApiError(problem, { isPassing: [502, 504].includes(response.status) })
}

function describeFailure(endpoint: string, cause: unknown, signal: AbortSignal): ApiError {
  if (signal.aborted) {
    return new ApiError({
      code: 'cancelled',
      title: 'Stopped',
      detail: 'The run was stopped while the controller was asked.',
      remedy: 'Apply again: it goes on where it was stopped.',
    })
  }
  const { code, message } = describeCause(cause)
  if (/CERT|TLS|SSL|SELF_SIGNED|ALTNAME/i.test(code)) {
    return new ApiError({
      code: 'tls',
      title: "The controller's certificate is not trusted",
      detail: `${endpoint}: ${message} (${code}).`,
      remedy:
        'Give the certificate of its authority as `ca_certificate`, and an endpoint by the name in the certificate.',
    })
  }
  return new ApiError(
    {
      code: 'unreachable',
      title: 'The controller can not be reached',
      detail: `${endpoint}: ${message}.`,
      remedy:
        'Check `endpoint` (or SLUICE_ADDR), and that the controller runs; then apply again: nothing is done twice.',
    },
    { isPassing: true },
  )
}

function describeCause(cause: unknown): { readonly code: string; readonly message: string } {
  if (!(cause instanceof Error)) return { code: '', message: String(cause) }
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name
  return { code, message: cause.message.replace(/[.?!]\s.*$/s, '').replace(/\.$/, '') }
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
