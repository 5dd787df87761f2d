/** Writes collectd's binary network protocol: value lists in, packets out, none larger than collectd takes. Pure. */

import type { DataSourceKind } from '../points.ts'
import {
  headBytes,
  kindCodes,
  type Notification,
  packetBytesMaximum,
  partType,
  timeUnitsPerSecond,
  type ValueList,
} from './packet-parts.ts'

type Name = 'host' | 'plugin' | 'pluginInstance' | 'type' | 'typeInstance'
const names: readonly Name[] = ['host', 'plugin', 'pluginInstance', 'type', 'typeInstance']

/**
 * As few packets as it takes. Names that stay the same from list to list are said once a packet. `bytesMaximum` leaves room
 * for what a signature adds. A list that fits into no packet throws: names and values have limits that make it impossible.
 */
export function encodePackets(lists: readonly ValueList[], bytesMaximum = packetBytesMaximum): Buffer[] {
  const packets: Buffer[] = []
  let parts: Buffer[] = []
  let length = 0
  let before: ValueList | undefined
  for (const list of lists) {
    const change = encodeList(list, before)
    if (before !== undefined && length + change.length > bytesMaximum) {
      packets.push(Buffer.concat(parts))
      parts = []
      length = 0
      before = undefined
    }
    const encoded = before === undefined ? encodeList(list, undefined) : change
    if (encoded.length > bytesMaximum) throw new Error(`BUG: a value list takes ${encoded.length} bytes`)
    parts.push(encoded)
    length += encoded.length
    before = list
  }
  if (parts.length > 0) packets.push(Buffer.concat(parts))
  return packets
}

export function encodeNotification(notification: Notification): Buffer {
  return Buffer.concat([
    ...names.map((name) => encodeText(partType[name], notification[name])),
    encodeTime(partType.timeHighResolution, notification.timeSeconds),
    encodeNumber(partType.severity, BigInt(notification.severity)),
    encodeText(partType.message, notification.message),
  ])
}

/** What differs from the list before it in the same packet, then the values. */
function encodeList(list: ValueList, before: ValueList | undefined): Buffer {
  const parts: Buffer[] = []
  const isNew = (name: keyof ValueList) => before === undefined || before[name] !== list[name]
  for (const name of names) if (isNew(name)) parts.push(encodeText(partType[name], list[name]))
  if (isNew('timeSeconds')) parts.push(encodeTime(partType.timeHighResolution, list.timeSeconds))
  if (isNew('intervalSeconds')) parts.push(encodeTime(partType.intervalHighResolution, list.intervalSeconds))
  parts.push(encodeValues(list))
  return Buffer.concat(parts)
}

function encodePart(type: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(headBytes)
  head.writeUInt16BE(type, 0)
  head.writeUInt16BE(headBytes + payload.length, 2)
  return Buffer.concat([head, payload])
}

const encodeText = (type: number, text: string) => encodePart(type, Buffer.from(`${text}\0`, 'utf8'))

function encodeNumber(type: number, number: bigint): Buffer {
  const payload = Buffer.alloc(8)
  payload.writeBigUInt64BE(number)
  return encodePart(type, payload)
}

const encodeTime = (type: number, seconds: number) =>
  encodeNumber(type, BigInt(Math.round(seconds * timeUnitsPerSecond)))

function encodeValues({ values, kinds }: ValueList): Buffer {
  const payload = Buffer.alloc(2 + 9 * values.length)
  payload.writeUInt16BE(values.length, 0)
  for (const [index, value] of values.entries()) {
    const kind = kinds[index] ?? 'GAUGE'
    payload.writeUInt8(kindCodes.indexOf(kind), 2 + index)
    writeValue(payload, 2 + values.length + 8 * index, kind, value)
  }
  return encodePart(partType.values, payload)
}

/** A counter that is not known has no word on the wire; who sends one leaves its list out. */
function writeValue(payload: Buffer, at: number, kind: DataSourceKind, value: number): void {
  switch (kind) {
    case 'GAUGE':
      payload.writeDoubleLE(value, at)
      return
    case 'DERIVE':
      payload.writeBigInt64BE(BigInt.asIntN(64, BigInt(Math.round(value))), at)
      return
    case 'COUNTER':
    case 'ABSOLUTE':
      payload.writeBigUInt64BE(BigInt.asUintN(64, BigInt(Math.round(value))), at)
      return
    default:
      kind satisfies never
  }
}
