import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  clientBits,
  clientIdPrefix,
  createClientId,
  createId,
  createNamedId,
  getShardKey,
  idPattern,
  timeOfId,
} from './shard-key.ts'

const times = fc.nat({ max: 2 ** 47 })
const entropy = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes))

describe('an id', () => {
  test('has the form of all ids, tells when it was made, and its order is that of time', () => {
    fc.assert(
      fc.property(times, times, (first, second) => {
        const [a, b] = [createId('shd', 'john', first), createId('shd', 'john', second)]
        expect([a, b].every((id) => idPattern.test(id))).toBe(true)
        expect(timeOfId(a)).toBe(first)
        if (first !== second) expect(a < b).toBe(first < second)
      }),
    )
  })

  test("carries its client's bits, so that the shard key follows from it alone", () => {
    fc.assert(
      fc.property(times, fc.string(), fc.constantFrom('shard', 'host'), (time, name, dataType) => {
        const clientId = createClientId('prj', time, entropy)
        for (const client of [clientId, name]) {
          const ids = [createId('adr', client, time), createNamedId('nam', client, 'a', name)]
          for (const id of ids) {
            expect(clientBits(id)).toBe(clientBits(client))
            expect(getShardKey(id, dataType)).toBe(getShardKey(client, dataType))
            expect(id.startsWith(clientIdPrefix(id.slice(0, 3), client))).toBe(true)
          }
        }
      }),
    )
  })

  test('of a name is the same for the same words only', () => {
    expect(createNamedId('nam', 'john', 'a', 'b')).toBe(createNamedId('nam', 'john', 'a', 'b'))
    expect(createNamedId('nam', 'john', 'a', 'b')).not.toBe(createNamedId('nam', 'john', 'ab'))
  })

  test('is spelled as those that are stored already', () => {
    const random = (bytes: number) => new Uint8Array(bytes).fill(7)
    expect(createNamedId('adr', 'john', 'a', 'b')).toBe('adr_3wgjp6q04efqjvg6k4jnpb79n')
    expect(createId('shd', 'john', 1_767_225_600_000, random)).toBe('shd_3wgjp6q01kdvdna000w3ge1r7')
    expect(getShardKey('john', 'address-space')).toBe('f90958d71e6e0000')
  })

  test('that is none of ours tells no time', () => {
    expect(timeOfId('shd_short')).toBeNull()
  })
})

describe('a shard key', () => {
  test('has the time window in its last bits, and only for streams in time', () => {
    const hour = 3_600_000
    expect(getShardKey('john', 'event')).toMatch(/^[0-9a-f]{12}0000$/)
    expect(getShardKey('john', 'event', 5 * hour)).toBe(`${getShardKey('john', 'event').slice(0, 12)}0005`)
    expect(getShardKey('john', 'event', 6 * hour - 1)).toBe(getShardKey('john', 'event', 5 * hour))
  })

  test('puts the clients of a rack evenly on four microshards', () => {
    const counts = new Map<string, number>()
    for (let i = 0; i < 4000; i++) {
      const quarter = getShardKey(`client ${i}`, 'shard').slice(0, 1)
      const arc = String(Number.parseInt(quarter, 16) >> 2)
      counts.set(arc, (counts.get(arc) ?? 0) + 1)
    }
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(120)
  })
})
