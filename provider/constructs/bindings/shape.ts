/**
 * How what a construct is given becomes what Terraform reads: names in snake case, nested objects converted, keys of maps
 * and tokens left as they are. The generated bindings hold the shapes; this alone walks them. Pure.
 */

import * as cdktf from 'cdktf'

export type Shape =
  | { readonly kind: 'string' | 'number' | 'bool' }
  | { readonly kind: 'list' | 'map'; readonly of: Shape }
  | { readonly kind: 'object'; readonly fields: Fields }
  /** A nested block and not an attribute: HCL writes it without an equals sign. */
  | { readonly kind: 'block'; readonly fields: Fields }

/** By Terraform's name; what is given has it in camel case. */
export type Fields = Readonly<Record<string, Shape>>

export const string: Shape = { kind: 'string' }
export const number: Shape = { kind: 'number' }
export const bool: Shape = { kind: 'bool' }
export const list = (of: Shape): Shape => ({ kind: 'list', of })
export const map = (of: Shape): Shape => ({ kind: 'map', of })
export const object = (fields: Fields): Shape => ({ kind: 'object', fields })
export const block = (fields: Fields): Shape => ({ kind: 'block', fields })

/** `member_port` → `memberPort`. */
export const camelCase = (name: string) => name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

/** The attributes as Terraform's JSON has them; what was not given is left out. */
export function attributesOf(fields: Fields, input: object): Record<string, unknown> {
  return collect(fields, input, convert)
}

/** The same for cdktf's own writer of HCL, which wants to be told the types. */
export function hclAttributesOf(fields: Fields, input: object): Record<string, unknown> {
  return collect(fields, input, describe)
}

function collect(fields: Fields, input: object, turn: (shape: Shape, value: unknown) => unknown) {
  const given = new Map<string, unknown>(Object.entries(input))
  const named = Object.entries(fields).map(([name, shape]) => [name, shape, given.get(camelCase(name))] as const)
  return Object.fromEntries(
    named.flatMap(([name, shape, value]) => (value === undefined ? [] : [[name, turn(shape, value)]])),
  )
}

function convert(shape: Shape, value: unknown): unknown {
  // A token stands for the whole: what it becomes has Terraform's names already.
  if (value === null || typeof value !== 'object' || cdktf.Tokenization.isResolvable(value)) return value
  switch (shape.kind) {
    case 'string':
    case 'number':
    case 'bool':
      return value
    case 'list':
      return cdktf.listMapper((one: unknown) => convert(shape.of, one), false)(value)
    case 'map':
      return cdktf.hashMapper((one: unknown) => convert(shape.of, one))(value)
    case 'object':
    case 'block':
      return attributesOf(shape.fields, value)
    default:
      return shape satisfies never
  }
}

function describe(shape: Shape, value: unknown): unknown {
  switch (shape.kind) {
    case 'string':
    case 'number':
      return { value, isBlock: false, type: 'simple', storageClassType: shape.kind }
    case 'bool':
      return { value, isBlock: false, type: 'simple', storageClassType: 'boolean' }
    case 'list':
    case 'map':
    case 'object':
      return { value: convert(shape, value), isBlock: false, type: 'any', storageClassType: 'any' }
    case 'block':
      return {
        value: isInspectable(value) ? hclAttributesOf(shape.fields, value) : value,
        isBlock: true,
        type: 'struct',
      }
    default:
      return shape satisfies never
  }
}

const isInspectable = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !cdktf.Tokenization.isResolvable(value)
