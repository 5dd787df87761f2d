import { describe, expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import { classes, emptyMessage, encodeMessage, type Message, types } from './message.ts'
import { createAnswerVerifier, openMessage, type SignOptions, signMessage, tsigErrors, type Verdict } from './tsig.ts'
import { parseTsigKey } from './tsig-key.ts'

const now = 1_800_000_000
const key = { name: 'sluice', secret: new Uint8Array(32).fill(7) }
const other = { name: 'sluice', secret: new Uint8Array(32).fill(8) }
const question = { name: 'sluice.test', type: types.soa, class: classes.in }
const request = signMessage(encodeMessage({ ...emptyMessage, id: 7, questions: [question] }), { key, now })
const answer: Message = { ...emptyMessage, id: 7, isAnswer: true, questions: [question] }

const sign = (message: Message = answer, options: Partial<SignOptions> = {}) =>
  signMessage(encodeMessage(message), { key, now, requestMac: request.mac, ...options }).bytes

const take = (bytes: Uint8Array, at = now): Verdict => createAnswerVerifier(key, request.mac).take(bytes, at)

function reasonOf(verdict: Verdict): string {
  return verdict.kind === 'forged' ? verdict.reason : verdict.kind
}

test('a signature covers what RFC 8945 says that it covers, byte by byte', () => {
  const message = Buffer.from(encodeMessage({ ...emptyMessage, id: 7, questions: [question] }))
  const variables = Buffer.from(
    // Name, class ANY, TTL 0, algorithm, time, fudge 300, error 0, other length 0.
    `06${Buffer.from('sluice').toString('hex')}00 00ff 00000000 0b${Buffer.from('hmac-sha256').toString('hex')}00
     ${now.toString(16).padStart(12, '0')} 012c 0000 0000`.replaceAll(/\s/g, ''),
    'hex',
  )
  const expected = createHmac('sha256', key.secret).update(message).update(variables).digest()
  expect(Buffer.from(request.mac)).toEqual(expected)
  const opened = openMessage(request.bytes)
  expect(opened.kind === 'opened' ? opened.signature?.stamp.time : null).toBe(now)
})

describe('an answer is believed', () => {
  test('when it is signed for this request', () => expect(take(sign()).kind).toBe('verified'))
  test('within the fudge', () => expect(take(sign(), now + 300).kind).toBe('verified'))
  test('under another id on the way, as the original one is signed', () => {
    const bytes = sign()
    bytes[0] = 0xab
    expect(take(bytes).kind).toBe('verified')
  })
})

describe('an answer is not believed', () => {
  const flip = (bytes: Uint8Array, at: number) => {
    bytes[at] = (bytes[at] ?? 0) ^ 1
    return bytes
  }
  const rows: readonly (readonly [string, () => Verdict, string])[] = [
    ['unsigned', () => take(encodeMessage(answer)), 'it is not signed'],
    ['with another secret', () => take(sign(answer, { key: other })), 'its signature is wrong'],
    ['with another key', () => take(sign(answer, { key: { ...key, name: 'other' } })), 'it is signed with another key'],
    [
      'that answers another request',
      () => take(sign(answer, { requestMac: new Uint8Array(32) })),
      'its signature is wrong',
    ],
    ['that is a request itself', () => take(request.bytes), 'its signature is wrong'],
    ['with a bit changed', () => take(flip(sign(), 3)), 'its signature is wrong'],
    ['signed long ago', () => take(sign(), now + 301), 'it was signed 301 seconds away from now'],
    ['signed ahead of its time', () => take(sign(), now - 301), 'it was signed 301 seconds away from now'],
    ['that is cut off', () => take(sign().subarray(0, 40)), 'a record ends beyond the message'],
  ]
  for (const [what, verdict, reason] of rows) test(what, () => expect(reasonOf(verdict())).toBe(reason))

  test('with a shortened signature', () => {
    const bytes = sign()
    // The length of the signature's data, the length of the MAC, and the MAC without its last half.
    const at = bytes.length - 32 - 6
    const short = Uint8Array.of(...bytes.subarray(0, at + 16), ...bytes.subarray(at + 32))
    const view = new DataView(short.buffer)
    view.setUint16(at - 2, 16)
    view.setUint16(at - 2 - 8 - 13 - 2, view.getUint16(at - 2 - 8 - 13 - 2) - 16)
    expect(reasonOf(take(short))).toBe('its signature is shortened')
  })

  test('whichever one bit of it is changed, unless it says the same: ids on the way, and the case of names', () => {
    const bytes = sign()
    const { message } = take(bytes) as Extract<Verdict, { kind: 'verified' }>
    for (let bit = 16; bit < bytes.length * 8; bit++) {
      const changed = bytes.slice()
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const verdict = take(changed)
      expect(verdict.kind).not.toBe('unsignedRefusal')
      if (verdict.kind === 'verified') expect([bit & 7, verdict.message]).toEqual([5, message])
    }
  })
})

describe('a server that refuses', () => {
  test('by its clock is believed, as it signs that', () => {
    const time = new Uint8Array(6)
    new DataView(time.buffer).setUint32(2, now + 900)
    const bytes = sign({ ...answer, responseCode: 9 }, { error: tsigErrors.badTime, otherData: time })
    expect(take(bytes)).toEqual({ kind: 'signatureRefused', error: tsigErrors.badTime, serverTime: now + 900 })
  })
  test('unsigned is heard, and nothing else of it', () => {
    expect(take(encodeMessage({ ...answer, responseCode: 5 })).kind).toBe('unsignedRefusal')
  })
})

describe('an answer of many messages', () => {
  const first = signMessage(encodeMessage(answer), { key, now, requestMac: request.mac })
  const signNext = (priorMac: Uint8Array, between: readonly Uint8Array[]) => {
    const message = encodeMessage({ ...answer, questions: [] })
    const timers = Buffer.from(`${now.toString(16).padStart(12, '0')}012c`, 'hex')
    const hmac = createHmac('sha256', key.secret).update(Uint8Array.of(0, 32)).update(priorMac)
    for (const bytes of between) hmac.update(bytes)
    const mac = hmac.update(message).update(timers).digest()
    // A signature of the usual form, with this MAC in the place of its own.
    const bytes = signMessage(message, { key, now }).bytes
    bytes.set(mac, bytes.length - 32 - 6)
    return bytes
  }
  const unsigned = encodeMessage({ ...answer, questions: [] })

  test('is believed from one signature to the next', () => {
    const verifier = createAnswerVerifier(key, request.mac)
    const kinds = [first.bytes, unsigned, unsigned, signNext(first.mac, [unsigned, unsigned])].map(
      (bytes) => verifier.take(bytes, now).kind,
    )
    expect(kinds).toEqual(['verified', 'pending', 'pending', 'verified'])
  })
  test('is not when one between is missing', () => {
    const verifier = createAnswerVerifier(key, request.mac)
    const verdicts = [first.bytes, unsigned, signNext(first.mac, [unsigned, unsigned])].map((bytes) =>
      verifier.take(bytes, now),
    )
    expect(verdicts.map(reasonOf)).toEqual(['verified', 'pending', 'its signature is wrong'])
  })
  test('is not when a hundred come unsigned', () => {
    const verifier = createAnswerVerifier(key, request.mac)
    verifier.take(first.bytes, now)
    const last = Array.from({ length: 100 }, () => verifier.take(unsigned, now)).at(-1)
    expect(last === undefined ? null : reasonOf(last)).toBe('too many of its messages are not signed')
  })
})

describe('a key as a line', () => {
  const secret = Buffer.alloc(32, 7).toString('base64')
  const good = [
    `hmac-sha256:sluice:${secret}`,
    `# hmac-sha256:sluice:${secret}\nkey:\n`,
    `hmac-sha256:Sluice.:${secret}\n\n`,
  ]
  for (const text of good) test(JSON.stringify(text), () => expect(parseTsigKey(text)).toEqual({ kind: 'key', key }))

  const bad: readonly (readonly [string, string])[] = [
    ['', 'it must be one line, as hmac-sha256:name:secret'],
    [`sluice:${secret}`, 'it must be one line, as hmac-sha256:name:secret'],
    [`hmac-md5:sluice:${secret}`, "its algorithm must be hmac-sha256, and is 'hmac-md5'"],
    [`hmac-sha256:a..b:${secret}`, "its name 'a..b' is no domain name"],
    ['hmac-sha256:sluice:no base 64', 'its secret is not base 64'],
    ['hmac-sha256:sluice:AAAA', 'its secret has 3 bytes, and must have at least 16'],
  ]
  for (const [text, reason] of bad)
    test(reason, () => expect(parseTsigKey(text)).toEqual({ kind: 'malformed', reason }))
})
