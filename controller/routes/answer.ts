/** Dresses outcomes as HTTP: JSON answers with their ETag and trace, and RFC 9457 problems. Pure. */

import { type Problem, problemCodes } from '../contract/problem.ts'
import { describeEtag } from './parse.ts'
import type { Answer } from './route.ts'
import type { Trace } from './trace.ts'

export function describeAnswer(answer: Answer, request: Request, trace: Trace): Response {
  if (answer.stream !== undefined) {
    answer.stream.headers.set('traceparent', trace.traceparent)
    if (request.method !== 'HEAD') return answer.stream
    answer.stream.body?.cancel().catch(() => undefined)
    return new Response(null, { status: answer.status, headers: answer.stream.headers })
  }
  const headers = new Headers({
    traceparent: trace.traceparent,
    'cache-control': 'private, no-cache',
    ...answer.headers,
  })
  if (answer.version !== undefined) headers.set('etag', describeEtag(answer.version))
  if (isUnchanged(answer, request)) return new Response(null, { status: 304, headers })
  if (answer.body === undefined) return new Response(null, { status: answer.status, headers })
  headers.set('content-type', 'application/json')
  const text = JSON.stringify(answer.body)
  headers.set('content-length', String(Buffer.byteLength(text)))
  return new Response(text, { status: answer.status, headers })
}

/** `form` says it in another way than as a problem document, with the same status and headers. */
export function describeProblem(
  problem: Problem,
  trace: Trace,
  form: {
    readonly body?: unknown
    readonly mediaType?: string
    readonly headers?: Readonly<Record<string, string>>
  } = {},
): Response {
  const { code, title, detail, remedy, errors, retryAfterSeconds, escalationId, members = {} } = problem
  const status = problemCodes[code]
  const type = `urn:sluice:problem:${code}`
  const body = form.body ?? {
    ...members,
    ...{ type, title, status, code, detail, remedy, errors, escalationId, traceId: trace.traceId },
  }
  const headers = new Headers({
    'content-type': form.mediaType ?? 'application/problem+json',
    'cache-control': 'private, no-cache',
    traceparent: trace.traceparent,
    ...form.headers,
  })
  if (retryAfterSeconds !== undefined) headers.set('retry-after', String(Math.ceil(retryAfterSeconds)))
  if (code === 'unauthenticated') headers.set('www-authenticate', 'Bearer realm="sluice", Basic realm="sluice"')
  return new Response(JSON.stringify(body), { status, headers })
}

/** `If-None-Match: "3", "4"`. Only where nothing of the answer moves without the version. */
function isUnchanged(answer: Answer, request: Request): boolean {
  const header = request.headers.get('if-none-match')
  if (header === null || answer.version === undefined || answer.isAllInVersion !== true) return false
  if (!['GET', 'HEAD'].includes(request.method)) return false
  const tags = header.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return tags.includes(describeEtag(answer.version)) || tags.includes('*')
}
