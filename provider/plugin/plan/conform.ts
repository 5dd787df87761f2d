/**
 * Whether a value keeps what was promised: a plan what the user configured, a new state what was planned. The CLI checks
 * the same and blames the provider in words that help nobody; here it is found first and said by attribute.
 */

import type { Fields, ValueType } from '../attributes.ts'
import type { AttributePath } from '../diagnostics.ts'
import { toSnakeCase } from '../names.ts'
import { unknown } from '../unknown.ts'
import { Decimal, decimalText } from '../values/decimal.ts'
import { areEqual, isRawList, isRawObject, keyOf, member, type Raw, type RawObject } from '../values/raw.ts'

export type Broken = { readonly path: AttributePath; readonly promised: string; readonly actual: string }

/** What of a new state is not as it was planned. What was unknown may be anything. */
export const findUnkept = (fields: Fields, planned: RawObject, actual: RawObject): readonly Broken[] =>
  unkeptFields(fields, planned, actual, [], 'planned')

/** What of a plan is not as it was configured. What was not configured may be anything that isn't the user's to say. */
export const findOverruled = (fields: Fields, config: RawObject, planned: RawObject): readonly Broken[] =>
  unkeptFields(fields, config, planned, [], 'configured')

type Promised = 'planned' | 'configured'

const unkeptFields = (
  fields: Fields,
  promised: RawObject,
  actual: RawObject,
  above: AttributePath,
  what: Promised,
): Broken[] =>
  Object.entries(fields).flatMap(([name, attribute]) => {
    if (attribute.writeOnly) return []
    const one: Raw = member(promised, name)
    const other: Raw = member(actual, name)
    const isDecided = ['computed', 'optionalComputed', 'defaulted'].includes(attribute.presence)
    if (what === 'configured' && one === null && isDecided) return []
    const broken = unkept(attribute.type, one, other, [...above, name], what)
    return attribute.sensitive ? broken.map(hideValues) : broken
  })

const hideValues = ({ path }: Broken): Broken => ({ path, promised: '(sensitive)', actual: '(sensitive)' })

function unkept(type: ValueType, promised: Raw, actual: Raw, path: AttributePath, what: Promised): Broken[] {
  if (promised === unknown && what === 'planned') return []
  const broken = [{ path, promised: shown(promised, type), actual: shown(actual, type) }]
  if (type.kind === 'object' && isRawObject(promised) && isRawObject(actual)) {
    return unkeptFields(type.fields, promised, actual, path, what)
  }
  if (type.kind === 'list' && isRawList(promised) && isRawList(actual)) {
    if (promised.length !== actual.length) return broken
    return promised.flatMap((one, index) => unkept(type.of.type, one, actual[index] ?? null, [...path, index], what))
  }
  if (type.kind === 'map' && isRawObject(promised) && isRawObject(actual)) {
    const names = (of: RawObject) => Object.keys(of).toSorted().join('\n')
    if (names(promised) !== names(actual)) return broken
    return Object.keys(promised).flatMap((key) =>
      unkept(type.of.type, member(promised, key), member(actual, key), [...path, key], what),
    )
  }
  if (type.kind === 'set' && isRawList(promised) && isRawList(actual)) {
    return isKeptSet(type.of.type, promised, actual, what) ? [] : broken
  }
  return areEqual(type, promised, actual) ? [] : broken
}

/** Each promised element is there, and nothing else. What is unknown within may make two elements one. */
function isKeptSet(of: ValueType, promised: readonly Raw[], actual: readonly Raw[], what: Promised): boolean {
  if (new Set(promised.map((one) => keyOf(of, one))).size < new Set(actual.map((one) => keyOf(of, one))).size)
    return false
  const isKept = (one: Raw, other: Raw) => unkept(of, one, other, [], what).length === 0
  return (
    promised.every((one) => actual.some((other) => isKept(one, other))) &&
    actual.every((other) => promised.some((one) => isKept(one, other)))
  )
}

const lengthShown = 200

function shown(raw: Raw, type: ValueType): string {
  const text = JSON.stringify(plain(raw, type))
  return text.length > lengthShown ? `${text.slice(0, lengthShown)}…` : text
}

/** As JSON can show it, and without secrets. */
function plain(raw: Raw, type: ValueType): unknown {
  if (raw === unknown) return '(known after apply)'
  if (raw instanceof Decimal) return Number(decimalText(raw))
  if (isRawList(raw))
    return type.kind === 'list' || type.kind === 'set' ? raw.map((one) => plain(one, type.of.type)) : []
  if (!isRawObject(raw)) return raw
  return Object.fromEntries(
    Object.entries(raw).map(([name, value]) => {
      if (type.kind === 'map') return [name, plain(value, type.of.type)]
      const field = type.kind === 'object' ? type.fields[name] : undefined
      if (field === undefined) return [name, null]
      return [toSnakeCase(name), field.sensitive ? '(sensitive)' : plain(value, field.type)]
    }),
  )
}
