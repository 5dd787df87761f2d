/**
 * Talks with the authoritative name server: reads its zone, changes a name. Every request and every answer is signed, and
 * nothing unsigned is believed but a refusal. What can go wrong out there is a value. Opens one TCP connection at a time,
 * and touches nothing else.
 */

import type { NameChange } from './name-change.ts'
import { describeUpdate } from './name-change.ts'
import { createConversation } from './name-server-conversation.ts'
import { type ObservedZone, readZone } from './observed-zone.ts'
import { classes, emptyMessage, encodeMessage, type Message, type ResourceRecord, types } from './wire/message.ts'
import { serialOf } from './wire/record-data.ts'
import { createAnswerVerifier, signMessage, type TsigKey, tsigErrors, type Verdict } from './wire/tsig.ts'

export interface NameServerSettings {
  readonly zone: string
  readonly address: string
  readonly port: number
  readonly key: TsigKey
  /** For each message of an answer. */
  readonly timeoutMilliseconds: number
}

export interface Trouble {
  readonly kind: 'trouble'
  readonly reason: 'serverUnreachable' | 'serverRefused' | 'zoneRefused' | 'keyRefused' | 'clocksApart' | 'answerForged'
  readonly message: string
}

export interface NameServer {
  readZone(): Promise<{ readonly kind: 'zone'; readonly zone: ObservedZone } | Trouble>
  /** Changes with each change of the zone. */
  readSerial(): Promise<{ readonly kind: 'serial'; readonly serial: number } | Trouble>
  /** `overtaken`: the name is not as it was seen any more, and nothing was changed. */
  change(change: NameChange): Promise<{ readonly kind: 'changed' } | { readonly kind: 'overtaken' } | Trouble>
  close(): void
}

/** More than any zone that one rack's balancers share; a server that goes on and on is not waited for. */
const transferRecordsMaximum = 1_000_000

export interface NameServerMeans {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly random: (bytes: number) => Uint8Array
}

export function createNameServer(settings: NameServerSettings, means: NameServerMeans): NameServer {
  const { zone, key } = settings
  const conversation = createConversation(settings, means.random)
  const seconds = () => Math.floor(means.now() / 1000)

  /** Sends one message, and gives each message of the answer to `take` until that says that it was the last. */
  async function ask(message: Message, take: (answer: Message, isVouchedFor: boolean) => boolean | Trouble) {
    const request = (id: number) => signMessage(encodeMessage({ ...message, id }), { key, now: seconds() })
    let found: Trouble | null = null
    const said = await conversation.exchange(request, ({ mac }) => {
      const verifier = createAnswerVerifier(key, mac)
      return (bytes) => {
        const verdict = verifier.take(bytes, seconds())
        const answer = admit(verdict, message, describeServer(settings), seconds())
        if (answer.kind === 'trouble') {
          found = answer
          // What follows a forged answer on its connection is not worth more.
          return answer.reason === 'answerForged' ? 'distrust' : 'done'
        }
        const isLast = take(answer.message, verdict.kind === 'verified')
        if (typeof isLast === 'object') {
          found = isLast
          return 'distrust'
        }
        return isLast ? 'done' : 'more'
      }
    })
    if (said.kind === 'answered') return found
    return trouble('serverUnreachable', `The name server ${describeServer(settings)} does not answer: ${said.reason}.`)
  }

  return {
    async readZone() {
      const records: ResourceRecord[] = []
      let read: ObservedZone | null = null
      const found = await ask(query(zone, types.axfr), ({ answers, responseCode }, isVouchedFor) => {
        if (responseCode !== 0) return refusedBy(settings, responseCode)
        for (const record of answers) records.push(record)
        if (answers.length === 0 || records.length > transferRecordsMaximum) {
          return forged(settings, 'its transfer of the zone does not end')
        }
        if (records[0]?.type !== types.soa) return forged(settings, 'its transfer of the zone has no beginning')
        const last = records.at(-1)
        if (records.length < 2 || last === undefined || last.type !== types.soa) return false
        if (!isVouchedFor) return forged(settings, 'the end of its transfer is not signed')
        read = readZone(zone, records)
        return read === null ? forged(settings, 'its transfer is of another zone') : true
      })
      if (found !== null) return found
      return read === null ? forged(settings, 'its transfer of the zone has no end') : { kind: 'zone', zone: read }
    },

    async readSerial() {
      let serial: number | null = null
      const found = await ask(query(zone, types.soa), ({ answers, responseCode, isAuthoritative, isTruncated }) => {
        if (responseCode !== 0) return refusedBy(settings, responseCode)
        if (isTruncated) return forged(settings, 'its answer is cut off')
        const start = answers.find(({ type, name }) => type === types.soa && name === zone)
        serial = start === undefined ? null : serialOf(start)
        if (serial !== null && isAuthoritative) return true
        return trouble(
          'zoneRefused',
          `The name server ${describeServer(settings)} is not in charge of the zone ${zone}.`,
        )
      })
      if (found !== null) return found
      return serial === null ? forged(settings, 'it has no serial') : { kind: 'serial', serial }
    },

    async change(change) {
      let isOvertaken = false
      const found = await ask(describeUpdate(zone, change), ({ responseCode }) => {
        isOvertaken = prerequisiteCodes.has(responseCode)
        return responseCode === 0 || isOvertaken ? true : refusedBy(settings, responseCode)
      })
      return found ?? { kind: isOvertaken ? 'overtaken' : 'changed' }
    },

    close: () => conversation.close(),
  }
}

const query = (zone: string, type: number): Message => ({
  ...emptyMessage,
  questions: [{ name: zone, type, class: classes.in }],
})

const trouble = (reason: Trouble['reason'], message: string): Trouble => ({ kind: 'trouble', reason, message })

const describeServer = ({ address, port }: NameServerSettings) => (port === 53 ? address : `${address} port ${port}`)

const forged = (settings: NameServerSettings, reason: string): Trouble =>
  trouble('answerForged', `An answer in the name of ${describeServer(settings)} was not believed: ${reason}.`)

type Admitted = { readonly kind: 'answer'; readonly message: Message } | Trouble

/** What a verdict on an answer means: the answer, if it is one to this request. */
function admit(verdict: Verdict, request: Message, server: string, now: number): Admitted {
  const disbelieve = (reason: string) =>
    trouble('answerForged', `An answer in the name of ${server} was not believed: ${reason}.`)
  switch (verdict.kind) {
    case 'forged':
      return disbelieve(verdict.reason)
    case 'signatureRefused':
      return describeRefusedSignature(verdict.error, verdict.serverTime, server, now)
    case 'unsignedRefusal':
      return describeRefusal(verdict.message.responseCode, server, ' It did not sign that.')
    case 'pending':
    case 'verified': {
      const { message } = verdict
      if (!message.isAnswer || message.opcode !== request.opcode) return disbelieve('it is no answer to what was asked')
      const [asked] = request.questions
      const [answered] = message.questions
      // A server may leave the question out of what comes after the first message of a transfer, and out of an update's answer.
      if (answered !== undefined && !Bun.deepEquals(answered, asked)) return disbelieve('it answers another question')
      return { kind: 'answer', message }
    }
    default:
      return verdict satisfies never
  }
}

function describeRefusedSignature(error: number, serverTime: number | null, server: string, now: number): Trouble {
  switch (error) {
    case tsigErrors.badTime: {
      const apart = serverTime === null ? 'too far' : `${Math.abs(serverTime - now)} seconds`
      const message = `The name server ${server} refuses: its clock and this machine's are ${apart} apart. Set both by NTP.`
      return trouble('clocksApart', message)
    }
    case tsigErrors.badKey:
      return trouble('keyRefused', `The name server ${server} does not know the key. Give both the same name of it.`)
    default:
      return trouble('keyRefused', `The name server ${server} finds the signature wrong. Give both the same secret.`)
  }
}

const refusedBy = (settings: NameServerSettings, responseCode: number): Trouble =>
  describeRefusal(responseCode, describeServer(settings), '')

const responseCodes = { formatError: 1, serverFailure: 2, refused: 5, notAuthoritative: 9, notInZone: 10 } as const
/** RFC 2136, 2.2: NXDOMAIN, YXDOMAIN, YXRRSET, NXRRSET. */
const prerequisiteCodes: ReadonlySet<number> = new Set([3, 6, 7, 8])

function describeRefusal(responseCode: number, server: string, addition: string): Trouble {
  switch (responseCode) {
    case responseCodes.refused:
      return trouble(
        'serverRefused',
        `The name server ${server} refuses (REFUSED). Allow the key to update and to transfer the zone.${addition}`,
      )
    case responseCodes.notAuthoritative:
    case responseCodes.notInZone:
      return trouble('zoneRefused', `The name server ${server} is not in charge of the zone (NOTAUTH).${addition}`)
    case responseCodes.serverFailure:
      return trouble('serverRefused', `The name server ${server} failed (SERVFAIL); its log says why.${addition}`)
    case responseCodes.formatError:
      return trouble('serverRefused', `The name server ${server} does not understand the request (FORMERR).${addition}`)
    default:
      return trouble('serverRefused', `The name server ${server} refuses with code ${responseCode}.${addition}`)
  }
}
