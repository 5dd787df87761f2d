/**
 * Requests and answers over one TCP connection, many at a time, each known by its id. The connection is made when it is
 * needed, and made anew where the server has closed it meanwhile, as servers do with one that is idle. The one place that
 * opens a socket to a name server.
 */

import { connect, type Socket } from 'node:net'
import { messageBytesMaximum } from './wire/message.ts'

export interface ServerAddress {
  readonly address: string
  readonly port: number
  readonly timeoutMilliseconds: number
}

/** What becomes of an exchange with one more message of its answer. `distrust`: the connection is given up with it. */
export type Taken = 'more' | 'done' | 'distrust'

/** `closed`: the connection ended before the answer; `silent`: none came in time. */
export type Said = { readonly kind: 'answered' } | { readonly kind: 'closed' | 'silent'; readonly reason: string }

interface Request {
  readonly bytes: Uint8Array
}

export interface Conversation {
  /** @param describe the request under an id that is free; @param begin takes each message of its answer */
  exchange<Sent extends Request>(
    describe: (id: number) => Sent,
    begin: (sent: Sent) => (bytes: Uint8Array) => Taken,
  ): Promise<Said>
  close(): void
}

interface Exchange {
  take(bytes: Uint8Array): void
  fail(reason: string): void
}

interface Line {
  readonly socket: Socket
  readonly exchanges: Map<number, Exchange>
  /** Something has been answered on it. */
  hasServed: boolean
  isOver: boolean
}

const lengthBytes = 2

export function createConversation(server: ServerAddress, random: (bytes: number) => Uint8Array): Conversation {
  let current: Line | null = null

  function openLine(): Line {
    const socket = connect({ host: server.address, port: server.port, noDelay: true })
    const line: Line = { socket, exchanges: new Map(), hasServed: false, isOver: false }
    let waiting: Buffer = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk])
      for (;;) {
        const length = waiting.length < lengthBytes ? null : waiting.readUInt16BE(0)
        if (length === null || waiting.length < lengthBytes + length) return
        const bytes = new Uint8Array(waiting.subarray(lengthBytes, lengthBytes + length))
        waiting = waiting.subarray(lengthBytes + length)
        // Whose answer it is stands in its first two bytes; what nobody waits for is dropped.
        const id = length < 2 ? null : ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)
        if (id !== null) line.exchanges.get(id)?.take(bytes)
        if (line.isOver) return
      }
    })
    socket.on('error', (error) => endLine(line, describeFault(error)))
    socket.on('close', () => endLine(line, 'it closed the connection'))
    return line
  }

  function endLine(line: Line, reason: string): void {
    if (line.isOver) return
    line.isOver = true
    if (current === line) current = null
    line.socket.destroy()
    for (const exchange of [...line.exchanges.values()]) exchange.fail(reason)
  }

  function chooseId(line: Line): number {
    for (;;) {
      const [high = 0, low = 0] = random(2)
      const id = (high << 8) | low
      if (!line.exchanges.has(id)) return id
    }
  }

  async function exchangeOn<Sent extends Request>(
    line: Line,
    describe: (id: number) => Sent,
    begin: (sent: Sent) => (bytes: Uint8Array) => Taken,
  ): Promise<Said> {
    const id = chooseId(line)
    const sent = describe(id)
    const takeAnswer = begin(sent)
    const { promise, resolve } = Promise.withResolvers<Said>()
    const expire = () => {
      settle({ kind: 'silent', reason: `no answer within ${server.timeoutMilliseconds} ms` })
      endLine(line, 'it does not answer')
    }
    let timer = setTimeout(expire, server.timeoutMilliseconds)
    const settle = (said: Said) => {
      clearTimeout(timer)
      line.exchanges.delete(id)
      resolve(said)
    }
    line.exchanges.set(id, {
      take(bytes) {
        line.hasServed = true
        clearTimeout(timer)
        const taken = takeAnswer(bytes)
        if (taken === 'more') timer = setTimeout(expire, server.timeoutMilliseconds)
        else settle({ kind: 'answered' })
        if (taken === 'distrust') endLine(line, 'an answer on its connection was forged')
      },
      fail: (reason) => settle({ kind: 'closed', reason }),
    })
    line.socket.write(frame(sent.bytes))
    return promise
  }

  return {
    async exchange(describe, begin) {
      const known = current
      const line = known ?? openLine()
      current = line
      const said = await exchangeOn(line, describe, begin)
      // One that was closed for having been idle: each request may be made again, as an update holds only where it is due.
      const isWornOut = known?.hasServed === true && said.kind === 'closed'
      if (!isWornOut) return said
      current ??= openLine()
      return exchangeOn(current, describe, begin)
    },
    close() {
      if (current !== null) endLine(current, 'this controller ends')
    },
  }
}

function frame(bytes: Uint8Array): Uint8Array {
  if (bytes.length > messageBytesMaximum) throw new Error('BUG: a message longer than one can be')
  const framed = new Uint8Array(lengthBytes + bytes.length)
  new DataView(framed.buffer).setUint16(0, bytes.length)
  framed.set(bytes, lengthBytes)
  return framed
}

function describeFault(error: Error): string {
  const { code } = error as NodeJS.ErrnoException
  switch (code) {
    case 'ECONNREFUSED':
      return 'nobody listens there'
    case 'ECONNRESET':
    case 'EPIPE':
      return 'it closed the connection'
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no way to it'
    default:
      return code ?? error.message
  }
}
