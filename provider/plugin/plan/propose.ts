/**
 * The plan of an object, before the resource has had its say: what the user configured, defaults, and what the provider
 * decided before or is to decide. A pure function of the configuration and the state.
 */

import type { Attribute, Fields, ValueType } from '../attributes.ts'
import { unknown } from '../unknown.ts'
import { fieldsOf, isRawList, isRawObject, keyOf, mapObject, member, type Raw, type RawObject } from '../values/raw.ts'
import { fromTypedValue } from '../values/typed.ts'

/** `keep`: as the provider decided before. `decide`: it decides again, but for what it never changes. */
type Computed = 'keep' | 'decide'

/**
 * Where nothing changes, nothing is unknown: so a second plan is empty. As soon as anything does, the provider may
 * decide anything else.
 */
export function proposeObject(fields: Fields, config: RawObject, prior: RawObject | null): RawObject {
  if (prior === null) return proposeFields(fields, config, null, 'decide')
  const kept = proposeFields(fields, config, prior, 'keep')
  return hasChanged(fields, prior, kept) ? proposeFields(fields, config, prior, 'decide') : kept
}

/** Timeouts aside: they change nothing of the object. */
export const hasChanged = (fields: Fields, prior: RawObject, planned: RawObject): boolean =>
  changedFields(fields, prior, planned).length > 0

export const changedFields = (fields: Fields, prior: RawObject, planned: RawObject): readonly string[] =>
  Object.entries(fields)
    .filter(([, attribute]) => attribute.timeouts === null)
    .filter(([name, { type }]) => {
      const before: Raw = member(prior, name)
      const after: Raw = member(planned, name)
      return before !== after && keyOf(type, before) !== keyOf(type, after)
    })
    .map(([name]) => name)

const proposeFields = (fields: Fields, config: RawObject, prior: RawObject | null, computed: Computed): RawObject =>
  fieldsOf(fields, config, (attribute, configured, name) =>
    proposeField(attribute, configured, prior === null ? undefined : member(prior, name), computed),
  )

/** `prior` is undefined where there was no object to have one. */
function proposeField(attribute: Attribute, configured: Raw, prior: Raw | undefined, computed: Computed): Raw {
  if (attribute.writeOnly) return null
  if (configured !== null) return proposeValue(attribute.type, configured, prior ?? null, computed)
  switch (attribute.presence) {
    case 'defaulted':
      return defaultOf(attribute)
    case 'computed':
    case 'optionalComputed':
      return prior !== undefined && (computed === 'keep' || attribute.useStateForUnknown) ? prior : unknown
    case 'required':
    case 'optional':
    case 'element':
      return null
    case 'blocks':
      return []
    default:
      return attribute.presence satisfies never
  }
}

export const defaultOf = ({ type, default: fallback }: Attribute): Raw => fromTypedValue(type, fallback)

/** Within what the user configured there may be attributes that the provider decides. */
function proposeValue(type: ValueType, configured: Raw, prior: Raw, computed: Computed): Raw {
  switch (type.kind) {
    case 'object':
      if (!isRawObject(configured)) return configured
      return proposeFields(type.fields, configured, isRawObject(prior) ? prior : null, computed)
    case 'list': {
      if (!isRawList(configured)) return configured
      const before = isRawList(prior) ? prior : []
      return configured.map((element, index) => proposeValue(type.of.type, element, before[index] ?? null, computed))
    }
    case 'map': {
      if (!isRawObject(configured)) return configured
      const before = isRawObject(prior) ? prior : null
      return mapObject(configured, (element, key) => proposeValue(type.of.type, element, member(before, key), computed))
    }
    case 'set':
      return isRawList(configured)
        ? proposeSet(type.of.type, configured, isRawList(prior) ? prior : [], computed)
        : configured
    case 'string':
    case 'number':
    case 'integer':
    case 'bigInteger':
    case 'decimal':
    case 'bool':
      return configured
    default:
      return type satisfies never
  }
}

/**
 * Elements of a set have no names: one goes on from a prior one that differs from it only in what the provider decides.
 * Those that say most choose first, since those that say little can go on from many.
 */
function proposeSet(
  of: ValueType,
  configured: readonly Raw[],
  prior: readonly Raw[],
  computed: Computed,
): readonly Raw[] {
  const candidates: ReadonlyMap<string, Raw[]> = Map.groupBy(prior, (element) => keyOf(of, userPart(of, element)))
  const proposed: Raw[] = []
  type Ordered = { readonly element: Raw; readonly index: number; readonly leaves: number }
  const order: Ordered[] = configured.map((element, index) => ({ element, index, leaves: countLeaves(element) }))
  for (const { element, index } of order.toSorted((one, other) => other.leaves - one.leaves)) {
    const similar = candidates.get(keyOf(of, userPart(of, element))) ?? []
    const same = similar.findIndex((one) => keyOf(of, proposeValue(of, element, one, 'keep')) === keyOf(of, one))
    const before: Raw = (same < 0 ? undefined : similar.splice(same, 1)[0]) ?? null
    proposed[index] = proposeValue(of, element, before, computed)
  }
  return proposed
}

/** Without what the provider may decide, and with defaults. */
function userPart(type: ValueType, value: Raw): Raw {
  if (isRawList(value))
    return type.kind === 'list' || type.kind === 'set' ? value.map((one) => userPart(type.of.type, one)) : value
  if (!isRawObject(value)) return value
  if (type.kind === 'map') return mapObject(value, (one) => userPart(type.of.type, one))
  if (type.kind !== 'object') return value
  return fieldsOf(type.fields, value, (attribute, part) => {
    const isDecided = attribute.presence === 'computed' || attribute.presence === 'optionalComputed'
    if (attribute.writeOnly || isDecided) return null
    return part === null && attribute.presence === 'defaulted' ? defaultOf(attribute) : userPart(attribute.type, part)
  })
}

function countLeaves(raw: Raw): number {
  if (raw === null) return 0
  if (isRawList(raw)) return raw.reduce<number>((sum, element) => sum + countLeaves(element), 0)
  return isRawObject(raw) ? Object.values(raw).reduce<number>((sum, element) => sum + countLeaves(element), 0) : 1
}
