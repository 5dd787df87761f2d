/**
 * Protocol Buffers (proto3) for messages that are declared as data: their types are inferred, and there is nothing to
 * generate or to load. It alone knows tags and varints.
 *
 * @example
 * ```ts
 * const greeting = message({ text: one(1, 'string'), tags: many(2, 'string') })
 * decodeMessage(greeting, encodeMessage(greeting, { text: 'hello' })) // { text: 'hello', tags: [] }
 * ```
 */

/** `integer` is int32, int64, uint32 and any enumeration. */
type Scalar = 'string' | 'bytes' | 'bool' | 'integer'
type FieldType = Scalar | Message
type Label = 'one' | 'optional' | 'many' | 'map'
type Field = { readonly number: number; readonly label: Label; readonly type: FieldType }
export type Message = {
  readonly fields: Readonly<Record<string, Field>>
  readonly byNumber: ReadonlyMap<number, readonly [string, Field]>
}

type Labelled<L extends Label, T extends FieldType> = { readonly number: number; readonly label: L; readonly type: T }

/** Present always: what is not on the wire is empty, zero or false. For scalars. */
export const one = <T extends Scalar>(number: number, type: T): Labelled<'one', T> => ({ number, label: 'one', type })
/** Undefined when it is not on the wire; written even when empty or zero. For messages, `optional` and `oneof`. */
export const optional = <T extends FieldType>(number: number, type: T): Labelled<'optional', T> => ({
  number,
  label: 'optional',
  type,
})
export const many = <T extends FieldType>(number: number, type: T): Labelled<'many', T> => ({
  number,
  label: 'many',
  type,
})
/** By strings. */
export const mapOf = <T extends FieldType>(number: number, type: T): Labelled<'map', T> => ({
  number,
  label: 'map',
  type,
})

export function message<const F extends Readonly<Record<string, Field>>>(fields: F) {
  const byNumber = new Map(Object.entries(fields).map((entry) => [entry[1].number, entry] as const))
  return { fields, byNumber }
}

type TypeOf<T extends FieldType> = T extends 'string'
  ? string
  : T extends 'bytes'
    ? Uint8Array
    : T extends 'bool'
      ? boolean
      : T extends 'integer'
        ? number
        : T extends Message
          ? Decoded<T>
          : never

type DecodedField<F extends Field> = F['label'] extends 'many'
  ? readonly TypeOf<F['type']>[]
  : F['label'] extends 'map'
    ? Readonly<Record<string, TypeOf<F['type']>>>
    : F['label'] extends 'optional'
      ? TypeOf<F['type']> | undefined
      : TypeOf<F['type']>

export type Decoded<M extends Message> = { readonly [K in keyof M['fields']]: DecodedField<M['fields'][K]> }

type InputOf<T extends FieldType> = T extends Message ? Encodable<T> : TypeOf<T>
type InputField<F extends Field> = F['label'] extends 'many'
  ? readonly InputOf<F['type']>[]
  : F['label'] extends 'map'
    ? Readonly<Record<string, InputOf<F['type']>>>
    : InputOf<F['type']>

/** Every field may be left out. */
export type Encodable<M extends Message> = {
  readonly [K in keyof M['fields']]?: InputField<M['fields'][K]> | undefined
}

const varintType = 0
const bytesType = 2
const bytesOfFixed = new Map([
  [1, 8],
  [5, 4],
])

export function encodeMessage<M extends Message>(type: M, value: Encodable<M>): Uint8Array {
  const parts: Uint8Array[] = []
  const values: Readonly<Record<string, unknown>> = value
  for (const [name, field] of Object.entries(type.fields)) {
    const given = values[name]
    if (given === undefined) continue
    for (const part of encodeField(field, given)) parts.push(part)
  }
  return Buffer.concat(parts)
}

const mapEntry = (type: FieldType) => message({ key: one(1, 'string'), value: optional(2, type) })

function encodeField({ number, label, type }: Field, value: unknown): Uint8Array[] {
  switch (label) {
    case 'one':
      return isDefault(value) ? [] : [encodeOne(number, type, value)]
    case 'optional':
      return [encodeOne(number, type, value)]
    case 'many':
      return (value as readonly unknown[]).map((element) => encodeOne(number, type, element))
    case 'map':
      return Object.entries(value as Readonly<Record<string, unknown>>).map(([key, element]) =>
        encodeOne(number, mapEntry(type), { key, value: element }),
      )
    default:
      return label satisfies never
  }
}

const isDefault = (value: unknown) =>
  value === '' || value === 0 || value === false || (value instanceof Uint8Array && value.length === 0)

function encodeOne(number: number, type: FieldType, value: unknown): Uint8Array {
  if (type === 'bool' || type === 'integer') {
    return Buffer.concat([varint(number * 8 + varintType), varint(Number(value))])
  }
  const content = contentOf(type, value)
  return Buffer.concat([varint(number * 8 + bytesType), varint(content.length), content])
}

function contentOf(type: 'string' | 'bytes' | Message, value: unknown): Uint8Array {
  if (type === 'string') return Buffer.from(String(value))
  if (type === 'bytes') return value as Uint8Array
  return encodeMessage(type, value as Encodable<Message>)
}

function varint(value: number): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value))
  const bytes: number[] = []
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}

/** Throws when the bytes are cut off or are not of this message; fields that it doesn't have are passed over. */
export function decodeMessage<M extends Message>(type: M, bytes: Uint8Array): Decoded<M> {
  const found: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(type.fields)) found[name] = initial(field)
  const reader = { bytes, at: 0 }
  while (reader.at < bytes.length) {
    const tag = readVarint(reader)
    const wireType = tag % 8
    const entry = type.byNumber.get(Math.floor(tag / 8))
    if (entry === undefined) skip(reader, wireType)
    else found[entry[0]] = merge(entry[1], found[entry[0]], reader, wireType)
  }
  return found as Decoded<M>
}

type Reader = { readonly bytes: Uint8Array; at: number }

function initial({ label, type }: Field): unknown {
  switch (label) {
    case 'many':
      return []
    case 'map':
      return {}
    case 'optional':
      return undefined
    case 'one':
      return type === 'string' ? '' : type === 'bool' ? false : type === 'integer' ? 0 : new Uint8Array()
    default:
      return label satisfies never
  }
}

function merge({ label, type }: Field, before: unknown, reader: Reader, wireType: number): unknown {
  if (label === 'map') {
    const { key, value } = readOne(mapEntry(type), reader, wireType) as { key: string; value: unknown }
    const element = value ?? initial({ number: 2, label: 'one', type })
    // Defined, not assigned, so that a key called __proto__ is a key like others.
    Object.defineProperty(before, key, { value: element, enumerable: true, configurable: true, writable: true })
    return before
  }
  if (label === 'many') {
    ;(before as unknown[]).push(readOne(type, reader, wireType))
    return before
  }
  return readOne(type, reader, wireType)
}

function readOne(type: FieldType, reader: Reader, wireType: number): unknown {
  const expected = type === 'bool' || type === 'integer' ? varintType : bytesType
  if (wireType !== expected) throw new Error(`malformed message: wire type ${wireType} where ${expected} belongs`)
  if (type === 'integer') return readVarint(reader)
  if (type === 'bool') return readVarint(reader) !== 0
  const content = readBytes(reader, readVarint(reader))
  if (type === 'bytes') return content
  if (type === 'string') return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content)
  return decodeMessage(type, content)
}

function skip(reader: Reader, wireType: number): void {
  if (wireType === varintType) readVarint(reader)
  else if (wireType === bytesType) readBytes(reader, readVarint(reader))
  else {
    const length = bytesOfFixed.get(wireType)
    if (length === undefined) throw new Error(`malformed message: there is no wire type ${wireType}`)
    readBytes(reader, length)
  }
}

function readBytes(reader: Reader, length: number): Uint8Array {
  if (length < 0 || length > reader.bytes.length - reader.at) {
    throw new Error('malformed message: it ends in the middle of a field')
  }
  reader.at += length
  return reader.bytes.subarray(reader.at - length, reader.at)
}

/** Signed, as int64 is; beyond 2^53 it is not exact, which no field of ours needs. */
function readVarint(reader: Reader): number {
  let value = 0n
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = reader.bytes[reader.at]
    if (byte === undefined) throw new Error('malformed message: it ends in the middle of a number')
    reader.at += 1
    value |= BigInt(byte & 0x7f) << shift
    if (byte < 0x80) return Number(BigInt.asIntN(64, value))
  }
  throw new Error('malformed message: a number has more than ten bytes')
}
