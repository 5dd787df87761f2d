/**
 * The definitions of resources and data sources of this provider: those of the framework, in which what the API refuses
 * becomes diagnostics at the attributes that it names.
 */

import { ApiError, describeProblemDetail } from '../api/api-error.ts'
import type { Client } from '../api/client.ts'
import {
  type AttributePath,
  type DataSourceDefinition,
  type Desired,
  type Diagnostic,
  type EphemeralResourceDefinition,
  errorDiagnostic,
  type Fields,
  ProviderError,
  type ResourceDefinition,
  type Schema,
  type State,
  withClient,
} from '../plugin/index.ts'

const definitions = withClient<Client>()
export const { defineProvider } = definitions

export function defineResource<S extends Schema>(definition: ResourceDefinition<S, Client>) {
  const { fields } = definition.schema
  const { create, read, update, delete: remove, importState } = definition
  return definitions.defineResource<S>({
    ...definition,
    create: (input, context) => translate(fields, () => create(input, context)),
    read: (input, context) => translate(fields, () => read(input, context)),
    ...(update && { update: (input, context) => translate(fields, () => update(input, context)) }),
    delete: (input, context) => translate(fields, () => remove(input, context)),
    ...(importState && { importState: (input, context) => translate(fields, () => importState(input, context)) }),
  })
}

export function defineDataSource<S extends Schema>(definition: DataSourceDefinition<S, Client>) {
  const { fields } = definition.schema
  return definitions.defineDataSource<S>({
    ...definition,
    read: (input, context) => translate(fields, () => definition.read(input, context)),
  })
}

export function defineEphemeralResource<S extends Schema>(definition: EphemeralResourceDefinition<S, Client>) {
  const { fields } = definition.schema
  const { open, close } = definition
  return definitions.defineEphemeralResource<S>({
    ...definition,
    open: (input, context) => translate(fields, () => open(input, context)),
    ...(close && { close: (input, context) => translate(fields, () => close(input, context)) }),
  })
}

/** Of what the provider decides, what an update was planned to leave as it is; the rest as it is now. */
export function keepPlanned<S extends Schema, View extends object>(
  { fields }: S,
  desired: Desired<S>,
  view: View,
): View {
  const planned = Object.entries(desired as Readonly<Record<string, unknown>>).filter(([name, value]) => {
    const presence = fields[name]?.presence
    return value !== undefined && (presence === 'computed' || presence === 'optionalComputed')
  })
  return { ...view, ...Object.fromEntries(planned) }
}

/** The fields of a change that the API takes. */
export function pick<Values extends object, Name extends keyof Values>(
  values: Values,
  ...names: readonly Name[]
): { [Key in Name]?: Exclude<Values[Key], undefined> } {
  const given = names.filter((name) => values[name] !== undefined).map((name) => [name, values[name]])
  return Object.fromEntries(given) as { [Key in Name]?: Exclude<Values[Key], undefined> }
}

/** Without what is null or undefined, also within: as the API wants what is left out. */
export function withoutNull(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNull)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, one]) => (one === null || one === undefined ? [] : [[key, withoutNull(one)]])),
  )
}

/** What is wrong with a text that should name an object to import. */
export const refuseImport = (given: string, wanted: string): ProviderError =>
  new ProviderError('The import id is not one', { detail: `It is ${JSON.stringify(given)}, and must be ${wanted}.` })

async function translate<Value>(fields: Fields, work: () => Value | Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (cause) {
    if (!(cause instanceof ApiError)) throw cause
    throw new ProviderError(describeRefusal(cause, fields), { cause })
  }
}

/** One for each attribute that the API names; where it names none, one for the whole. */
export function describeRefusal({ problem }: ApiError, fields: Fields = {}): readonly Diagnostic[] {
  const located = (problem.errors ?? []).flatMap(({ field, message }) => {
    const path = parseField(field)
    return typeof path[0] === 'string' && path[0] in fields ? [{ field, message, path }] : []
  })
  const [first, ...others] = located
  if (first === undefined) return [errorDiagnostic(problem.title, { detail: describeProblemDetail(problem) })]
  const shown = new Set(located.map(({ field }) => field))
  return [
    errorDiagnostic(problem.title, { detail: describeProblemDetail(problem, shown), path: first.path }),
    ...others.map(({ field, message, path }) => errorDiagnostic(`${problem.title}: ${field} ${message}`, { path })),
  ]
}

/** `listeners[0].port` as a path. */
export const parseField = (field: string): AttributePath =>
  [...field.matchAll(/\[(\d+)\]|([^.[\]]+)/g)].map(([, position, name]) =>
    position === undefined ? (name ?? '') : Number(position),
  )

/** A state, so that what is in it can be looked at without its types. */
export type AnyState = State<Schema>
