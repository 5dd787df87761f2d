/** One probe: a fresh connection, one request, and whether a whole 200 came back in time. */

import { readAnswer } from '../http-response.ts'
import type { Target } from './messages.ts'

export type ProbeResult = { readonly ok: true } | { readonly ok: false; readonly why: string }

const request = Buffer.from('GET / HTTP/1.1\r\nHost: sluice\r\nConnection: close\r\n\r\n')

/** Resolves at the answer or at the timeout, whichever comes first; never rejects. */
export function probe(target: Target, timeoutMilliseconds: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0)
    let isSettled = false
    const settle = (result: ProbeResult) => {
      isSettled = true
      clearTimeout(timer)
      resolve(result)
    }
    const timer = setTimeout(() => {
      settle({ ok: false, why: 'timeout' })
      connection?.terminate()
    }, timeoutMilliseconds)
    let connection: Bun.Socket<undefined> | undefined
    const handlers: Bun.SocketHandler<undefined> = {
      open(socket) {
        connection = socket
        // It came too late: without an end of its own it would be kept for as long as the other side likes.
        if (isSettled) socket.terminate()
        else socket.write(request)
      },
      data(socket, chunk) {
        if (isSettled) return
        bytes = bytes.length === 0 ? Buffer.from(chunk) : Buffer.concat([bytes, chunk])
        const answer = readAnswer(bytes)
        if (answer.kind === 'partial') return
        if (answer.kind === 'complete' && answer.status === 200) settle({ ok: true })
        else settle({ ok: false, why: answer.kind === 'complete' ? `status ${answer.status}` : answer.why })
        // The other side closes first and so keeps the port in its memory, not this one, which has too few.
        setTimeout(() => socket.terminate(), timeoutMilliseconds).unref()
      },
      close() {
        if (!isSettled) settle({ ok: false, why: 'closed without an answer' })
      },
      error(_socket, error) {
        if (!isSettled) settle({ ok: false, why: error.message })
      },
      connectError(_socket, error) {
        if (!isSettled) settle({ ok: false, why: error.message })
      },
    }
    // Its failures have been told by connectError.
    Bun.connect<undefined>({ hostname: target.address, port: target.port, socket: handlers }).catch(() => undefined)
  })
}
