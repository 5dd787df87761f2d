/** What is gathered out of a stream of which messages are missing, as a slow reader finds it. */

import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createGathering, type Gathered } from './gather-transactions.ts'
import { encodeCarried, encodeCrate, encodeObject, objectSubject } from './message.ts'
import { createOwnWrites } from './own-writes.ts'

const place = { id: '1', epoch: 1 }
const carrier = { kind: 'shard', id: 'shd_1' }
const at = '2026-01-01T00:00:00.000Z'
const about = { shardKey: '0'.repeat(16), createdAt: at, updatedAt: at, actionIds: [] }
const lineOf = (version: number) => encodeCarried({ ...about, kind: 'lease', id: 'lse_1', version, value: { version } })

/** The carrier's message by which the carried object came to a version, with all since the last crate. */
function carrierMessage(version: number, lastInCrate: number) {
  const lines = Array.from({ length: version - lastInCrate }, (_, i) => lineOf(lastInCrate + i + 1))
  const object = { ...about, ...carrier, version, value: {} }
  const transaction = { id: `t${version}`, index: 0, count: 1 }
  const text = encodeObject(object, transaction, { cargo: { turn: version, lines }, fresh: 1 })
  return { subject: objectSubject(place, carrier.kind, carrier.id), sequence: 2 * version, data: Buffer.from(text) }
}

function crateMessage(from: number, to: number) {
  const lines = Array.from({ length: to - from + 1 }, (_, i) => lineOf(from + i))
  return { subject: 'ms.1.1.crate.shard.shd_1.c', sequence: 2 * to + 1, data: Buffer.from(encodeCrate(lines)) }
}

/** The versions of the carried object that watchers would be told, in their order. */
function createReader() {
  let known = 0
  const told: number[] = []
  return {
    told,
    read(transactions: readonly Gathered[]) {
      for (const { object, isNews } of transactions.flatMap(({ objects }) => objects)) {
        const isTold = isNews === 'ifNewer' ? object.version > known : isNews
        if (object.kind !== 'lease' || !isTold) continue
        known = object.version
        told.push(object.version)
      }
    },
  }
}

const upTo = (version: number) => Array.from({ length: version }, (_, i) => i + 1)

describe('what a carrier carries', () => {
  test('is read out of its next message where one was missed, and else only what is new', () => {
    const [gathering, reader] = [createGathering(createOwnWrites()), createReader()]
    reader.read(gathering.add(carrierMessage(1, 0)))
    reader.read(gathering.add(carrierMessage(2, 0)))
    expect(gathering.add(carrierMessage(3, 0)).flatMap(({ objects }) => objects)).toHaveLength(2)
    reader.read(gathering.add(carrierMessage(6, 0)))
    expect(reader.told).toEqual(upTo(6))
  })

  test('lies in a crate where its messages were missed, and a crate of what is known tells nothing', () => {
    const [gathering, reader] = [createGathering(createOwnWrites()), createReader()]
    reader.read(gathering.add(carrierMessage(1, 0)))
    reader.read(gathering.add(carrierMessage(2, 0)))
    expect(gathering.addCrate(crateMessage(1, 2), carrier)).toEqual([])
    reader.read(gathering.addCrate(crateMessage(3, 5), carrier))
    reader.read(gathering.add(carrierMessage(6, 5)))
    expect(reader.told).toEqual(upTo(6))
  })

  test('is told whole and once, whichever of its messages a reader misses, as long as it has the crates and the last', () => {
    const history = fc.array(fc.record({ isMissed: fc.boolean(), isCrateNext: fc.boolean() }), { minLength: 1 })
    fc.assert(
      fc.property(history, (messages) => {
        const [gathering, reader] = [createGathering(createOwnWrites()), createReader()]
        let lastInCrate = 0
        for (const [i, { isMissed, isCrateNext }] of messages.entries()) {
          const version = i + 1
          if (!isMissed || version === messages.length) reader.read(gathering.add(carrierMessage(version, lastInCrate)))
          if (!isCrateNext) continue
          reader.read(gathering.addCrate(crateMessage(lastInCrate + 1, version), carrier))
          lastInCrate = version
        }
        expect(reader.told).toEqual(upTo(messages.length))
      }),
    )
  })
})
