/** What a configured value must be, told without asking anybody: each validator says it in words, for messages and documentation. */

import { toSnakeCase } from './names.ts'
import { isUnknown } from './unknown.ts'

/** `must` completes the sentence "port must …". A validator never sees null or anything unknown. */
export type Validator<Value = unknown> = {
  readonly must: string
  /** Declared as a method so that a validator of strings is one of a string attribute, whatever else is stored with it. */
  holds(value: Value): boolean
}

/** @example `string({ required: true, validators: [validator('be in upper case', (text) => text === text.toUpperCase())] })` */
export const validator = <Value>(must: string, holds: (value: Value) => boolean): Validator<Value> => ({ must, holds })

/** Both ends belong to the range. */
export const between = (minimum: number, maximum: number) =>
  validator<number>(`be between ${minimum} and ${maximum}`, (value) => value >= minimum && value <= maximum)

export const atLeast = (minimum: number) => validator<number>(`be at least ${minimum}`, (value) => value >= minimum)

export const portNumber = () => validator<number>('be a port, 1 to 65535', (port) => port >= 1 && port <= 65_535)

/** The number of characters of a string. */
export const lengthBetween = (minimum: number, maximum: number) =>
  validator<string>(`have ${minimum} to ${maximum} characters`, (text) => {
    const characters = [...text].length
    return characters >= minimum && characters <= maximum
  })

/** @example `matches(/^[a-z][a-z0-9-]*$/, 'begin with a letter and have letters, digits and hyphens only')` */
export const matches = (pattern: RegExp, must: string) =>
  validator<string>(must, (text) => new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, '')).test(text))

/** The number of elements of a list, set or map. */
export const sizeBetween = (minimum: number, maximum: number) =>
  validator<readonly unknown[] | Readonly<Record<string, unknown>>>(
    `have ${minimum} to ${maximum} elements`,
    (elements) => {
      const size = Array.isArray(elements) ? elements.length : Object.keys(elements).length
      return size >= minimum && size <= maximum
    },
  )

/** What attributes of one object must be together. The values are null when absent and `unknown` when not known yet. */
export type Rule = {
  readonly must: string
  /** The attribute that a message points at; the object itself when there is none. */
  readonly attribute?: string
  holds(values: Readonly<Record<string, unknown>>): boolean
}

/** As the user writes them. */
const listed = (names: readonly string[]) => names.map(toSnakeCase).join(', ')

const setAmong = (names: readonly string[], values: Readonly<Record<string, unknown>>) => {
  const present = names.map((name) => values[name]).filter((value) => value !== null && value !== undefined)
  const unknowns = present.filter(isUnknown).length
  return { known: present.length - unknowns, unknowns }
}

/** @example `object({ machineId: …, address: … }, { required: true, rules: [exactlyOneOf('machineId', 'address')] })` */
export const exactlyOneOf = (...names: readonly string[]): Rule => ({
  must: `have exactly one of ${listed(names)}`,
  holds: (values) => {
    const { known, unknowns } = setAmong(names, values)
    // What is not known yet may still turn out to be absent.
    return known <= 1 && known + unknowns >= 1
  },
})

export const atMostOneOf = (...names: readonly string[]): Rule => ({
  must: `have at most one of ${listed(names)}`,
  holds: (values) => setAmong(names, values).known <= 1,
})

export const atLeastOneOf = (...names: readonly string[]): Rule => ({
  must: `have at least one of ${listed(names)}`,
  holds: (values) => {
    const { known, unknowns } = setAmong(names, values)
    return known + unknowns >= 1
  },
})

export const allOrNone = (...names: readonly string[]): Rule => ({
  must: `have all of ${listed(names)} or none`,
  holds: (values) => {
    const { known, unknowns } = setAmong(names, values)
    return known === 0 || known + unknowns === names.length
  },
})
