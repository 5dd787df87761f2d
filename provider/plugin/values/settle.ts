/**
 * Keeps the form of a value that has not changed: the order of a set, and the digits that the user wrote of a number
 * that a float can't hold. What an API answers with has lost both, and would look like a change.
 */

import type { Fields, ValueType } from '../attributes.ts'
import { Decimal } from './decimal.ts'
import { fieldsOf, isRawList, isRawObject, keyOf, mapObject, member, type Raw, type RawObject } from './raw.ts'

export const settleObject = (fields: Fields, before: RawObject | null, now: RawObject): RawObject =>
  fieldsOf(fields, now, (attribute, value, name) => settle(attribute.type, member(before, name), value))

/** `now`, written as `before` where it is the same. */
export function settle(type: ValueType, before: Raw, now: Raw): Raw {
  if (now instanceof Decimal || before instanceof Decimal) return settleNumber(type, before, now)
  if (isRawList(now)) {
    const known = isRawList(before) ? before : []
    if (type.kind === 'set') return settleSet(type.of.type, known, now)
    if (type.kind !== 'list') return now
    return now.map((element, index) => settle(type.of.type, known[index] ?? null, element))
  }
  if (!isRawObject(now)) return now
  const known = isRawObject(before) ? before : null
  if (type.kind === 'object') return settleObject(type.fields, known, now)
  return type.kind === 'map' ? mapObject(now, (element, key) => settle(type.of.type, member(known, key), element)) : now
}

/** A `number` was given to the resource as a float: the same float is the same number. */
function settleNumber(type: ValueType, before: Raw, now: Raw): Raw {
  if (type.kind !== 'number') return now
  const [one, other] = [floatOf(before), floatOf(now)]
  return one !== undefined && one === other ? before : now
}

const floatOf = (raw: Raw): number | undefined =>
  raw instanceof Decimal ? Number(raw.text) : typeof raw === 'number' ? raw : undefined

/** Each element once: first those that were there, in their order, then the others. */
function settleSet(of: ValueType, before: readonly Raw[], now: readonly Raw[]): readonly Raw[] {
  const rest = new Map<string, Raw>(now.map((element) => [looseKeyOf(of, element), element]))
  const kept: Raw[] = []
  for (const element of before) {
    const key = looseKeyOf(of, element)
    const same = rest.get(key)
    if (same === undefined) continue
    kept.push(settle(of, element, same))
    rest.delete(key)
  }
  return [...kept, ...rest.values()]
}

/** As `keyOf`, with numbers as the floats that a resource is given. */
const looseKeyOf = (of: ValueType, raw: Raw): string => keyOf(of, rounded(of, raw))

function rounded(type: ValueType, raw: Raw): Raw {
  if (raw instanceof Decimal) return type.kind === 'number' ? String(Number(raw.text)) : raw
  if (isRawList(raw)) {
    return type.kind === 'list' || type.kind === 'set' ? raw.map((element) => rounded(type.of.type, element)) : raw
  }
  if (!isRawObject(raw)) return raw
  if (type.kind === 'object') return fieldsOf(type.fields, raw, (attribute, value) => rounded(attribute.type, value))
  return type.kind === 'map' ? mapObject(raw, (element) => rounded(type.of.type, element)) : raw
}
