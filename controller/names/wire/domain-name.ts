/**
 * Domain names as they travel (RFC 1035, 4.1.4), and as text: lower case, without the dot of the root, bytes that are no
 * letters, digits, hyphens, underscores or asterisks as `\DDD`. Pure.
 */

import { WireFault } from './wire-fault.ts'

export const labelBytesMaximum = 63
/** As it travels, with the lengths of its labels and the root. */
export const nameBytesMaximum = 255

/** @example encodeName('web.shop.example') // 03 'web' 04 'shop' 07 'example' 00 */
export function encodeName(name: string): Uint8Array {
  const labels = splitLabels(name)
  const bytes: number[] = []
  for (const label of labels) {
    if (label.length === 0 || label.length > labelBytesMaximum) throw new WireFault(`'${name}' is no domain name`)
    bytes.push(label.length, ...label)
  }
  bytes.push(0)
  if (bytes.length > nameBytesMaximum) throw new WireFault(`'${name}' is longer than a domain name can be`)
  return Uint8Array.from(bytes)
}

/** Reads the name at `offset` of a whole message; `next` is where what follows it begins. */
export function decodeName(message: Uint8Array, offset: number): { readonly name: string; readonly next: number } {
  const labels: string[] = []
  let at = offset
  let next: number | null = null
  let bytes = 1
  // A pointer must lead back, so that every chain of them ends.
  let leadsBefore = offset
  for (;;) {
    const length = message[at]
    if (length === undefined) throw new WireFault('a name ends beyond the message')
    if (length === 0) return { name: labels.join('.'), next: next ?? at + 1 }
    if (length >= 0xc0) {
      const low = message[at + 1]
      if (low === undefined) throw new WireFault('a name ends beyond the message')
      const target = ((length & 0x3f) << 8) | low
      if (target >= leadsBefore) throw new WireFault('a name points at what does not come before it')
      next ??= at + 2
      leadsBefore = target
      at = target
      continue
    }
    if (length > labelBytesMaximum) throw new WireFault('a name has a label of an unknown kind')
    const label = message.subarray(at + 1, at + 1 + length)
    bytes += 1 + length
    if (label.length < length || bytes > nameBytesMaximum) throw new WireFault('a name is too long')
    labels.push(describeLabel(label))
    at += 1 + length
  }
}

const plain = /[a-z0-9_*-]/

function describeLabel(label: Uint8Array): string {
  let text = ''
  for (const byte of label) {
    const character = String.fromCharCode(byte).toLowerCase()
    text += byte < 0x80 && plain.test(character) ? character : `\\${String(byte).padStart(3, '0')}`
  }
  return text
}

function splitLabels(name: string): number[][] {
  if (name === '') return []
  const labels: number[][] = [[]]
  for (let i = 0; i < name.length; i++) {
    const character = name.charAt(i)
    if (character === '.') labels.push([])
    else if (character === '\\') {
      const byte = Number(/^\d{3}/.exec(name.slice(i + 1))?.[0] ?? Number.NaN)
      if (!(byte <= 0xff)) throw new WireFault(`'${name}' is no domain name`)
      labels.at(-1)?.push(byte)
      i += 3
    } else {
      const lower = character.toLowerCase()
      if (!plain.test(lower)) throw new WireFault(`'${name}' is no domain name`)
      labels.at(-1)?.push(lower.charCodeAt(0))
    }
  }
  return labels
}
