/** Which changes of a plan need a new object, and the paths by which the CLI is told. */

import type { Attribute, Fields, ValueType } from '../attributes.ts'
import type { AttributePath } from '../diagnostics.ts'
import { areEqual, isRawList, isRawObject, member, type Raw, type RawObject } from '../values/raw.ts'
import { toTypedValue } from '../values/typed.ts'
import { changedFields } from './propose.ts'

/** Without an `update` there is nothing else to do with a change. */
export function findReplacing(
  fields: Fields,
  prior: RawObject,
  planned: RawObject,
  hasUpdate: boolean,
): readonly AttributePath[] {
  if (!hasUpdate) return changedFields(fields, prior, planned).map((name) => [name])
  return replacingFields(fields, prior, planned, [])
}

const replacingFields = (fields: Fields, prior: RawObject, planned: RawObject, above: AttributePath): AttributePath[] =>
  Object.entries(fields).flatMap(([name, attribute]) =>
    replacingField(attribute, member(prior, name), member(planned, name), [...above, name]),
  )

function replacingField(attribute: Attribute, before: Raw, after: Raw, path: AttributePath): AttributePath[] {
  if (areEqual(attribute.type, before, after)) return []
  if (attribute.requiresReplace && isReplacing(attribute, before, after)) return [path]
  return replacingWithin(attribute.type, before, after, path)
}

const isReplacing = (attribute: Attribute, before: Raw, after: Raw): boolean =>
  attribute.replaceWhen === undefined ||
  attribute.replaceWhen({
    prior: toTypedValue(attribute.type, before, 'planned'),
    planned: toTypedValue(attribute.type, after, 'planned'),
  })

/** Elements that were there before and are there still, by position or name. An element of a set has neither. */
function replacingWithin(type: ValueType, before: Raw, after: Raw, path: AttributePath): AttributePath[] {
  switch (type.kind) {
    case 'object':
      return isRawObject(before) && isRawObject(after) ? replacingFields(type.fields, before, after, path) : []
    case 'list':
      if (!isRawList(before) || !isRawList(after)) return []
      return after.flatMap((element, index) =>
        index < before.length ? replacingWithin(type.of.type, before[index] ?? null, element, [...path, index]) : [],
      )
    case 'map':
      if (!isRawObject(before) || !isRawObject(after)) return []
      return Object.keys(after).flatMap((key) =>
        replacingWithin(type.of.type, member(before, key), member(after, key), [...path, key]),
      )
    case 'set':
      return hasReplacing(type.of.type) ? [path] : []
    default:
      return []
  }
}

function hasReplacing(type: ValueType): boolean {
  if (type.kind === 'object') {
    return Object.values(type.fields).some((one) => one.requiresReplace || hasReplacing(one.type))
  }
  return type.kind === 'list' || type.kind === 'set' || type.kind === 'map' ? hasReplacing(type.of.type) : false
}
