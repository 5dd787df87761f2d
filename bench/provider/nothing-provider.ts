/**
 * The floor: a provider on the same framework whose resources have the very schemas of Sluice's, and that asks nobody. What
 * only a controller can decide it makes up at once.
 */

import { randomBytes } from 'node:crypto'
import {
  type Attribute,
  defineSchema,
  type Fields,
  type Provider,
  type Result,
  type Schema,
  type ValueType,
  withClient,
} from '../../provider/plugin/index.ts'
import { sluiceProvider } from '../../provider/provider.ts'

const { defineProvider, defineResource } = withClient<null>()

/** As the validators of those who refer to one want its id. */
const idPrefixes: Readonly<Record<string, string>> = { project: 'prj', pool: 'pol', shard: 'shd', network: 'net' }

export const nothingProvider: Provider<null> = defineProvider({
  name: 'nothing',
  schema: defineSchema({ description: 'Does nothing.' }),
  configure: () => null,
  resources: (sluiceProvider.resources ?? []).map(({ name, schema }) =>
    defineResource({
      name,
      schema,
      create: ({ desired }) => complete(name, schema, desired),
      read: ({ state }) => state,
      update: ({ prior, desired }) => ({ ...prior, ...desired }),
      delete: () => undefined,
    }),
  ),
})

function complete(name: string, { fields }: Schema, desired: Readonly<Record<string, unknown>>): Result<Schema> {
  const own = Object.entries(fields).map(([field, attribute]) => [
    field,
    field === 'id'
      ? `${idPrefixes[name] ?? 'xyz'}_${randomBytes(13).toString('hex').slice(1)}`
      : (desired[field] ?? makeUp(attribute)),
  ])
  return Object.fromEntries(own)
}

function makeUp({ presence, nullable, writeOnly, type, default: fallback }: Attribute): unknown {
  if (nullable || writeOnly || presence === 'optional') return null
  return presence === 'defaulted' ? fallback : makeUpValue(type)
}

function makeUpValue(type: ValueType): unknown {
  switch (type.kind) {
    case 'string':
      return type.oneOf?.[0] ?? 'x'
    case 'number':
    case 'integer':
      return 1
    case 'bigInteger':
      return 1n
    case 'decimal':
      return '1'
    case 'bool':
      return false
    case 'list':
    case 'set':
      return []
    case 'map':
      return {}
    case 'object':
      return makeUpFields(type.fields)
    default:
      return type satisfies never
  }
}

const makeUpFields = (fields: Fields) =>
  Object.fromEntries(Object.entries(fields).map(([field, attribute]) => [field, makeUp(attribute)]))
