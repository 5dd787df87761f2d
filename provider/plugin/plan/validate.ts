/** What is wrong with a configuration, as far as that can be told offline. What is unknown yet is not wrong yet. */

import type { Attribute, Fields, ObjectType, ValueType } from '../attributes.ts'
import type { AttributePath, Diagnostic } from '../diagnostics.ts'
import { parseDuration } from '../durations.ts'
import type { Schema } from '../schema.ts'
import type { Rule } from '../validators.ts'
import { Decimal } from '../values/decimal.ts'
import { isKnown, isRawList, isRawObject, member, type Raw, type RawObject } from '../values/raw.ts'
import { numberProblem, toTyped, toTypedValue } from '../values/typed.ts'
import { showPath } from './path.ts'

/** What is to be said of an attribute: `says` completes the sentence that its path begins. */
type Finding = {
  readonly severity: 'error' | 'warning'
  readonly path: AttributePath
  readonly says: string
  readonly detail?: string
}

/** As an attribute of that name, which is what a parameter of a function is. */
export const validateArgument = (name: string, parameter: Attribute, raw: Raw): readonly Diagnostic[] =>
  validateConfig(
    { version: 0, description: '', deprecated: null, fields: { [name]: parameter }, rules: [] },
    { [name]: raw },
  )

export function validateConfig({ fields, rules }: Schema, config: RawObject): readonly Diagnostic[] {
  const findings = [...validateFields(fields, config, []), ...validateRules(fields, rules, config, [])]
  return findings.map(({ says, path, ...rest }) => ({
    summary: `${path.length === 0 ? 'It' : showPath(fields, path)} ${says}`,
    path,
    ...rest,
  }))
}

const validateFields = (fields: Fields, config: RawObject, above: AttributePath): Finding[] =>
  Object.entries(fields).flatMap(([name, attribute]) => {
    const raw = member(config, name)
    const path = [...above, name]
    const isSet = raw !== null && !(isRawList(raw) && raw.length === 0)
    const warnings =
      attribute.deprecated !== null && isSet
        ? [{ severity: 'warning' as const, path, says: 'is deprecated', detail: attribute.deprecated }]
        : []
    return [...warnings, ...validateValue(attribute, raw, path)]
  })

function validateValue(attribute: Attribute, raw: Raw, path: AttributePath): Finding[] {
  if (raw === null) return []
  const within = validateWithin(attribute.type, raw, path)
  if (within.some((one) => one.severity === 'error') || !isKnown(raw)) return within
  if (attribute.timeouts !== null) return validateTimeouts(raw, path)
  const own = problemOf(attribute.type, raw)
  if (own !== undefined) return [...within, mustNot(attribute, own, raw, path)]
  const typed = toTypedValue(attribute.type, raw, 'planned', path)
  const failed = attribute.validators.filter((validator) => !validator.holds(typed))
  return [...within, ...failed.map(({ must }) => mustNot(attribute, must, raw, path))]
}

/** What the type itself asks for. */
function problemOf(type: ValueType, raw: Raw): string | undefined {
  if (raw instanceof Decimal && numberProblem(type, raw) !== undefined) {
    return type.kind === 'number' ? 'be a number that a 64-bit float can hold' : 'be a whole number, of at most 2^53'
  }
  if (type.kind === 'string' && type.oneOf !== null && typeof raw === 'string' && !type.oneOf.includes(raw)) {
    return `be one of ${type.oneOf.map((choice) => JSON.stringify(choice)).join(', ')}`
  }
  return undefined
}

function validateWithin(type: ValueType, raw: Raw, path: AttributePath): Finding[] {
  switch (type.kind) {
    case 'object':
      return isRawObject(raw) ? validateObject(type, raw, path) : []
    case 'list':
    case 'set':
      return isRawList(raw) ? raw.flatMap((one, index) => validateElement(type.of, one, [...path, index])) : []
    case 'map':
      return isRawObject(raw)
        ? Object.keys(raw).flatMap((key) => validateElement(type.of, member(raw, key), [...path, key]))
        : []
    default:
      return []
  }
}

const validateObject = (type: ObjectType, raw: RawObject, path: AttributePath) => [
  ...validateFields(type.fields, raw, path),
  ...validateRules(type.fields, type.rules, raw, path),
]

const validateElement = (of: Attribute, raw: Raw, path: AttributePath): Finding[] =>
  raw === null
    ? [{ severity: 'error', path, says: 'must not be null', detail: 'Leave the element out instead.' }]
    : validateValue(of, raw, path)

function validateRules(fields: Fields, rules: readonly Rule[], raw: RawObject, path: AttributePath): Finding[] {
  if (rules.length === 0) return []
  const values = toTyped(fields, raw, 'planned', path)
  return rules
    .filter((rule) => !rule.holds(values))
    .map(({ must, attribute }) => ({
      severity: 'error',
      path: attribute === undefined ? path : [...path, attribute],
      says: `must ${must}`,
    }))
}

function validateTimeouts(raw: Raw, path: AttributePath): Finding[] {
  if (!isRawObject(raw)) return []
  return Object.entries(raw).flatMap(([operation, text]) =>
    typeof text !== 'string' || parseDuration(text) !== undefined
      ? []
      : [
          {
            severity: 'error',
            path: [...path, operation],
            says: 'must be a duration, such as "90s" or "1h30m"',
            detail: `It is ${JSON.stringify(text)}.`,
          },
        ],
  )
}

function mustNot(attribute: Attribute, must: string, raw: Raw, path: AttributePath): Finding {
  const isShown = !attribute.sensitive && !attribute.writeOnly && (typeof raw !== 'object' || raw instanceof Decimal)
  const value = raw instanceof Decimal ? raw.text : JSON.stringify(raw)
  return { severity: 'error', path, says: `must ${must}`, ...(isShown ? { detail: `It is ${value}.` } : {}) }
}
