/** What is in the records that names are made of: addresses, texts and a zone's serial. Pure. */

import { concatBytes, type ResourceRecord, types } from './message.ts'

const stringBytesMaximum = 255

/** @example encodeAddress('198.18.32.10') */
export const encodeAddress = (address: string): Uint8Array => Uint8Array.from(address.split('.').map(Number))

/** Null: it is no IPv4 address. */
export const decodeAddress = (data: Uint8Array): string | null => (data.length === 4 ? data.join('.') : null)

/** One string of a text record; of ASCII, at most 255 bytes. */
export function encodeText(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text)
  if (bytes.length > stringBytesMaximum) throw new Error(`BUG: a text of ${bytes.length} bytes`)
  return concatBytes([Uint8Array.of(bytes.length), bytes])
}

/** Null: it is not of one string. */
export function decodeText(data: Uint8Array): string | null {
  return data.length > 0 && data[0] === data.length - 1 ? new TextDecoder().decode(data.subarray(1)) : null
}

/** Null: it is no start of authority. */
export function serialOf({ type, data }: ResourceRecord): number | null {
  if (type !== types.soa || data.length < 22) return null
  return new DataView(data.buffer, data.byteOffset, data.byteLength).getUint32(data.length - 20)
}
