import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import type { LogEntry } from '../../controller/contract/logs.ts'
import { describeBytes, describeEntry } from './describe-entry.ts'
import { parseSince } from './since.ts'

// A machine that is busy with other things takes its time.
setDefaultTimeout(30_000)

const now = '2026-11-21T23:59:00.000Z'
const request: NonNullable<LogEntry['request']> = {
  clientAddress: '203.0.113.0',
  listenerPort: 80,
  method: 'GET',
  host: 'shop.example',
  path: '/cart',
  protocol: 'HTTP/1.1',
  userAgent: 'curl',
  status: 200,
  memberId: 'mbr_38e5ve97dfj41b7fn98s1va57',
  retries: 0,
  bytesReceived: 81,
  bytesSent: 1234,
  ending: '--',
  milliseconds: { request: 0, queue: 0, connect: 1, response: 11, total: 12 },
}
const base: LogEntry = {
  id: '1-0',
  at: '2026-11-21T23:41:44.485Z',
  loadBalancerId: `lb_${'0'.repeat(25)}`,
  instanceId: 'lbi_38e5ve96e05t0q1h359n1ty76',
  host: 'north',
  kind: 'access',
  request: null,
  message: null,
  dropped: null,
}
const tcp = { ...request, method: null, host: null, path: null, protocol: null, userAgent: null, status: null }

describe('an entry is one line', () => {
  test.each<[string, Partial<LogEntry>, string]>([
    ['a request', { request }, '200 GET shop.example/cart  12 ms, 1.2 kB  from 203.0.113.0, by mbr_…va57'],
    [
      'one that failed',
      { request: { ...request, status: 503, memberId: null, retries: 3, ending: 'SC', clientAddress: null } },
      '503 GET shop.example/cart  12 ms, 1.2 kB  by no member, after 3 retries, ended by the member before a member was connected',
    ],
    [
      'one that nobody waited for',
      { request: { ...request, status: null, ending: 'CH', retries: 1 } },
      "--- GET shop.example/cart  12 ms, 1.2 kB  from 203.0.113.0, by mbr_…va57, after 1 retry, ended by the client before the member's answer began",
    ],
    [
      'what was none',
      { request: { ...tcp, status: 400, ending: 'PR' } },
      '400 (no request)  12 ms, 1.2 kB  from 203.0.113.0, by mbr_…va57, refused before the request was whole',
    ],
    ['a connection', { request: tcp }, 'connection to port 80  12 ms, 1.2 kB  from 203.0.113.0, by mbr_…va57'],
    [
      "a daemon's words",
      { kind: 'keepalived', message: '(vip_1) Entering MASTER STATE' },
      'keepalived: (vip_1) Entering MASTER STATE',
    ],
    [
      'lines that are missing',
      { dropped: { lines: 1, reason: 'unread' } },
      "-- 1 line of access not here: haproxy's buffer did not last until they were read --",
    ],
  ])('%s', (_, change, text) => {
    expect(describeEntry({ ...base, ...change }, now)).toBe(`23:41:44.485  north/n1ty76  ${text}`)
  })

  test('with its day where that is another', () => {
    expect(describeEntry({ ...base, message: 'x' }, '2026-11-22T00:01:00Z')).toStartWith('11-21 23:41:44.485  north')
  })

  test('whatever a client sent', () => {
    const text = fc.option(fc.string({ unit: 'binary', maxLength: 50 }), { nil: null })
    fc.assert(
      fc.property(text, text, text, text, (method, host, path, message) => {
        const lines = [
          describeEntry({ ...base, request: { ...request, method, host, path, clientAddress: host } }, now),
          describeEntry({ ...base, message }, now),
        ]
        for (const line of lines) expect(line).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u)
      }),
      { endOnFailure: true },
    )
  })
})

test('bytes have units', () => {
  expect([0, 999, 1000, 12_345, 999_999_999, 1e15].map(describeBytes)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '12.3 kB',
    '1000 MB',
    '1000 TB',
  ])
})

describe('--since', () => {
  const at = Date.parse(now)
  test.each([
    ['30s', '2026-11-21T23:58:30.000Z'],
    ['10m', '2026-11-21T23:49:00.000Z'],
    ['2h', '2026-11-21T21:59:00.000Z'],
    ['1d', '2026-11-20T23:59:00.000Z'],
    ['2026-11-21T12:00:00+02:00', '2026-11-21T10:00:00.000Z'],
    ['2026-11-21', '2026-11-21T00:00:00.000Z'],
  ])('%s', (text, time) => {
    expect(parseSince(text, at)).toBe(time)
  })

  test.each(['yesterday', '10', '10 m', '-5m', '2026-13-40', '', '9999999d'])('%p is none', (text) => {
    expect(() => parseSince(text, at)).toThrow('--since takes')
  })
})
