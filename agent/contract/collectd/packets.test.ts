import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { encodeNotification, encodePackets } from './encode-packet.ts'
import { packetBytesMaximum, type ValueList } from './packet-parts.ts'
import { parsePacket } from './parse-packet.ts'
import {
  encryptPacket,
  openPacket,
  type Protection,
  signatureBytes,
  signPacket,
  vectorBytes,
} from './protect-packet.ts'
import { valueList } from './test-lists.ts'

/** A run for the night sets it to a million; the suite has seconds. */
const packetsTried = Number(process.env.SLUICE_PACKETS_TRIED ?? 6000)
/** Some tens of seconds for a million; a machine may have much else to do. */
setDefaultTimeout(60_000 + packetsTried)
const user = { user: 'host-a', password: 'secret' }
const passwordOf = (name: string) => (name === user.user ? user.password : undefined)
const vector = Buffer.alloc(vectorBytes, 7)
const protect: Readonly<Record<Protection, (payload: Buffer) => Buffer>> = {
  none: (payload) => payload,
  signed: (payload) => signPacket(payload, user),
  encrypted: (payload) => encryptPacket(payload, user, vector),
}
const open = (packet: Uint8Array, least: Protection = 'none') => openPacket(packet, { passwordOf, least })
const read = (packet: Uint8Array): readonly ValueList[] | undefined => {
  const opened = open(packet)
  return opened.kind === 'open' ? parsePacket(opened.payload)?.lists : undefined
}
const list: ValueList = {
  host: 'host-a',
  plugin: 'load',
  pluginInstance: '',
  type: 'load',
  typeInstance: '',
  timeSeconds: 1_700_000_000.5,
  intervalSeconds: 10,
  values: [0.5, 1, 2],
  kinds: ['GAUGE', 'GAUGE', 'GAUGE'],
}

describe('a packet', () => {
  test('is read as it was written, however it was protected', () => {
    fc.assert(
      fc.property(fc.array(valueList, { maxLength: 60 }), fc.constantFrom(...Object.values(protect)), (lists, wrap) => {
        const packets = encodePackets(lists, packetBytesMaximum - signatureBytes - 40)
        expect(packets.flatMap((packet) => read(wrap(packet)) ?? [])).toEqual(lists)
        for (const packet of packets) expect(wrap(packet).length).toBeLessThanOrEqual(packetBytesMaximum)
      }),
      { numRuns: Math.ceil(packetsTried / 60) },
    )
  })

  test('that is cut off gives the points before the cut, or none', () => {
    fc.assert(
      fc.property(
        fc.array(valueList, { minLength: 1, maxLength: 5 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (lists, share) => {
          const packet = Buffer.concat(encodePackets(lists))
          const points = read(packet.subarray(0, Math.floor(share * packet.length)))
          if (points !== undefined) expect(points).toEqual(lists.slice(0, points.length))
        },
      ),
      { numRuns: Math.ceil(packetsTried / 6) },
    )
  })

  test('that was protected and is changed anywhere gives none', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('signed' as const, 'encrypted' as const),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (how, at, change) => {
          const packet = protect[how](Buffer.concat(encodePackets([list])))
          const index = at % packet.length
          packet.writeUInt8(packet.readUInt8(index) ^ change, index)
          const opened = open(packet, 'signed')
          expect(opened.kind).toBe('refused')
        },
      ),
      { numRuns: Math.ceil(packetsTried / 6) },
    )
  })

  test('of any bytes never breaks the parser', () => {
    // Mostly such as begin like a packet, so that they get further than the first part.
    const part = fc
      .record({
        type: fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x100, 0x101, 0x200, 0x210, 77),
        body: fc.uint8Array({ maxLength: 60 }),
        lie: fc.integer({ min: -3, max: 9 }),
      })
      .map(({ type, body, lie }) => {
        const head = Buffer.alloc(4)
        head.writeUInt16BE(type, 0)
        head.writeUInt16BE(Math.max(0, body.length + 4 + (lie > 3 ? 0 : lie)), 2)
        return Buffer.concat([head, body])
      })
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(part, { maxLength: 12 }).map((parts) => Buffer.concat(parts)),
    )
    fc.assert(
      fc.property(bytes, (packet) => {
        for (const point of read(packet) ?? []) {
          expect(point.values.length).toBeGreaterThan(0)
          expect(point.values.length).toBe(point.kinds.length)
        }
      }),
      { numRuns: Math.ceil((packetsTried * 2) / 3) },
    )
  })

  test('says only once what is the same for many lists', () => {
    const lists = Array.from({ length: 8 }, (_, index) => ({ ...list, typeInstance: `${index}` }))
    const [packet = Buffer.alloc(0), ...others] = encodePackets(lists)
    expect(others).toEqual([])
    expect(packet.toString('latin1').split('host-a')).toHaveLength(2)
  })

  test('may have parts that nobody knows, notifications, and times of whole seconds', () => {
    const unknown = Buffer.from([0x01, 0x23, 0, 5, 9])
    const wholeTime = Buffer.from([0, 1, 0, 12, 0, 0, 0, 0, 0, 0, 0, 7])
    const said = {
      host: 'h',
      plugin: 'p',
      pluginInstance: '',
      type: 't',
      typeInstance: '',
      timeSeconds: 3,
      severity: 2,
      message: 'hot',
    }
    const packet = Buffer.concat([unknown, encodeNotification(said), ...encodePackets([list]), wholeTime])
    expect(parsePacket(packet)).toEqual({ lists: [list], notifications: [said] })
  })

  test('of less protection than is asked for is refused, and so is one of a stranger', () => {
    const packet = Buffer.concat(encodePackets([list]))
    const reasonOf = (bytes: Buffer, least: Protection) => {
      const opened = open(bytes, least)
      return opened.kind === 'open' ? opened.protection : opened.reason
    }
    expect(reasonOf(packet, 'none')).toBe('none')
    expect(reasonOf(packet, 'signed')).toBe('unprotected')
    expect(reasonOf(protect.signed(packet), 'signed')).toBe('signed')
    expect(reasonOf(protect.signed(packet), 'encrypted')).toBe('unprotected')
    expect(reasonOf(protect.encrypted(packet), 'signed')).toBe('encrypted')
    expect(reasonOf(signPacket(packet, { user: 'else', password: 'secret' }), 'none')).toBe('unknownUser')
    expect(reasonOf(signPacket(packet, { user: 'host-a', password: 'guess' }), 'none')).toBe('badSignature')
    expect(reasonOf(encryptPacket(packet, { user: 'host-a', password: 'guess' }, vector), 'none')).toBe('badSignature')
    expect(reasonOf(Buffer.concat([protect.encrypted(packet), packet]), 'none')).toBe('malformed')
  })
})

test('packets of a real collectd are read', () => {
  const packets = JSON.parse(readFileSync(new URL('recorded-packets.json', import.meta.url), 'utf8')) as Readonly<
    Record<Protection, string>
  >
  for (const [protection, base64] of Object.entries(packets)) {
    const opened = openPacket(Buffer.from(base64, 'base64'), { passwordOf, least: 'none' })
    expect(opened).toMatchObject({ kind: 'open', protection })
    const lists = opened.kind === 'open' ? parsePacket(opened.payload)?.lists : []
    expect(
      lists?.some(({ host, plugin, values }) => host === 'host-a' && plugin === 'load' && values.length === 3),
    ).toBe(true)
  }
})
