import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { decodeLogLines, encodeLogLines } from '../contract/log-lines.ts'
import { parseAccessLine } from './parse-access-line.ts'

// A machine that is busy with other things takes its time.
setDefaultTimeout(30_000)

/** As haproxy 2.6 wrote it. */
const http =
  '{"at":1795302405984,"w":11041,"n":3,"r":7,"o":1,"f":"listener_80","a":"203.0.113.0","s":"mem_00000000000000000000000a1.0b1c2d3e-4f5a6b7c","e":"--","x":"+1","i":63,"b":73,"m":"GET","p":"/h","h":"\\u00ff\\u00fe\\"\\\\y","u":"\\u00c3\\u00a9 \\t\\u0001","v":"HTTP/1.1","c":200,"t":[0,0,1,12,13]}'
const tcp =
  '{"at":1795302405984,"w":11041,"n":0,"r":9,"o":100,"f":"listener_5432","s":"<NOSRV>","e":"SC","x":"3","i":0,"b":0,"t":[-1,-1,5003]}'
const noRequest =
  '{"at":1795302405982,"w":11041,"n":2,"r":2,"o":1,"f":"listener_80","a":"127.0.0.0","s":"<NOSRV>","e":"PR","x":"0","i":0,"b":0,"m":"-","p":"-","h":"-","u":"-","v":"<BADREQ>","c":400,"t":[-1,-1,-1,-1,0]}'

describe('a line of haproxy', () => {
  test('tells a request, its texts as the client sent them', () => {
    expect(parseAccessLine(http)).toEqual({
      at: 1795302405984,
      worker: 11041,
      number: 7,
      listenerPort: 80,
      countBefore: 3,
      oneOf: 1,
      request: {
        clientAddress: '203.0.113.0',
        listenerPort: 80,
        method: 'GET',
        host: '��"\\y',
        path: '/h',
        protocol: 'HTTP/1.1',
        userAgent: 'é \t\u0001',
        status: 200,
        memberId: 'mem_00000000000000000000000a1',
        retries: 1,
        bytesReceived: 63,
        bytesSent: 73,
        ending: '--',
        milliseconds: { request: 0, queue: 0, connect: 1, response: 12, total: 13 },
      },
    })
  })

  test('tells a connection that came to no member', () => {
    const { request } = parseAccessLine(tcp) ?? {}
    expect(request).toMatchObject({
      clientAddress: null,
      method: null,
      status: null,
      memberId: null,
      retries: 3,
      ending: 'SC',
    })
    expect(request?.milliseconds).toEqual({ request: null, queue: null, connect: null, response: null, total: 5003 })
  })

  test('tells what was no request', () => {
    expect(parseAccessLine(noRequest)?.request).toMatchObject({ method: null, path: null, protocol: null, status: 400 })
  })

  test.each([
    ['haproxy speaks of itself', 'Proxy listener_80 stopped (cumulated conns: FE: 1, BE: 0).'],
    ['it is cut off', http.slice(0, 200)],
    ['it has no number', http.replace('"r":7,', '')],
    ['it is an array', '[1]'],
    ['there is nothing', ''],
  ])('is passed over where %s', (_, line) => {
    expect(parseAccessLine(line)).toBeUndefined()
  })
})

/** What `json(ascii)` makes of bytes. */
const escapeAscii = (bytes: Uint8Array) =>
  [...bytes]
    .map((byte) => {
      const character = String.fromCharCode(byte)
      if (character === '"' || character === '\\') return `\\${character}`
      return byte >= 0x20 && byte < 0x7f ? character : `\\u${byte.toString(16).padStart(4, '0')}`
    })
    .join('')

test('whatever bytes a client sends become one entry that is kept and read again', () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 })
  fc.assert(
    fc.property(bytes, bytes, bytes, (path, host, agent) => {
      const line = http
        .replace('"p":"/h"', () => `"p":"${escapeAscii(path)}"`)
        .replace(/"h":"[^,]*",/, () => `"h":"${escapeAscii(host)}",`)
        .replace(/"u":"[^,]*",/, () => `"u":"${escapeAscii(agent)}",`)
      expect(line).not.toContain('\n')
      const parsed = parseAccessLine(line)
      if (parsed === undefined) throw new Error(`not read: ${line}`)
      const text = encodeLogLines([{ at: parsed.at, request: parsed.request }])
      expect(text).not.toContain('\n')
      expect(decodeLogLines(new TextEncoder().encode(text))).toEqual([{ at: parsed.at, request: parsed.request }])
    }),
    { endOnFailure: true },
  )
})

test('whatever stands in a line, it is an entry that is kept, or none', () => {
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom('-', -1, '<NOSRV>', 'listener_80', 'mem_x', 1e300, '1e999'))
  const row = fc.dictionary(fc.constantFrom(...'at w n r o f a s e x i b m p h u v c t'.split(' ')), value)
  fc.assert(
    fc.property(row, (given) => {
      const line = JSON.stringify({ at: 1, w: 2, r: 3, n: 4, f: 'listener_80', ...given })
      const parsed = parseAccessLine(line)
      if (parsed === undefined) return
      const lines = [{ at: parsed.at, request: parsed.request }]
      expect(decodeLogLines(new TextEncoder().encode(encodeLogLines(lines)))).toEqual(lines)
    }),
    { endOnFailure: true },
  )
})
