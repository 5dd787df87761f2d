/** A log entry as one line that is read by people. Pure. What clients sent can't reach the terminal but as text. */

import type { LogEntry } from '../../controller/contract/logs.ts'

type LoggedRequest = NonNullable<LogEntry['request']>

/**
 * @param now RFC 3339, as all times here are UTC: the day is told where it is another
 * @example 23:05:12.120  north/k3f9aq  200 GET shop.example/cart  12 ms, 1.2 kB  from 203.0.113.0, by mbr_…f4a1
 */
export function describeEntry(entry: LogEntry, now: string): string {
  const isToday = entry.at.slice(0, 10) === now.slice(0, 10)
  const time = `${isToday ? '' : `${entry.at.slice(5, 10)} `}${entry.at.slice(11, 23)}`
  return `${time}  ${entry.host}/${entry.instanceId.slice(-suffixCharacters)}  ${describeContent(entry)}`
}

const suffixCharacters = 6

function describeContent({ kind, request, message, dropped }: LogEntry): string {
  if (dropped !== null) {
    const lines = `${dropped.lines} line${dropped.lines === 1 ? '' : 's'}`
    return `-- ${lines} of ${kind} not here: ${dropReasonWords[dropped.reason]} --`
  }
  if (request !== null) return describeRequest(request)
  return `${kind}: ${visible(message ?? '')}`
}

const dropReasonWords = {
  rate: 'more than are kept in a second; a sample of fewer requests would be even',
  unread: "haproxy's buffer did not last until they were read",
  buffer: "the host's buffer did not last until the bus was there",
} as const

function describeRequest(request: LoggedRequest): string {
  const { milliseconds, bytesSent, clientAddress, memberId, retries, ending, method } = request
  const what = method === null && request.protocol === null ? describeConnection(request) : describeHttp(request)
  const total = milliseconds.total === null ? [] : [`${milliseconds.total} ms`]
  const where = [
    ...(clientAddress === null ? [] : [`from ${visible(clientAddress)}`]),
    memberId === null ? 'by no member' : `by ${memberId.slice(0, 4)}…${memberId.slice(-4)}`,
    ...(retries === 0 ? [] : [`after ${retries} ${retries === 1 ? 'retry' : 'retries'}`]),
    ...describeEnding(ending),
  ]
  return `${what}  ${[...total, describeBytes(bytesSent)].join(', ')}  ${where.join(', ')}`
}

const describeHttp = ({ status, method, host, path }: LoggedRequest) =>
  `${status ?? '---'} ${visible(method ?? '(no request)')} ${visible(host ?? '')}${visible(path ?? '')}`.trimEnd()

/** Of a balancer for http one that brought no request; of tcp all. */
const describeConnection = ({ listenerPort, status }: LoggedRequest) =>
  status === null ? `connection to port ${listenerPort}` : `${status} (no request)`

export function describeBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3))
  const amount = bytes / 1000 ** power
  return `${power === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${units[power]}`
}

/** haproxy's letters: who ended it, and in which phase. A regular end, and an answer of haproxy's own, say nothing. */
function describeEnding(ending: string): readonly string[] {
  const who = endedBy[ending.charAt(0)]
  if (who === undefined) return []
  const when = phases[ending.charAt(1)]
  return [`${who}${when === undefined ? '' : ` ${when}`}`]
}

const endedBy: Readonly<Record<string, string>> = {
  C: 'ended by the client',
  S: 'ended by the member',
  P: 'refused',
  R: 'ended for want of resources',
  I: 'ended by a fault within haproxy',
  D: 'ended as the member went down',
  U: 'ended as a better member came up',
  K: 'ended by an operator',
  c: "ended by the client's silence",
  s: "ended by the member's silence",
}

const phases: Readonly<Record<string, string>> = {
  R: 'before the request was whole',
  Q: 'in the queue',
  C: 'before a member was connected',
  H: "before the member's answer began",
  D: 'during the answer',
  L: 'while the last of it was sent',
}

/** Control characters, and those that turn the direction of text, as their code points. */
export const visible = (text: string) =>
  text.replaceAll(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u2028\u2029]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  )
