/** Asks a name server by UDP, as a client's resolver does, again and again until it answers what is waited for. */

import { createSocket, type Socket } from 'node:dgram'
import { classes, decodeMessage, emptyMessage, encodeMessage, types } from '../../controller/names/wire/message.ts'
import { decodeAddress } from '../../controller/names/wire/record-data.ts'

export interface Resolver {
  /** Resolves at the first answer of just these addresses, with the time of it. */
  waitFor(dnsName: string, addresses: readonly string[]): Promise<number>
  close(): void
}

const answerMilliseconds = 500
const patienceMilliseconds = 20_000

export async function openResolver(port: number): Promise<Resolver> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.connect(port, '127.0.0.1', resolve))
  let id = 0
  const resolver: Resolver = {
    async waitFor(dnsName, addresses) {
      const wanted = addresses.toSorted().join(' ')
      const deadline = performance.now() + patienceMilliseconds
      for (;;) {
        id = (id + 1) & 0xffff
        const answer = await ask(socket, dnsName, id)
        const at = performance.now()
        if (answer?.join(' ') === wanted) return at
        if (at > deadline) throw new Error(`${dnsName} lists ${answer?.join(' ')}, not ${wanted}`)
      }
    },
    close: () => socket.close(),
  }
  return resolver
}

function ask(socket: Socket, name: string, id: number): Promise<readonly string[] | null> {
  const { promise, resolve } = Promise.withResolvers<readonly string[] | null>()
  const take = (bytes: Uint8Array) => {
    const decoded = decodeMessage(new Uint8Array(bytes))
    if (decoded.kind === 'malformed' || decoded.message.id !== id) return
    end(
      decoded.message.answers
        .flatMap(({ type, data }) => (type === types.a ? (decodeAddress(data) ?? []) : []))
        .toSorted(),
    )
  }
  const end = (answer: readonly string[] | null) => {
    clearTimeout(timer)
    socket.off('message', take)
    resolve(answer)
  }
  const timer = setTimeout(() => end(null), answerMilliseconds)
  socket.on('message', take)
  socket.send(encodeMessage({ ...emptyMessage, id, questions: [{ name, type: types.a, class: classes.in }] }))
  return promise
}
