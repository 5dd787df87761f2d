/** Calls the controller's API. The one place of the command line that speaks HTTP. */

import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { problemSchema } from '../controller/contract/problem.ts'
import { labNameDefault, labSettings, observeLab } from '../lab/lab.ts'
import { followAction, readPending } from './follow-action.ts'

export type ApiRequest = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** False: a change that takes long is left to itself, and the action that makes it is the answer. */
  readonly isFollowed?: boolean
}

export type Api = {
  readonly address: string
  readonly token: string
  /**
   * The answer's body; undefined where it has none. Throws a ProblemError for a refusal. A change that was not answered is
   * asked for again, by its Idempotency-Key, and one that goes on is waited for.
   */
  readonly call: (request: ApiRequest) => Promise<unknown>
  /** The answer as it comes, for what does not end. */
  readonly open: (request: ApiRequest, signal: AbortSignal) => Promise<Response>
}

type Problem = v.InferOutput<typeof problemSchema>

/** A refusal of the controller, with all that it says. */
export class ProblemError extends Error {
  readonly problem: Problem

  constructor(problem: Problem) {
    super(describeProblem(problem))
    this.problem = problem
  }
}

/** Longer than any wait that may be asked for, and than any answer takes. */
const requestTimeoutMilliseconds = 10 * 60_000

/** How often what was not answered is asked for, and how long it is waited before: while another takes its place. */
const attemptsMaximum = 8
const againMilliseconds = 500

export interface ApiMeans {
  /** Where people are told that it takes longer. */
  readonly tell: (line: string) => void
  readonly sleep: (milliseconds: number) => Promise<unknown>
}
const meansDefault: ApiMeans = { tell: console.error, sleep: (milliseconds) => Bun.sleep(milliseconds) }

/** The controller of SLUICE_ADDR and SLUICE_TOKEN, else the one of the lab that runs here. */
export function connectToController(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  { tell, sleep }: ApiMeans = meansDefault,
): Api {
  const { address, token } = findController(environment)
  const open = async (request: ApiRequest, signal: AbortSignal) => {
    const response = await send(address, token, request, signal)
    if (!response.ok) throw await readRefusal(response, request)
    return response
  }
  /** A front whose controller died says 502 or hangs up: whether it is done is told by its key. */
  const openAgain = async (request: ApiRequest) => {
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await send(address, token, request, AbortSignal.timeout(requestTimeoutMilliseconds))
        if (response.ok) return response
        const refusal = await readRefusal(response, request)
        if (refusal instanceof ProblemError || !unansweredStatuses.includes(response.status)) throw refusal
        if (attempt === attemptsMaximum) throw refusal
      } catch (cause) {
        if (!isCutOff(cause) || attempt === attemptsMaximum) throw cause
      }
      await sleep(againMilliseconds)
    }
  }
  const call = async (asked: ApiRequest): Promise<unknown> => {
    const request = withKey(asked)
    for (;;) {
      const response = await openAgain(request)
      const text = await response.text()
      const answer = text === '' ? undefined : parseJson(text, request)
      const pending = request.isFollowed === false ? null : readPending(response.status, answer)
      if (pending === null) return answer
      await followAction({ read: (path) => call({ method: 'GET', path }), tell, sleep }, pending)
    }
  }
  return { address, token, call, open }
}

const unansweredStatuses: readonly number[] = [502, 504]

/** The same for every repetition; reading needs none. */
function withKey(request: ApiRequest): ApiRequest {
  if (request.method === 'GET') return request
  return { ...request, headers: { 'idempotency-key': crypto.randomUUID(), ...request.headers } }
}

/** A controller that took the request and went away, not one that was never reached. */
const isCutOff = (cause: unknown): boolean =>
  cause instanceof Error &&
  cause.cause instanceof Error &&
  'code' in cause.cause &&
  ['ECONNRESET', 'ConnectionClosed', 'EPIPE'].includes(String(cause.cause.code))

function findController(environment: Readonly<Record<string, string | undefined>>) {
  const address = environment.SLUICE_ADDR
  const token = environment.SLUICE_TOKEN
  if (address !== undefined && token !== undefined) return { address: address.replace(/\/+$/, ''), token }
  if (address !== undefined) throw new Error('SLUICE_ADDR is set and SLUICE_TOKEN is not; set both')
  const settings = labSettings({ name: environment.SLUICE_LAB ?? labNameDefault })
  const lab = observeLab(settings)
  if (lab.controller?.status === 'on') {
    return { address: lab.controller.url, token: token ?? readFileSync(lab.controller.tokenFile, 'utf8').trim() }
  }
  throw new Error(
    'no controller is known: set SLUICE_ADDR and SLUICE_TOKEN, or start a lab here with `sluice lab up`' +
      (lab.controller === null ? '' : '; the controller of the lab is off: `sluice lab boot controller`'),
  )
}

async function send(address: string, token: string, request: ApiRequest, signal: AbortSignal): Promise<Response> {
  const query = Object.entries(request.query ?? {}).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, value] as [string, string]],
  )
  const url = `${address}${request.path}${query.length === 0 ? '' : `?${new URLSearchParams(query)}`}`
  try {
    return await fetch(url, {
      method: request.method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...request.headers,
      },
      signal,
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    })
  } catch (error) {
    if (signal.aborted) throw error
    throw new Error(`no controller answers at ${address}; is it running, and is SLUICE_ADDR right?`, { cause: error })
  }
}

async function readRefusal(response: Response, request: ApiRequest): Promise<Error> {
  const text = await response.text()
  const parsed = v.safeParse(problemSchema, parseOrNull(text))
  if (parsed.success) return new ProblemError(parsed.output)
  return new Error(`${request.method} ${request.path} was answered ${response.status}: ${text.slice(0, 500)}`)
}

function parseJson(text: string, request: ApiRequest): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`${request.method} ${request.path} was answered something that is no JSON`, { cause: error })
  }
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Title and detail, each field at fault, the remedy, and the trace to look for in the logs. */
export function describeProblem(problem: Problem): string {
  const isSaidTwice = problem.detail.startsWith(problem.title)
  return [
    isSaidTwice ? problem.detail : `${problem.title}: ${problem.detail}`,
    ...(problem.errors ?? []).map(({ field, message }) => `  ${field}: ${message}`),
    ...(problem.remedy === undefined ? [] : [`  remedy: ${problem.remedy}`]),
    ...(problem.traceId === undefined ? [] : [`  trace: ${problem.traceId}`]),
  ].join('\n')
}
