/**
 * One client of a load: a connection that is kept alive, one request at a time, each counted once and never repeated. A
 * request has failed unless a whole 2xx came back on the connection that it was sent on, in time.
 */

import { readAnswer } from '../http-response.ts'

/** The connection went, before or within the answer. */
export const closedReason = 'closed before the answer'

export type Exchange = { readonly ok: true } | { readonly ok: false; readonly why: string }

export interface ClientConnection {
  /** Opens a connection where there is none. Never rejects; one at a time. */
  exchange(): Promise<Exchange>
  close(): void
}

export interface ClientOptions {
  readonly address: string
  readonly port: number
  readonly timeoutMilliseconds: number
  /** After so many requests the connection is closed while it is idle; infinite: it is kept. */
  readonly requestsPerConnection: number
}

export function createClientConnection(options: ClientOptions): ClientConnection {
  const request = Buffer.from(`GET / HTTP/1.1\r\nHost: ${options.address}\r\n\r\n`)
  let socket: Bun.Socket<undefined> | undefined
  let sent = 0
  let bytes = Buffer.alloc(0)
  let settle: ((exchange: Exchange) => void) | undefined

  const drop = (dropped: Bun.Socket<undefined> | undefined) => {
    if (dropped === socket) socket = undefined
    dropped?.terminate()
  }
  const end = (exchange: Exchange) => {
    const done = settle
    settle = undefined
    done?.(exchange)
  }
  const write = (open: Bun.Socket<undefined>) => {
    bytes = Buffer.alloc(0)
    sent += 1
    open.write(request)
  }
  const takeAnswer = (open: Bun.Socket<undefined>) => {
    const answer = readAnswer(bytes)
    if (answer.kind === 'partial') return
    const isWhole = answer.kind === 'complete' && answer.length === bytes.length
    if (!isWhole || answer.closes) drop(open)
    else if (sent >= options.requestsPerConnection) {
      socket = undefined
      open.end()
    }
    if (answer.kind === 'unreadable') end({ ok: false, why: answer.why })
    else if (!isWhole) end({ ok: false, why: 'more bytes than the answer states' })
    else if (answer.status < 200 || answer.status > 299) end({ ok: false, why: `status ${answer.status}` })
    else end({ ok: true })
  }
  /** A connection that the other side closed while it was idle is no failure: no request was on it. */
  const lose = (lost: Bun.Socket<undefined>, why: string) => {
    if (lost !== socket) return
    socket = undefined
    end({ ok: false, why })
  }
  const handlers: Bun.SocketHandler<undefined> = {
    open(opened) {
      if (settle === undefined) return void opened.terminate()
      socket = opened
      sent = 0
      write(opened)
    },
    data(from, chunk) {
      if (from !== socket || settle === undefined) return
      bytes = Buffer.concat([bytes, chunk])
      takeAnswer(from)
    },
    end: (ended) => {
      lose(ended, closedReason)
      ended.end()
    },
    close: (closed) => lose(closed, closedReason),
    error: (broken, error) => lose(broken, `error ${error.message}`),
    connectError: (_socket, error) => end({ ok: false, why: `not connected: ${error.message}` }),
  }

  return {
    exchange() {
      return new Promise((resolve) => {
        const timer = setTimeout(() => {
          const stuck = socket
          end({ ok: false, why: `no answer in ${options.timeoutMilliseconds} ms` })
          drop(stuck)
        }, options.timeoutMilliseconds)
        settle = (exchange) => {
          clearTimeout(timer)
          resolve(exchange)
        }
        if (socket !== undefined) write(socket)
        else {
          const { address: hostname, port } = options
          // Its failures have been told by connectError.
          Bun.connect<undefined>({ hostname, port, socket: handlers }).catch(() => undefined)
        }
      })
    },
    close: () => drop(socket),
  }
}
