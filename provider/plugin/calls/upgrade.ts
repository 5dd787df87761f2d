/** States of older versions of a schema, made into one of today. */

import type { Json, JsonObject } from '../context.ts'
import type { ResourceDefinition } from '../define.ts'
import { ProviderError } from '../diagnostics.ts'
import type { Schema } from '../schema.ts'
import { Decimal } from '../values/decimal.ts'
import type { RawObject } from '../values/raw.ts'
import { fromJson, readJson } from '../values/wire.ts'

type Steps = NonNullable<ResourceDefinition<Schema, unknown>['upgradeState']>
type Stored = { readonly version: number; readonly json: Uint8Array }

/** One step after another up to the schema's version. What the schema doesn't have any more is dropped. */
export function upgradeState(schema: Schema, steps: Steps, { version, json }: Stored): RawObject {
  if (version > schema.version) {
    throw new ProviderError('The state was written by a newer version of this provider', {
      detail: `It has version ${version} of the schema, this provider has ${schema.version}. Use at least the version of the provider that wrote it.`,
    })
  }
  if (json.length === 0) throw new ProviderError('The state has a format of before Terraform 0.12, which is not read')
  let state = readJson(json)
  for (let from = version; from < schema.version; from += 1) {
    const step = steps[from]
    if (step === undefined) throw new Error(`BUG: nothing upgrades a state from version ${from}`)
    state = step(plain(state) as JsonObject)
  }
  return fromJson(schema.fields, state)
}

/** Numbers that JavaScript can't hold are text, which is a number to the schema all the same. */
function plain(value: unknown): Json {
  if (value instanceof Decimal) {
    const float = Number(value.text)
    return String(float) === value.text ? float : value.text
  }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value as Json
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)] as const))
}
