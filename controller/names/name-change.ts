/**
 * A change of one name, and the update (RFC 2136) that makes it. It holds only where the name still is as it was seen, so
 * that of two controllers that race one is told, and nothing that is not ours is overwritten. Pure.
 */

import type { ObservedName } from './observed-zone.ts'
import { classes, emptyMessage, type Message, opcodes, type ResourceRecord, types } from './wire/message.ts'
import { encodeAddress, encodeText } from './wire/record-data.ts'

export interface NameChange {
  readonly dnsName: string
  /** As it was seen; null: nobody has it. */
  readonly before: ObservedName | null
  /** Null: what is ours goes. */
  readonly after: { readonly addresses: readonly string[]; readonly ttlSeconds: number; readonly text: string } | null
  /** Texts of ours that go. */
  readonly formerTexts: readonly string[]
}

/** An update of `zone`, still without an id and a signature. */
export function describeUpdate(zone: string, change: NameChange): Message {
  return {
    ...emptyMessage,
    opcode: opcodes.update,
    questions: [{ name: zone, type: types.soa, class: classes.in }],
    answers: listPrerequisites(change),
    authorities: listUpdates(change),
  }
}

const nothing = new Uint8Array()

function listPrerequisites({ dnsName: name, before }: NameChange): readonly ResourceRecord[] {
  if (before === null) return [{ name, type: types.any, class: classes.none, ttlSeconds: 0, data: nothing }]
  const addresses = before.addresses.map(encodeAddress)
  return [...requireExactly(name, types.a, addresses), ...requireExactly(name, types.txt, before.textData)]
}

/** The records of a type are these and no others. */
function requireExactly(name: string, type: number, data: readonly Uint8Array[]): readonly ResourceRecord[] {
  if (data.length === 0) return [{ name, type, class: classes.none, ttlSeconds: 0, data: nothing }]
  return data.map((one) => ({ name, type, class: classes.in, ttlSeconds: 0, data: one }))
}

function listUpdates({ dnsName: name, before, after, formerTexts }: NameChange): readonly ResourceRecord[] {
  const hadAddresses = before !== null && before.addresses.length > 0
  const removed = [
    ...(hadAddresses ? [{ name, type: types.a, class: classes.any, ttlSeconds: 0, data: nothing }] : []),
    ...formerTexts.map((text) => ({
      name,
      type: types.txt,
      class: classes.none,
      ttlSeconds: 0,
      data: encodeText(text),
    })),
  ]
  if (after === null) return removed
  const add = (type: number, data: Uint8Array) => ({
    name,
    type,
    class: classes.in,
    ttlSeconds: after.ttlSeconds,
    data,
  })
  const isMarked = before?.texts.includes(after.text) === true
  return [
    ...removed,
    ...(isMarked ? [] : [add(types.txt, encodeText(after.text))]),
    ...after.addresses.map((address) => add(types.a, encodeAddress(address))),
  ]
}

/** The name as it is once the change is made; null: nobody has it. */
export function applyChange({ before, after, formerTexts }: NameChange): ObservedName | null {
  const former = new Set(formerTexts.map((text) => describeBytes(encodeText(text))))
  const kept = (before?.textData ?? []).filter((data) => !former.has(describeBytes(data)))
  const own = after !== null && before?.texts.includes(after.text) !== true ? [encodeText(after.text)] : []
  const textData = [...kept, ...own]
  const texts = [
    ...(before?.texts ?? []).filter((text) => !formerTexts.includes(text)),
    ...(own.length === 0 || after === null ? [] : [after.text]),
  ]
  const hasOthers = before?.hasOthers === true
  if (after === null && textData.length === 0 && !hasOthers) return null
  return {
    addresses: (after?.addresses ?? []).toSorted(),
    ttlSeconds: after?.ttlSeconds ?? null,
    textData,
    texts,
    hasOthers,
  }
}

const describeBytes = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
