/** What a whole configuration is needed for: the provider's client, and what data sources read with it. */

import type { Fields } from '../attributes.ts'
import type { DataSource } from '../define.ts'
import { ProviderError } from '../diagnostics.ts'
import { toSnakeCase } from '../names.ts'
import { findOverruled } from '../plan/conform.ts'
import { showPath } from '../plan/path.ts'
import { defaultOf } from '../plan/propose.ts'
import { fieldsOf, isKnown, type RawObject } from '../values/raw.ts'
import { settleObject } from '../values/settle.ts'
import { fromTyped, toTyped } from '../values/typed.ts'
import { decodeObject, encodeObject } from '../values/wire.ts'
import type { RequestOf } from '../wire/tfplugin6.ts'
import { type Call, clientContext } from './session.ts'

type Configure = RequestOf<'ConfigureProvider'>
type ReadData = RequestOf<'ReadDataSource'>

/** While something in it is unknown there is no client; plans can do without. */
export async function configureProvider<Client>(call: Call<Client>, request: Configure): Promise<void> {
  const { session } = call
  const { schema, configure } = session.provider
  session.isInterrupted = false
  const config = withDefaults(schema.fields, decodeObject(schema.fields, request.config) ?? emptyOf(schema.fields))
  const attributes = unknownNames(config)
  if (attributes.length > 0) {
    session.configured = { kind: 'unknownYet', attributes }
    return
  }
  const typed = toTyped(schema.fields, config, 'config') as never
  const client = await configure({ config: typed, terraformVersion: request.terraformVersion }, call.context)
  session.configured = { kind: 'ready', client }
}

export async function readDataSource<Client>(source: DataSource<Client>, request: ReadData, call: Call<Client>) {
  const { fields } = source.schema
  const config = wholeConfig(fields, decodeObject(fields, request.config))
  const result = await source.read({ config: toTyped(fields, config, 'config') as never }, clientContext(call))
  // A user's own words are repeated as they were said.
  const answered = fromTyped(fields, { ...toTyped(fields, config, 'config'), ...withoutAbsent(result) })
  const state = settleObject(fields, config, answered)
  const [overruled] = findOverruled(fields, config, state)
  if (overruled !== undefined) {
    throw new ProviderError(`${showPath(fields, overruled.path)} is not as configured`, {
      detail: `It was configured as ${overruled.promised}, and read as ${overruled.actual}. This is a fault in the provider's data source ${source.name}; please report it.`,
      path: overruled.path,
    })
  }
  return encodeObject(fields, state)
}

const withoutAbsent = (values: object) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))

export function wholeConfig(fields: Fields, config: RawObject | null): RawObject {
  const whole = withDefaults(fields, config ?? emptyOf(fields))
  const [name] = unknownNames(whole)
  if (name === undefined) return whole
  throw new ProviderError(`${name} is not known yet`, { detail: 'It is known only after something else is applied.' })
}

const unknownNames = (config: RawObject): readonly string[] =>
  Object.entries(config)
    .filter(([, value]) => !isKnown(value))
    .map(([name]) => toSnakeCase(name))

const emptyOf = (fields: Fields): RawObject =>
  fieldsOf(fields, null, ({ presence }) => (presence === 'blocks' ? [] : null))

/** Of the outermost attributes: within others a default belongs to resources. */
const withDefaults = (fields: Fields, config: RawObject): RawObject =>
  fieldsOf(fields, config, (attribute, value) =>
    value === null && attribute.presence === 'defaulted' ? defaultOf(attribute) : value,
  )
