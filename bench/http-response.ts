/**
 * Reads HTTP/1.1 answers off a raw connection, strictly: only an answer that is there whole, to the length that it states,
 * counts. Pure. The probes and the load use no HTTP library, since each of those retries or hides some failures.
 */

export type ReadAnswer =
  | { readonly kind: 'partial' }
  | { readonly kind: 'complete'; readonly status: number; readonly length: number; readonly closes: boolean }
  | { readonly kind: 'unreadable'; readonly why: string }

const headBytesMaximum = 16_384

/** What the bytes read so far amount to; `length` counts head and body. */
export function readAnswer(bytes: Buffer): ReadAnswer {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) {
    return bytes.length > headBytesMaximum ? { kind: 'unreadable', why: 'a head without end' } : { kind: 'partial' }
  }
  const head = bytes.toString('latin1', 0, headEnd)
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]
  if (status === undefined) return { kind: 'unreadable', why: 'no status line' }
  const bodyLength = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (bodyLength === undefined) return { kind: 'unreadable', why: `an answer ${status} that states no length` }
  const length = headEnd + 4 + Number(bodyLength)
  if (bytes.length < length) return { kind: 'partial' }
  return { kind: 'complete', status: Number(status), length, closes: /\r\nconnection: *close/i.test(head) }
}
