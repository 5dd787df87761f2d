/**
 * A name server for tests that answers each request as it is told to: rightly signed or not. It knows no zone. On a free
 * port of loopback, where nothing else is said.
 */

import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'

export interface ForgingServer {
  readonly port: number
  /** How many connections it has taken. */
  connections(): number
  close(): Promise<void>
}

/** What is sent for one request, message by message, without lengths; `end` closes the connection. */
export type Forge = (request: Uint8Array) => readonly (Uint8Array | 'end')[]

export async function startForgingServer(
  forge: Forge,
  { host, port }: { readonly host: string; readonly port: number } = { host: '127.0.0.1', port: 0 },
): Promise<ForgingServer> {
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => undefined)
    let waiting = Buffer.alloc(0) as Buffer
    socket.on('data', (chunk: Buffer) => {
      waiting = Buffer.concat([waiting, chunk])
      while (waiting.length >= 2 && waiting.length >= 2 + waiting.readUInt16BE(0)) {
        const length = waiting.readUInt16BE(0)
        const request = new Uint8Array(waiting.subarray(2, 2 + length))
        waiting = waiting.subarray(2 + length)
        for (const answer of forge(request)) {
          if (answer === 'end') socket.destroy()
          else socket.write(Uint8Array.of(answer.length >> 8, answer.length & 0xff, ...answer))
        }
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(port, host, resolve))
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
