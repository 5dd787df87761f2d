/**
 * Reads collectd's binary network protocol: an opened packet in, value lists and notifications out. All of a packet or
 * nothing of it, so that what broke off on its way never counts. Pure.
 */

import type { DataSourceKind } from '../points.ts'
import {
  headBytes,
  kindCodes,
  type Notification,
  partType,
  timeUnitsPerSecond,
  type ValueList,
} from './packet-parts.ts'

export interface PacketContents {
  readonly lists: readonly ValueList[]
  readonly notifications: readonly Notification[]
}

/** Undefined: it is no packet, or is cut off. Parts of unknown kinds are passed over, as the protocol has it. */
export function parsePacket(bytes: Uint8Array): PacketContents | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const said: Said = { ...nothingSaid }
  const lists: ValueList[] = []
  const notifications: Notification[] = []
  let at = 0
  while (at < buffer.length) {
    if (buffer.length - at < headBytes) return undefined
    const type = buffer.readUInt16BE(at)
    const end = at + buffer.readUInt16BE(at + 2)
    const start = at + headBytes
    if (end < start || end > buffer.length) return undefined
    switch (type) {
      case partType.values: {
        const list = readValues(buffer, start, end, said)
        if (list === undefined) return undefined
        lists.push(list)
        break
      }
      case partType.message: {
        const message = readText(buffer, start, end)
        if (message === undefined) return undefined
        notifications.push(describeNotification(said, message))
        break
      }
      // What protects a packet is around all of it, and has been taken off.
      case partType.signature:
      case partType.encryption:
        return undefined
      default:
        if (!learn(said, type, buffer, start, end)) return undefined
    }
    at = end
  }
  return { lists, notifications }
}

/** What holds for the values that follow, until it is said anew. */
interface Said {
  host: string
  plugin: string
  pluginInstance: string
  type: string
  typeInstance: string
  timeSeconds: number
  intervalSeconds: number
  severity: number
}

const nothingSaid: Said = {
  host: '',
  plugin: '',
  pluginInstance: '',
  type: '',
  typeInstance: '',
  timeSeconds: 0,
  intervalSeconds: 0,
  severity: 0,
}

/** False: the part is not as its kind must be. */
function learn(said: Said, type: number, buffer: Buffer, start: number, end: number): boolean {
  const name = nameOfPart(type)
  if (name !== undefined) {
    const text = readText(buffer, start, end)
    if (text === undefined) return false
    said[name] = text
    return true
  }
  const number = numberOfPart(type)
  if (number === undefined) return true
  if (end - start !== 8) return false
  said[number.name] = number.unitSeconds * (buffer.readUInt32BE(start) * 2 ** 32 + buffer.readUInt32BE(start + 4))
  return true
}

function nameOfPart(type: number) {
  switch (type) {
    case partType.host:
      return 'host'
    case partType.plugin:
      return 'plugin'
    case partType.pluginInstance:
      return 'pluginInstance'
    case partType.type:
      return 'type'
    case partType.typeInstance:
      return 'typeInstance'
    default:
      return undefined
  }
}

const wholeTime = { name: 'timeSeconds', unitSeconds: 1 } as const
const fineTime = { name: 'timeSeconds', unitSeconds: 1 / timeUnitsPerSecond } as const
const wholeInterval = { name: 'intervalSeconds', unitSeconds: 1 } as const
const fineInterval = { name: 'intervalSeconds', unitSeconds: 1 / timeUnitsPerSecond } as const
const severity = { name: 'severity', unitSeconds: 1 } as const

function numberOfPart(type: number) {
  switch (type) {
    case partType.time:
      return wholeTime
    case partType.timeHighResolution:
      return fineTime
    case partType.interval:
      return wholeInterval
    case partType.intervalHighResolution:
      return fineInterval
    case partType.severity:
      return severity
    default:
      return undefined
  }
}

/** It ends with a byte of zero, and has none before. */
function readText(buffer: Buffer, start: number, end: number): string | undefined {
  if (end <= start || buffer.indexOf(0, start) !== end - 1) return undefined
  return buffer.toString('utf8', start, end - 1)
}

const valueBytes = 8

/** How many there are, a byte for the kind of each, then eight for each. */
function readValues(buffer: Buffer, start: number, end: number, said: Said): ValueList | undefined {
  if (end - start < 2) return undefined
  const count = buffer.readUInt16BE(start)
  const first = start + 2 + count
  if (count === 0 || first + count * valueBytes !== end) return undefined
  const kinds: DataSourceKind[] = []
  const values: number[] = []
  for (let index = 0; index < count; index += 1) {
    const kind = kindCodes[buffer[start + 2 + index] ?? -1]
    if (kind === undefined) return undefined
    kinds.push(kind)
    values.push(readValue(buffer, first + index * valueBytes, kind))
  }
  return {
    host: said.host,
    plugin: said.plugin,
    pluginInstance: said.pluginInstance,
    type: said.type,
    typeInstance: said.typeInstance,
    timeSeconds: said.timeSeconds,
    intervalSeconds: said.intervalSeconds,
    values,
    kinds,
  }
}

/** Whole numbers come with their high bytes first, gauges the other way round. Above 2^53 the last digits are lost. */
function readValue(buffer: Buffer, at: number, kind: DataSourceKind): number {
  switch (kind) {
    case 'GAUGE':
      return buffer.readDoubleLE(at)
    case 'DERIVE':
      return buffer.readInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4)
    case 'COUNTER':
    case 'ABSOLUTE':
      return buffer.readUInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4)
    default:
      return kind satisfies never
  }
}

function describeNotification(said: Said, message: string): Notification {
  const { intervalSeconds: _, ...rest } = said
  return { ...rest, message }
}
