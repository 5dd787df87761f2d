/**
 * A TCP proxy on a loopback port that loses and delays what passes through it, on command: how tests make an
 * acknowledgement get lost, or a write arrive long after its writer has given up. Only tests use it.
 */

import { createServer, connect as dial, type Socket } from 'node:net'

export interface TestTcpProxy {
  readonly url: string
  /** From now on, on the connections that are open: what the server answers is thrown away. */
  dropAnswers(): void
  /** From now on, on the connections that are open: what the client sends is kept back. */
  holdRequests(): void
  /** True when what is kept back holds this text. */
  isHolding(text: string): boolean
  /** Hangs up on the clients. The server notices nothing, and what is kept back is still kept. */
  cut(): void
  /** Sends the server what was kept back, and waits until it has read it. */
  release(): Promise<void>
  stop(): void
}

interface Line {
  readonly client: Socket
  readonly server: Socket
  readonly held: Buffer[]
  isHolding: boolean
  isDropping: boolean
  isCut: boolean
}

const answerSecondsMaximum = 10

export async function startTestTcpProxy(targetUrl: string): Promise<TestTcpProxy> {
  const target = new URL(targetUrl)
  const lines = new Set<Line>()

  const listener = createServer((client) => {
    const server = dial(Number(target.port), target.hostname)
    const line: Line = { client, server, held: [], isHolding: false, isDropping: false, isCut: false }
    lines.add(line)
    client.on('data', (data: Buffer) => {
      if (line.isHolding) line.held.push(data)
      else server.write(data)
    })
    server.on('data', (data: Buffer) => {
      if (!line.isDropping && !line.isCut) client.write(data)
    })
    for (const socket of [client, server]) socket.on('error', () => {})
    client.on('close', () => line.isCut || server.destroy())
    server.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')

  return {
    url: `nats://127.0.0.1:${address.port}`,
    dropAnswers() {
      for (const line of lines) line.isDropping = true
    },
    holdRequests() {
      for (const line of lines) line.isHolding = true
    },
    isHolding: (text) => [...lines].some(({ held }) => Buffer.concat(held).includes(text)),
    cut() {
      for (const line of lines) {
        if (line.isCut) continue
        line.isCut = true
        line.client.destroy()
      }
    },
    async release() {
      for (const line of lines) {
        if (line.held.length === 0 || line.server.destroyed) continue
        // NATS reads a connection in order: once it answers the ping, it has read what came before.
        await askForPong(line.server, Buffer.concat([...line.held, Buffer.from('PING\r\n')]))
        line.held.length = 0
      }
    },
    stop() {
      for (const { client, server } of lines) for (const socket of [client, server]) socket.destroy()
      listener.close()
    },
  }
}

function askForPong(server: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no PONG from the server')), 1000 * answerSecondsMaximum)
    let text = ''
    server.on('data', (data: Buffer) => {
      text += data.toString('latin1')
      if (!text.includes('PONG\r\n')) return
      clearTimeout(timer)
      resolve()
    })
    server.write(bytes)
  })
}
