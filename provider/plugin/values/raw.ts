/**
 * Raw values: what the wire carries, read by a schema, with the schema's names. Between the wire and a resource's typed
 * values; nothing is lost in them. Plans are made of raw values.
 */

import type { Attribute, Fields, ValueType } from '../attributes.ts'
import { type AttributePath, ProviderError } from '../diagnostics.ts'
import { type Unknown, unknown } from '../unknown.ts'
import { Decimal, decimalText } from './decimal.ts'

export type Raw = null | Unknown | string | boolean | number | Decimal | readonly Raw[] | RawObject
/** Of an object or of a map. */
export type RawObject = { readonly [name: string]: Raw }

export const isRawObject = (raw: Raw | undefined): raw is RawObject =>
  typeof raw === 'object' && raw !== null && !Array.isArray(raw) && !(raw instanceof Decimal)

export const isRawList = (raw: Raw | undefined): raw is readonly Raw[] => Array.isArray(raw)

/** An element of a map or an attribute of an object; what is not its own is absent, whatever it is called. */
export const member = (of: RawObject | null, name: string): Raw =>
  of !== null && Object.hasOwn(of, name) ? (of[name] ?? null) : null

/** Own keys only, also `__proto__`. */
export const objectOf = <T>(entries: Iterable<readonly [string, T]>): Readonly<Record<string, T>> =>
  Object.fromEntries(entries)

export const mapObject = (of: RawObject, change: (value: Raw, name: string) => Raw): RawObject =>
  objectOf(Object.entries(of).map(([name, value]) => [name, change(value, name)] as const))

/** Every field of an object, null where there is none. */
export const fieldsOf = (
  fields: Fields,
  of: RawObject | null,
  change: (attribute: Attribute, value: Raw, name: string) => Raw,
): RawObject =>
  objectOf(
    Object.entries(fields).map(([name, attribute]) => [name, change(attribute, member(of, name), name)] as const),
  )

export function isKnown(raw: Raw): boolean {
  if (raw === unknown) return false
  if (isRawList(raw)) return raw.every(isKnown)
  return isRawObject(raw) ? Object.values(raw).every(isKnown) : true
}

/** Equal text means equal values: sets in whatever order, numbers however they were written. */
export function keyOf(type: ValueType, raw: Raw): string {
  if (raw === null) return 'null'
  if (raw === unknown) return 'unknown'
  if (typeof raw === 'number' || raw instanceof Decimal) return decimalText(raw)
  if (isRawList(raw)) {
    const of = type.kind === 'list' || type.kind === 'set' ? type.of.type : undefined
    if (of === undefined) throw new Error('BUG: a list where none belongs')
    const keys = raw.map((element) => keyOf(of, element))
    return type.kind === 'set' ? `{${[...new Set(keys)].toSorted().join()}}` : `[${keys.join()}]`
  }
  if (isRawObject(raw)) {
    const typeOfMember = (name: string) => {
      if (type.kind === 'map') return type.of.type
      const field = type.kind === 'object' ? type.fields[name] : undefined
      if (field === undefined) throw new Error(`BUG: ${name} where it doesn't belong`)
      return field.type
    }
    const names = Object.keys(raw).toSorted()
    return `{${names.map((name) => `${JSON.stringify(name)}:${keyOf(typeOfMember(name), member(raw, name))}`).join()}}`
  }
  return typeof raw === 'string' ? JSON.stringify(raw.normalize('NFC')) : String(raw)
}

export const areEqual = (type: ValueType, one: Raw, other: Raw): boolean =>
  one === other || keyOf(type, one) === keyOf(type, other)

/** A value that is not what its schema says: who sent it is told where. */
export class ValueError extends ProviderError {
  constructor(path: AttributePath, problem: string) {
    super('A value is not what the schema says', { detail: [path.join('.'), problem].filter(Boolean).join(': '), path })
  }
}
