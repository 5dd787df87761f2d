import { describe, expect, test } from 'bun:test'
import { type ReadAnswer, readAnswer } from './http-response.ts'

const head = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n'

describe('an answer', () => {
  const rows: readonly [string, string, ReadAnswer][] = [
    ['is partial without the end of its head', head, { kind: 'partial' }],
    ['is partial until its whole body is there', `${head}\r\nabcd`, { kind: 'partial' }],
    [
      'is complete at the length that it states',
      `${head}\r\nabcdeHTTP`,
      { kind: 'complete', status: 200, length: 43, closes: false },
    ],
    [
      'says that it closes',
      'HTTP/1.1 503 No\r\ncontent-length:0\r\nconnection: close\r\n\r\n',
      { kind: 'complete', status: 503, length: 56, closes: true },
    ],
    [
      'is unreadable without a length',
      'HTTP/1.1 200 OK\r\n\r\n',
      {
        kind: 'unreadable',
        why: 'an answer 200 that states no length',
      },
    ],
    ['is unreadable without a status', 'SSH-2.0\r\n\r\n', { kind: 'unreadable', why: 'no status line' }],
  ]
  for (const [sentence, text, expected] of rows) {
    test(sentence, () => expect(readAnswer(Buffer.from(text))).toEqual(expected))
  }
})
