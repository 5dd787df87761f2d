/**
 * Raw values to and from the wire: MessagePack, and JSON in states. It alone knows how either writes a value. What is
 * malformed is a ValueError, whatever the bytes are.
 */

import { decode, ExtData, ExtensionCodec, encode } from '@msgpack/msgpack'
import type { Attribute, Fields, ValueType } from '../attributes.ts'
import { type AttributePath, ProviderError } from '../diagnostics.ts'
import { toSnakeCase } from '../names.ts'
import { unknown } from '../unknown.ts'
import { Decimal, decimalOf, type ExactNumber, exactDecimalOf, parseDecimal } from './decimal.ts'
import { fieldsOf, isRawList, isRawObject, objectOf, type Raw, type RawObject, ValueError } from './raw.ts'

/** One of them, the other empty or left out. */
type DynamicValue = { readonly msgpack: Uint8Array; readonly json?: Uint8Array }

/** Deeper than any schema; bounds what nested brackets can make of a few bytes. */
const depthMaximum = 64

/** Any extension is an unknown value, whatever it says about it. */
const extensions = new ExtensionCodec()
for (let type = 0; type < 128; type += 1) extensions.register({ type, encode: () => null, decode: () => unknown })

/**
 * A state of an older version may have what the schema has no more. MessagePack has floats that are exactly what was
 * meant, while 0.1 in JSON is 0.1 and not the float next to it.
 */
type Reading = {
  readonly unknownNames: 'refuse' | 'drop'
  readonly toExact: (float: number) => ExactNumber | undefined
}

/** Null when there is no object, as before creation and after deletion. */
export function decodeObject(fields: Fields, value: DynamicValue | undefined): RawObject | null {
  const raw = decodeValue(objectType(fields), value)
  if (raw === null) return null
  if (!isRawObject(raw)) throw new ValueError([], 'the whole object is not known')
  return raw
}

export const objectType = (fields: Fields): ValueType => ({ kind: 'object', fields, rules: [] })

export function decodeValue(type: ValueType, value: DynamicValue | undefined): Raw {
  const json = value?.json ?? new Uint8Array()
  if (value === undefined || (value.msgpack.length === 0 && json.length === 0)) return null
  const isPacked = value.msgpack.length > 0
  const written = isPacked ? readMessagePack(value.msgpack) : readJson(json)
  return toRaw(type, written, [], { unknownNames: 'refuse', toExact: isPacked ? exactDecimalOf : decimalOf })
}

/** Of a state's JSON, parsed. */
export const fromJson = (fields: Fields, state: unknown): RawObject => {
  const raw = toRaw(objectType(fields), state, [], { unknownNames: 'drop', toExact: decimalOf })
  if (!isRawObject(raw)) throw new ValueError([], 'a state is an object')
  return raw
}

function readMessagePack(bytes: Uint8Array): unknown {
  try {
    return decode(bytes, {
      extensionCodec: extensions,
      useBigInt64: true,
      mapKeyConverter: (key) => {
        if (typeof key !== 'string') throw new Error('a map has a key that is no text')
        return key
      },
    })
  } catch (error) {
    throw malformed('MessagePack', error)
  }
}

/** Numbers keep their digits. */
export function readJson(bytes: Uint8Array): unknown {
  const text = new TextDecoder().decode(bytes)
  try {
    return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) =>
      typeof value === 'number' ? (parseDecimal(context?.source ?? String(value)) ?? value) : value,
    )
  } catch (error) {
    throw malformed('JSON', error)
  }
}

const malformed = (format: string, error: unknown) =>
  new ProviderError(`A value is not well-formed ${format}`, {
    detail: `It was cut off or garbled on its way: ${error instanceof Error ? error.message : String(error)}`,
    cause: error,
  })

function toRaw(type: ValueType, written: unknown, path: AttributePath, reading: Reading): Raw {
  if (written === null || written === undefined) return null
  if (written === unknown) return unknown
  if (path.length > depthMaximum) throw new ValueError(path, 'it is nested too deeply')
  switch (type.kind) {
    case 'string':
      if (typeof written === 'string') return written
      break
    case 'bool':
      if (typeof written === 'boolean') return written
      break
    case 'number':
    case 'integer':
    case 'bigInteger':
    case 'decimal': {
      const exact = toNumber(written, reading)
      if (exact !== undefined) return exact
      break
    }
    case 'list':
    case 'set':
      if (Array.isArray(written)) {
        return written.map((element, index) => toRaw(type.of.type, element, [...path, index], reading))
      }
      break
    case 'map':
      if (isPlain(written)) {
        return objectOf(
          Object.entries(written).map(
            ([key, element]) => [key, toRaw(type.of.type, element, [...path, key], reading)] as const,
          ),
        )
      }
      break
    case 'object':
      if (isPlain(written)) return toRawObject(type.fields, written, path, reading)
      break
    default:
      return type satisfies never
  }
  throw new ValueError(path, `${nouns[type.kind]} belongs here, and not ${nameOf(written)}`)
}

export const nouns: Readonly<Record<ValueType['kind'], string>> = {
  string: 'text',
  bool: 'true or false',
  number: 'a number',
  integer: 'a whole number',
  bigInteger: 'a whole number',
  decimal: 'a number',
  list: 'a list',
  set: 'a set',
  map: 'a map',
  object: 'an object',
}

function toRawObject(
  fields: Fields,
  written: Record<string, unknown>,
  path: AttributePath,
  reading: Reading,
): RawObject {
  const names = new Map(Object.keys(fields).map((name) => [toSnakeCase(name), name]))
  const strange = Object.keys(written).find((key) => !names.has(key))
  if (strange !== undefined && reading.unknownNames === 'refuse') {
    throw new ValueError(path, `the schema has no ${JSON.stringify(strange)}`)
  }
  return fieldsOf(fields, null, (attribute, _value, name) => {
    const key = toSnakeCase(name)
    const value = Object.hasOwn(written, key) ? written[key] : null
    // Blocks are never null: a state of before the block was in the schema has none.
    if (attribute.presence === 'blocks' && (value === null || value === undefined)) return []
    return toRaw(attribute.type, value, [...path, name], reading)
  })
}

function toNumber(written: unknown, { toExact }: Reading) {
  if (written instanceof Decimal) return written
  if (typeof written === 'bigint') return parseDecimal(String(written))
  if (typeof written === 'number') return toExact(written)
  return typeof written === 'string' ? parseDecimal(written) : undefined
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)

function nameOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Uint8Array) return 'bytes'
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${JSON.stringify(String(value)).slice(0, 40)}`
}

/** Null is the absence of the whole object. */
export const encodeObject = (fields: Fields, raw: RawObject | null): { readonly msgpack: Uint8Array } =>
  encodeValue(objectType(fields), raw)

export const encodeValue = (type: ValueType, raw: Raw): { readonly msgpack: Uint8Array } => ({
  msgpack: encode(toWritten(type, raw), { extensionCodec: extensions }),
})

function toWritten(type: ValueType, raw: Raw): unknown {
  if (raw === null) return null
  if (raw === unknown) return new ExtData(0, Uint8Array.of(0))
  if (raw instanceof Decimal) return raw.text
  if (isRawList(raw)) return raw.map((element) => toWritten(elementType(type), element))
  if (!isRawObject(raw)) return typeof raw === 'string' ? raw.toWellFormed().normalize('NFC') : raw
  // A Map would be written as an object: null prototypes and own properties keep every key a key.
  const written: Record<string, unknown> = Object.create(null)
  for (const [name, value] of Object.entries(raw)) {
    const key = type.kind === 'object' ? toSnakeCase(name) : name.toWellFormed().normalize('NFC')
    written[key] = toWritten(type.kind === 'object' ? fieldType(type.fields, name) : elementType(type), value)
  }
  return written
}

function elementType(type: ValueType): ValueType {
  if (type.kind === 'list' || type.kind === 'set' || type.kind === 'map') return type.of.type
  throw new Error(`BUG: a ${type.kind} has no elements`)
}

function fieldType(fields: Fields, name: string): ValueType {
  const field: Attribute | undefined = fields[name]
  if (field === undefined) throw new Error(`BUG: ${name} is not in the schema`)
  return field.type
}
