/** A zone as its server has it: by name, what is there. Pure: records in, a zone out. */

import { classes, type ResourceRecord, types } from './wire/message.ts'
import { decodeAddress, decodeText, serialOf } from './wire/record-data.ts'

export interface ObservedName {
  readonly addresses: readonly string[]
  readonly ttlSeconds: number | null
  /** All of its texts, whoever wrote them, as they travel. */
  readonly textData: readonly Uint8Array[]
  /** Those of them that are of one string. */
  readonly texts: readonly string[]
  /** Something else is there too, as a mail exchange or an IPv6 address. */
  readonly hasOthers: boolean
}

export interface ObservedZone {
  readonly serial: number
  readonly names: ReadonlyMap<string, ObservedName>
}

/** What a signer of zones puts beside whatever is there. */
const ofDnssec: ReadonlySet<number> = new Set([types.rrsig, types.nsec, types.nsec3])

/** @param records of a transfer, which begins and ends with the start of authority; null: it is not whole */
export function readZone(zone: string, records: readonly ResourceRecord[]): ObservedZone | null {
  const [first] = records
  const serial = first === undefined ? null : serialOf(first)
  if (serial === null || first?.name !== zone || records.length < 2) return null
  const byName = new Map<string, ResourceRecord[]>()
  for (const record of records) {
    if (record.class !== classes.in || ofDnssec.has(record.type) || record.type === types.soa) continue
    if (record.name !== zone && !record.name.endsWith(`.${zone}`)) continue
    const known = byName.get(record.name)
    if (known === undefined) byName.set(record.name, [record])
    else known.push(record)
  }
  return { serial, names: new Map([...byName].map(([name, own]) => [name, describeName(own)])) }
}

export function describeName(records: readonly ResourceRecord[]): ObservedName {
  const addresses = records.filter(({ type }) => type === types.a)
  const textData = records.filter(({ type }) => type === types.txt).map(({ data }) => data)
  return {
    addresses: addresses.flatMap(({ data }) => decodeAddress(data) ?? []).toSorted(),
    ttlSeconds: addresses[0]?.ttlSeconds ?? null,
    textData,
    texts: textData.flatMap((data) => decodeText(data) ?? []),
    hasOthers: records.some(({ type }) => type !== types.a && type !== types.txt),
  }
}
