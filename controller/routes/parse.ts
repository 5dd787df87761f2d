/** Admits what callers send: bodies, queries, headers. What is wrong becomes a problem that names each field. Pure. */

import * as v from 'valibot'
import { type Outcome, refuse, succeed } from '../contract/problem.ts'

/** The largest body: a balancer with 256 members takes some 40 KiB. */
export const bodyBytesMaximum = 1024 * 1024
/** No more wrong fields than this are named at once. */
const errorsMaximum = 20
export const waitSecondsMaximum = 600
const waitSecondsDefault = 60

/** Reads a body to its end, or to the limit. */
export async function readBody(request: Request, bytesMaximum: number = bodyBytesMaximum): Promise<Outcome<string>> {
  const declared = Number(request.headers.get('content-length') ?? 0)
  if (declared > bytesMaximum) return refuseTooLarge(bytesMaximum)
  if (request.body === null) return succeed('')
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of request.body) {
    bytes += chunk.byteLength
    if (bytes > bytesMaximum) return refuseTooLarge(bytesMaximum)
    chunks.push(chunk)
  }
  try {
    return succeed(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)))
  } catch {
    return refuseMalformed('it is not UTF-8')
  }
}

export function parseJson(text: string): Outcome<unknown> {
  if (text.trim() === '') return refuseMalformed('it is empty')
  try {
    return succeed(JSON.parse(text))
  } catch (cause) {
    return refuseMalformed(cause instanceof Error ? cause.message : 'it ends too early')
  }
}

/** Parses a value by a schema; `where` is what its fields are of: `the body`, `the query`. */
export function parseValue<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  where: string,
): Outcome<v.InferOutput<Schema>> {
  const parsed = v.safeParse(schema, value)
  if (parsed.success) return succeed(parsed.output)
  const all = parsed.issues.flatMap(unfold).map(({ path, issue }) => ({
    field: describePath(path),
    message: describeIssue(issue),
  }))
  const errors = all.slice(0, errorsMaximum)
  const shown = errors.map(({ field, message }) => `${field} ${message}`).join('; ')
  const more = all.length > errors.length ? `; and ${all.length - errors.length} more` : ''
  return refuse({
    code: 'invalid',
    title: 'The request is not valid',
    detail: `In ${where}: ${shown}${more}.`,
    remedy: 'Correct what is named; /v1/openapi.json says what each field may be.',
    errors,
  })
}

/** `?wait=true&timeout=60s`: the milliseconds to wait, or null. */
export function parseWait(query: URLSearchParams): Outcome<number | null> {
  const wait = query.get('wait')
  if (wait !== null && !['true', 'false', ''].includes(wait)) {
    return refuseParameter('wait', 'must be true or false', 'Ask with ?wait=true, or leave it out.')
  }
  const timeout = query.get('timeout')
  const milliseconds = timeout === null ? waitSecondsDefault * 1000 : parseDuration(timeout)
  if (milliseconds === null || milliseconds > waitSecondsMaximum * 1000) {
    return refuseParameter('timeout', `must be a time up to ${waitSecondsMaximum}s`, 'Give it as 500ms, 60s or 2m.')
  }
  return succeed(wait === null || wait === 'false' ? null : milliseconds)
}

/** `If-Match: "3"`; undefined: there is none, or `*`, which any version fulfils. */
export function parseIfMatch(header: string | null): Outcome<number | undefined> {
  if (header === null || header.trim() === '*') return succeed(undefined)
  const [, version] = /^\s*"?(\d{1,15})"?\s*$/.exec(header) ?? []
  if (version !== undefined) return succeed(Number(version))
  return refuseParameter(
    'If-Match',
    'must be one ETag as it was answered, like "3"',
    'Send back the ETag of the object.',
  )
}

/** Of `If-None-Match: "3", "4"`: the versions that the caller has. */
export const parseEtags = (header: string | null): readonly number[] =>
  [...(header ?? '').matchAll(/"(\d{1,15})"/g)].map(([, version]) => Number(version))

export const describeEtag = (version: number): string => `"${version}"`

export const refuseParameter = (field: string, message: string, remedy: string) =>
  refuse({
    code: 'invalid',
    title: 'The request is not valid',
    detail: `${field} ${message}.`,
    remedy,
    errors: [{ field, message }],
  })

function parseDuration(text: string): number | null {
  const [, amount, unit] = /^(\d{1,9})(ms|s|m)?$/.exec(text) ?? []
  if (amount === undefined) return null
  const milliseconds = { ms: 1, s: 1000, m: 60_000 }[unit ?? 's'] ?? 1000
  return Number(amount) * milliseconds
}

const refuseMalformed = (reason: string) =>
  refuse({
    code: 'malformed',
    title: 'The body is not JSON',
    detail: `The body can not be read as JSON: ${reason}.`,
    remedy: 'Send one JSON object as UTF-8, with Content-Type: application/json.',
    errors: [{ field: 'body', message: reason }],
  })

const refuseTooLarge = (bytesMaximum: number) =>
  refuse({
    code: 'payload-too-large',
    title: 'The body is too large',
    detail: `A body may have ${bytesMaximum} bytes.`,
    remedy: 'Send less: large sets can be added piece by piece, members for one.',
    errors: [{ field: 'body', message: `has more than ${bytesMaximum} bytes` }],
  })

type Keys = readonly unknown[]

/** Of a field that may have several shapes: what is wrong within the one that was meant. */
function unfold(issue: v.BaseIssue<unknown>): { path: Keys; issue: v.BaseIssue<unknown> }[] {
  const path = keysOf(issue)
  const within = issue.type === 'union' ? (issue.issues ?? []).filter((inner) => keysOf(inner).length > 0) : []
  if (within.length === 0) return [{ path, issue }]
  return within.flatMap(unfold).map((inner) => ({ ...inner, path: [...path, ...inner.path] }))
}

const keysOf = (issue: v.BaseIssue<unknown>): Keys => (issue.path ?? []).map(({ key }) => key)

/** `listeners[0].port`; the body itself is `body`. */
function describePath(keys: Keys): string {
  const path = keys.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('')
  return path === '' ? 'body' : path.replace(/^\./, '')
}

function describeIssue(issue: v.BaseIssue<unknown>): string {
  if (issue.kind === 'schema' && issue.expected === 'never') return 'is not a field that is known here'
  if (issue.received === 'undefined') return 'is missing'
  if (!issue.message.startsWith('Invalid ')) return issue.message
  if (issue.type === 'integer') return `must be a whole number, not ${issue.received}`
  const expected = issue.expected?.replace(/^\((.*)\)$/, '$1').replaceAll(' | ', ' or ')
  return `must be ${expected ?? `a valid ${issue.type.replaceAll('_', ' ')}`}, not ${shorten(issue.received)}`
}

const shorten = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text)
