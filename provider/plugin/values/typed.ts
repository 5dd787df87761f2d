/** Raw values to what a resource is given, and what it answers with to raw values. */

import type { Attribute, Fields, ValueType } from '../attributes.ts'
import type { AttributePath } from '../diagnostics.ts'
import { unknown } from '../unknown.ts'
import { Decimal, decimalOf, decimalText, type ExactNumber, parseDecimal } from './decimal.ts'
import { isRawList, isRawObject, mapObject, member, objectOf, type Raw, type RawObject, ValueError } from './raw.ts'
import { nouns } from './wire.ts'

export type View = 'state' | 'desired' | 'config' | 'planned'
export type TypedObject = Readonly<Record<string, unknown>>

/** The types of `values.ts` say what each view has. */
export function toTyped(fields: Fields, raw: RawObject, view: View, path: AttributePath = []): TypedObject {
  const shown = Object.entries(fields).filter(([, attribute]) => isShown(attribute, view))
  return objectOf(
    shown.map(
      ([name, attribute]) => [name, toTypedValue(attribute.type, member(raw, name), view, [...path, name])] as const,
    ),
  )
}

function isShown(attribute: Attribute, view: View): boolean {
  switch (view) {
    case 'state':
      return !attribute.writeOnly
    case 'config':
      return attribute.presence !== 'computed'
    case 'desired':
    case 'planned':
      return true
    default:
      return view satisfies never
  }
}

export function toTypedValue(type: ValueType, raw: Raw, view: View, path: AttributePath = []): unknown {
  if (raw === null) return null
  if (raw === unknown) return view === 'planned' ? unknown : undefined
  if (typeof raw === 'number' || raw instanceof Decimal) return toTypedNumber(type, raw, path)
  if (isRawList(raw)) {
    const of = elementOf(type)
    return raw.map((element, index) => toTypedValue(of, element, view, [...path, index]))
  }
  if (!isRawObject(raw)) return raw
  if (type.kind === 'object') return toTyped(type.fields, raw, view, path)
  const of = elementOf(type)
  return objectOf(
    Object.entries(raw).map(([key, element]) => [key, toTypedValue(of, element, view, [...path, key])] as const),
  )
}

function toTypedNumber(type: ValueType, raw: ExactNumber, path: AttributePath): number | bigint | string {
  const problem = numberProblem(type, raw)
  if (problem !== undefined) throw new ValueError(path, problem)
  if (type.kind === 'decimal') return decimalText(raw)
  if (type.kind === 'bigInteger') return BigInt(decimalText(raw))
  return typeof raw === 'number' ? raw : Number(raw.text)
}

/** Why a number is none of this type; undefined when it is. */
export function numberProblem(type: ValueType, raw: ExactNumber): string | undefined {
  if (typeof raw === 'number') return undefined
  const isWhole = !raw.text.includes('.')
  if (type.kind === 'integer') return isWhole ? 'it is beyond 2^53' : 'it is not a whole number'
  if (type.kind === 'bigInteger') return isWhole ? undefined : 'it is not a whole number'
  if (type.kind === 'number' && !Number.isFinite(Number(raw.text))) return 'it is too large'
  return undefined
}

const elementOf = (type: ValueType): ValueType => {
  if (type.kind === 'list' || type.kind === 'set' || type.kind === 'map') return type.of.type
  throw new Error(`BUG: a ${type.kind} has no elements`)
}

/** What may be in what a provider answers with. */
export type Admission = {
  /** A plan may be unknown in part. */
  readonly admitsUnknown: boolean
  /** What was begun and failed need not be whole. */
  readonly admitsMissing: boolean
}

const admitsNeither: Admission = { admitsUnknown: false, admitsMissing: false }

/** Names that the schema doesn't have are passed over. Throws a ValueError that names what is wrong. */
export function fromTyped(
  fields: Fields,
  typed: object,
  admission = admitsNeither,
  path: AttributePath = [],
): RawObject {
  const values: TypedObject = { ...typed }
  return objectOf(
    Object.entries(fields).map(([name, attribute]) => {
      const value = Object.hasOwn(values, name) ? values[name] : null
      return [name, fromTypedField(attribute, value, admission, [...path, name])] as const
    }),
  )
}

function fromTypedField(attribute: Attribute, value: unknown, admission: Admission, path: AttributePath): Raw {
  // Write-only values are in no state, and the user's timeouts are carried from the plan.
  if (attribute.writeOnly || attribute.timeouts !== null) return null
  const isAbsent = value === null || value === undefined
  if (!isAbsent) return fromTypedValue(attribute.type, value, admission, path)
  if (attribute.presence === 'blocks') return []
  if (attribute.presence === 'optional' || attribute.nullable || admission.admitsMissing || admission.admitsUnknown) {
    return null
  }
  throw new ValueError(path, 'it is missing')
}

export function fromTypedValue(
  type: ValueType,
  value: unknown,
  admission: Admission = admitsNeither,
  path: AttributePath = [],
): Raw {
  if (value === unknown && admission.admitsUnknown) return unknown
  switch (type.kind) {
    case 'string':
      if (typeof value === 'string') return value
      break
    case 'bool':
      if (typeof value === 'boolean') return value
      break
    case 'number':
    case 'integer':
    case 'bigInteger':
    case 'decimal': {
      const exact = fromTypedNumber(type, value)
      if (exact !== undefined) return exact
      break
    }
    case 'list':
    case 'set':
      if (Array.isArray(value)) {
        return value.map((element, index) => fromTypedValue(type.of.type, element, admission, [...path, index]))
      }
      break
    case 'map':
      if (isObject(value)) {
        return mapObject(value as RawObject, (element, key) =>
          fromTypedValue(type.of.type, element, admission, [...path, key]),
        )
      }
      break
    case 'object':
      if (isObject(value)) return fromTyped(type.fields, value, admission, path)
      break
    default:
      return type satisfies never
  }
  const what = value === unknown ? 'unknown' : value === null || value === undefined ? 'nothing' : `a ${typeof value}`
  throw new ValueError(path, `${nouns[type.kind]} belongs here, and not ${what}`)
}

function fromTypedNumber(type: ValueType, value: unknown): ExactNumber | undefined {
  const isFitting =
    type.kind === 'decimal'
      ? typeof value === 'string'
      : type.kind === 'bigInteger'
        ? typeof value === 'bigint'
        : typeof value === 'number'
  if (!isFitting) return undefined
  const exact = typeof value === 'string' ? parseDecimal(value) : decimalOf(value as number | bigint)
  return exact === undefined || numberProblem(type, exact) !== undefined ? undefined : exact
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
