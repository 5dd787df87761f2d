import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { type Forge, type ForgingServer, startForgingServer } from '../../test/names/forging-server.ts'
import { type KnotServer, startKnotServer, takeFreePort, testKey } from '../../test/names/knot-server.ts'
import type { NameChange } from './name-change.ts'
import { createNameServer, type NameServer, type NameServerSettings } from './name-server.ts'
import { describeName, type ObservedZone } from './observed-zone.ts'
import { ownershipText } from './ownership.ts'
import { planNames } from './plan-names.ts'
import { decodeMessage, emptyMessage, encodeMessage, type Message } from './wire/message.ts'
import { openMessage, signMessage, type TsigKey, tsigErrors } from './wire/tsig.ts'
import { parseTsigKey } from './wire/tsig-key.ts'

setDefaultTimeout(30_000)

const parsedKey = parseTsigKey(testKey)
const key: TsigKey = parsedKey.kind === 'key' ? parsedKey.key : { name: '', secret: new Uint8Array() }
const zoneSettings = { owner: 'rack', ttlSeconds: 10 }
const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes))
const nextSecond = () => Math.floor(Date.now() / 1000)

/** Knot holds an update back for as long as a second when another one has just been made. */
const timeoutMilliseconds = 5000

function dial(port: number, parts: Partial<NameServerSettings> = {}, now = Date.now): NameServer {
  const settings = { zone: 'sluice.test', address: '127.0.0.1', port, key, timeoutMilliseconds, ...parts }
  return createNameServer(settings, { now, random })
}

async function readZone(server: NameServer): Promise<ObservedZone> {
  const read = await server.readZone()
  if (read.kind === 'trouble') throw new Error(read.message)
  return read.zone
}

const listed = (id: string, dnsName: string, ...addresses: readonly string[]) => ({
  loadBalancerId: id,
  dnsName,
  vips: addresses.map((address) => ({ address, verdict: 'serves' as const })),
})

describe('with a real Knot', () => {
  let knot: KnotServer
  let server: NameServer
  beforeAll(async () => {
    knot = await startKnotServer()
    server = dial(knot.port)
  })
  afterAll(async () => {
    server.close()
    await knot.remove()
  })

  async function makeRight(desired: Parameters<typeof planNames>[0]): Promise<readonly string[]> {
    const operations = planNames(desired, await readZone(server), zoneSettings)
    const outcomes = await Promise.all(
      operations.map((operation) => (operation.kind === 'yield' ? { kind: 'yield' } : server.change(operation.change))),
    )
    expect(planNames(desired, await readZone(server), zoneSettings).filter(({ kind }) => kind !== 'yield')).toEqual([])
    return outcomes.map(({ kind }) => kind)
  }
  const addressesOf = async (name: string) =>
    (await knot.ask('+short', name, 'A')).split('\n').filter(Boolean).toSorted()

  test('names come, change, move and go, and what was planned is then so', async () => {
    const [one, two] = ['198.18.32.10', '198.18.32.11']
    expect(await makeRight([listed('lb_1', 'web.shop.sluice.test', one, two)])).toEqual(['changed'])
    expect(await addressesOf('web.shop.sluice.test')).toEqual([one, two])
    expect(await makeRight([listed('lb_1', 'web.shop.sluice.test', two)])).toEqual(['changed'])
    expect(await addressesOf('web.shop.sluice.test')).toEqual([two])
    expect(await makeRight([listed('lb_1', 'shop.shop.sluice.test', two)])).toEqual(['changed', 'changed'])
    expect(await addressesOf('web.shop.sluice.test')).toEqual([])
    expect(await makeRight([])).toEqual(['changed'])
    expect((await readZone(server)).names.size).toBe(2)
  })

  test('what others wrote stays, also within a name of ours', async () => {
    await knot.write(['update add mail.sluice.test. 60 A 192.0.2.1', 'update add web.shop.sluice.test. 60 A 192.0.2.2'])
    expect(await makeRight([listed('lb_1', 'web.shop.sluice.test', '198.18.32.10')])).toEqual(['yield'])
    await knot.write(['update delete web.shop.sluice.test. A'])
    expect(await makeRight([listed('lb_1', 'web.shop.sluice.test', '198.18.32.10')])).toEqual(['changed'])
    await knot.write([
      'update add web.shop.sluice.test. 60 TXT "verification=1"',
      'update add web.shop.sluice.test. 60 MX 10 mail.sluice.test.',
      'update add web.shop.sluice.test. 10 A 192.0.2.3',
    ])
    expect(await makeRight([listed('lb_1', 'web.shop.sluice.test', '198.18.32.10')])).toEqual(['changed'])
    expect(await addressesOf('web.shop.sluice.test')).toEqual(['198.18.32.10'])
    expect(await makeRight([])).toEqual(['changed'])
    expect(await knot.ask('+short', 'web.shop.sluice.test', 'TXT')).toBe('"verification=1"')
    expect(await knot.ask('+short', 'web.shop.sluice.test', 'MX')).toBe('10 mail.sluice.test.')
    expect(await addressesOf('mail.sluice.test')).toEqual(['192.0.2.1'])
    await knot.write(['update delete web.shop.sluice.test.', 'update delete mail.sluice.test.'])
  })

  test('of two that change one name at once one is told that it was overtaken', async () => {
    const other = dial(knot.port)
    const change = (id: string, address: string): NameChange => ({
      dnsName: 'race.shop.sluice.test',
      before: null,
      after: { addresses: [address], ttlSeconds: 10, text: ownershipText('rack', id) },
      formerTexts: [],
    })
    for (let round = 0; round < 20; round++) {
      const outcomes = await Promise.all([
        server.change(change('lb_1', '198.18.32.1')),
        other.change(change('lb_2', '198.18.32.2')),
      ])
      expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['changed', 'overtaken'])
      expect(await makeRight([])).toEqual(['changed'])
    }
    other.close()
  })

  test('a zone of thousands of records is read, in many messages', async () => {
    const lines = Array.from(
      { length: 3000 },
      (_, i) => `update add many-${i}.sluice.test. 60 A 192.0.${i >> 8}.${i & 255}`,
    )
    for (let from = 0; from < lines.length; from += 500) await knot.write(lines.slice(from, from + 500))
    expect((await readZone(server)).names.size).toBe(3002)
    for (let from = 0; from < lines.length; from += 500) {
      await knot.write(lines.slice(from, from + 500).map((line) => line.replace(/add (\S+) .*/, 'delete $1')))
    }
    expect((await readZone(server)).names.size).toBe(2)
  })

  test('a serial tells of changes, and a hundred requests share a connection', async () => {
    const before = await server.readSerial()
    await knot.write(['update add x.sluice.test. 60 A 192.0.2.1'])
    const answers = await Promise.all(Array.from({ length: 100 }, () => server.readSerial()))
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
    expect(answers[0]).not.toEqual(before)
    await knot.write(['update delete x.sluice.test.'])
  })

  const troubles: readonly (readonly [string, Partial<NameServerSettings>, number, string])[] = [
    ['a key that it does not know', { key: { ...key, name: 'other' } }, 0, 'keyRefused'],
    ['another secret', { key: { ...key, secret: new Uint8Array(32) } }, 0, 'keyRefused'],
    ['a clock that is wrong', {}, 3600_000, 'clocksApart'],
    ['a zone that it does not have', { zone: 'other.test' }, 0, 'zoneRefused'],
  ]
  for (const [what, parts, apart, reason] of troubles) {
    test(`${what} is told as ${reason}`, async () => {
      const wrong = dial(knot.port, parts, () => Date.now() + apart)
      const change = { dnsName: `x.${parts.zone ?? 'sluice.test'}`, before: null, after: null, formerTexts: [] }
      for (const said of [await wrong.readZone(), await wrong.change(change)]) {
        expect(said).toMatchObject({ kind: 'trouble', reason })
      }
      wrong.close()
    })
  }

  test('one that was ended and started again is spoken with anew', async () => {
    expect((await server.readSerial()).kind).toBe('serial')
    await knot.kill()
    expect(await server.readSerial()).toMatchObject({ kind: 'trouble', reason: 'serverUnreachable' })
    await knot.start()
    expect((await server.readSerial()).kind).toBe('serial')
  })
})

describe('with a server that lies', () => {
  /** Answers with what is made of a right answer to the request; `sign` is what the real server would do. */
  async function against(
    forge: (
      answer: Message,
      sign: (message: Message, by?: TsigKey) => Uint8Array,
      request: Uint8Array,
    ) => ReturnType<Forge>,
    act: (server: NameServer, liar: ForgingServer) => Promise<void>,
  ): Promise<void> {
    const liar = await startForgingServer((request) => {
      const opened = openMessage(request)
      if (opened.kind !== 'opened' || opened.signature === null) throw new Error('the request is not signed')
      const { id, questions, opcode } = opened.message
      const answer = { ...emptyMessage, id, opcode, isAnswer: true, isAuthoritative: true, questions }
      const { mac: requestMac } = opened.signature
      const sign = (message: Message, by = key) =>
        signMessage(encodeMessage(message), { key: by, now: nextSecond(), requestMac }).bytes
      return forge(answer, sign, request)
    })
    const server = dial(liar.port, { timeoutMilliseconds: 200 })
    try {
      await act(server, liar)
    } finally {
      server.close()
      await liar.close()
    }
  }

  const change: NameChange = {
    dnsName: 'web.shop.sluice.test',
    before: describeName([]),
    after: { addresses: ['198.18.32.10'], ttlSeconds: 10, text: ownershipText('rack', 'lb_1') },
    formerTexts: [],
  }
  const said = async (server: NameServer) => {
    const outcome = await server.change(change)
    return outcome.kind === 'trouble' ? `${outcome.reason}: ${outcome.message.split(': ').at(-1)}` : outcome.kind
  }

  const rows: readonly (readonly [string, Parameters<typeof against>[0], string | RegExp])[] = [
    ['nothing but the truth', (answer, sign) => [sign(answer)], 'changed'],
    ['without a signature', (answer) => [encodeMessage(answer)], 'answerForged: it is not signed.'],
    [
      'with a signature of its own',
      (answer, sign) => [sign(answer, { ...key, secret: new Uint8Array(32) })],
      'answerForged: its signature is wrong.',
    ],
    [
      'an answer to another question',
      (answer, sign) => [sign({ ...answer, questions: [{ name: 'x.test', type: 6, class: 1 }] })],
      'answerForged: it answers another question.',
    ],
    [
      'no answer but a request',
      (answer, sign) => [sign({ ...answer, isAnswer: false })],
      'answerForged: it is no answer to what was asked.',
    ],
    ['a message that is cut off', (answer, sign) => [sign(answer).subarray(0, 60)], /^answerForged/],
    ['nothing', () => [], 'serverUnreachable: no answer within 200 ms.'],
    ['by hanging up', () => ['end'], 'serverUnreachable: it closed the connection.'],
    [
      'what nobody asked',
      (answer, sign) => [sign({ ...answer, id: answer.id ^ 1 })],
      'serverUnreachable: no answer within 200 ms.',
    ],
    ['that it refuses, unsigned', (answer) => [encodeMessage({ ...answer, responseCode: 5 })], /^serverRefused/],
    ['that it failed', (answer, sign) => [sign({ ...answer, responseCode: 2 })], /^serverRefused/],
    ['the request itself', (_answer, _sign, request) => [request], /^answerForged/],
  ]
  for (const [what, forge, expected] of rows) {
    test(`that answers ${what}`, () =>
      against(forge, async (server) => {
        const outcome = await said(server)
        if (typeof expected === 'string') expect(outcome).toBe(expected)
        else expect(outcome).toMatch(expected)
      }))
  }

  test('whose transfer never ends, ends, or begins with something else', async () => {
    for (const [forge, reason] of [
      [(answer: Message, sign: (message: Message) => Uint8Array) => [sign(answer)], 'does not end'],
      [
        (answer: Message, sign: (message: Message) => Uint8Array) => [
          sign({
            ...answer,
            answers: [{ name: 'sluice.test', type: 1, class: 1, ttlSeconds: 1, data: new Uint8Array(4) }],
          }),
        ],
        'has no beginning',
      ],
    ] as const) {
      await against(forge, async (server) => {
        const read = await server.readZone()
        expect(read.kind === 'trouble' ? read.message : '').toContain(reason)
      })
    }
  })

  test('a lie costs its connection, and the next request is made on another', () =>
    against(
      (answer) => [encodeMessage(answer)],
      async (server, liar) => {
        await said(server)
        await said(server)
        expect(liar.connections()).toBe(2)
      },
    ))

  test('one whose connection it closed while it was idle is asked once more', async () => {
    let asked = 0
    await against(
      (answer, sign) => {
        asked += 1
        return asked === 2 ? ['end'] : [sign(answer)]
      },
      async (server) => {
        expect([await said(server), await said(server)]).toEqual(['changed', 'changed'])
        expect(asked).toBe(3)
      },
    )
  })

  test('nobody at all', async () => {
    const server = dial(await takeFreePort())
    expect(await said(server)).toBe('serverUnreachable: nobody listens there.')
    server.close()
  })

  test('its clock that is said to be wrong is named', () =>
    against(
      (answer, _sign, request) => {
        const opened = openMessage(request)
        const requestMac = opened.kind === 'opened' ? (opened.signature?.mac ?? new Uint8Array()) : new Uint8Array()
        const otherData = new Uint8Array(6)
        new DataView(otherData.buffer).setUint32(2, nextSecond() + 900)
        const error = tsigErrors.badTime
        const refusal = encodeMessage({ ...answer, responseCode: 9 })
        expect(decodeMessage(refusal).kind).toBe('message')
        return [signMessage(refusal, { key, now: nextSecond(), requestMac, error, otherData }).bytes]
      },
      async (server) => expect(await said(server)).toMatch(/^clocksApart.*(899|900|901) seconds apart/s),
    ))
})
