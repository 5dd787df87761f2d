/** A read by what it asks for: its route, its parameters and its query, as they came. Pure. */

import type { Caller } from '../../services.ts'

export interface ReadName {
  readonly actionType: string
  readonly parameters: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, string>>
}

/** Who is answered the same: all admins, or all tokens of one project. */
export type Audience = Pick<Caller, 'scope' | 'projectId'>

export const audienceOf = ({ scope, projectId }: Audience): string => (scope === 'admin' ? 'admin' : (projectId ?? ''))

/** Two reads with one key are answered the same. */
export function readKey({ actionType, parameters, query }: ReadName, audience: Audience): string {
  return JSON.stringify([audienceOf(audience), actionType, sorted(parameters), sorted(query)])
}

const sorted = (fields: Readonly<Record<string, string>>) =>
  Object.entries(fields).toSorted(([a], [b]) => (a < b ? -1 : 1))

/** `lb` of `lb_…`; null: it is no id. */
export const prefixOf = (value: string): string | null => /^([a-z]{2,5})_[0-9a-z]{8,}(?=$|:)/.exec(value)?.[1] ?? null

/** The ids that are named in it, by their prefixes; the first of each. */
export function subjectsOf({ parameters, query }: Omit<ReadName, 'actionType'>): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const value of [...Object.values(parameters), ...Object.values(query)]) {
    const prefix = prefixOf(value)
    const [id = ''] = value.split(':')
    if (prefix !== null && !found.has(prefix)) found.set(prefix, id)
  }
  return found
}

/** The same read of other objects, where there are some of the same prefix. */
export function aimAt(read: ReadName, subjects: ReadonlyMap<string, string>): ReadName {
  const aim = (fields: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, aimValue(value, subjects)]))
  return { actionType: read.actionType, parameters: aim(read.parameters), query: aim(read.query) }
}

/** Of `lb_…:80` the port stays. */
function aimValue(value: string, subjects: ReadonlyMap<string, string>): string {
  const prefix = prefixOf(value)
  const id = prefix === null ? undefined : subjects.get(prefix)
  if (id === undefined) return value
  const colon = value.indexOf(':')
  return colon < 0 ? id : `${id}${value.slice(colon)}`
}

/** What a key was made of. */
export function describeKey(key: string): {
  readonly audience: string
  readonly parameters: Record<string, string>
  readonly query: Record<string, string>
} {
  const [audience, , parameters, query] = JSON.parse(key) as [string, string, [string, string][], [string, string][]]
  return { audience, parameters: Object.fromEntries(parameters), query: Object.fromEntries(query) }
}
