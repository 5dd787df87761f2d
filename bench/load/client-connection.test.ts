import { afterEach, describe, expect, test } from 'bun:test'
import { createClientConnection, type Exchange } from './client-connection.ts'

/** A server that answers each request on a connection by the next of these. */
type Reply = string | 'close' | 'silence'
const good = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

let stop: () => void = () => {}
afterEach(() => stop())

function serve(replies: readonly Reply[]) {
  let asked = 0
  let connections = 0
  const server = Bun.listen<undefined>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open: () => {
        connections += 1
      },
      data(socket) {
        const reply = replies[asked++] ?? good
        if (reply === 'close') socket.terminate()
        else if (reply !== 'silence') socket.write(reply)
      },
    },
  })
  stop = () => server.stop(true)
  return { port: server.port, connections: () => connections }
}

async function exchangeAll(replies: readonly Reply[], requestsPerConnection = Number.POSITIVE_INFINITY) {
  const server = serve(replies)
  const options = { address: '127.0.0.1', port: server.port, timeoutMilliseconds: 300, requestsPerConnection }
  const connection = createClientConnection(options)
  const outcomes: Exchange[] = []
  for (const _ of replies) outcomes.push(await connection.exchange())
  connection.close()
  return { outcomes: outcomes.map((one) => (one.ok ? 'ok' : one.why)), connections: server.connections() }
}

describe('a client', () => {
  test('keeps its connection while all is well', async () => {
    expect(await exchangeAll([good, good, good])).toEqual({ outcomes: ['ok', 'ok', 'ok'], connections: 1 })
  })

  test('takes a fresh one after so many requests', async () => {
    expect(await exchangeAll([good, good, good, good], 2)).toEqual({
      outcomes: ['ok', 'ok', 'ok', 'ok'],
      connections: 2,
    })
  })

  const failures: readonly [string, Reply, string][] = [
    ['a status that is not 2xx', 'HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n', 'status 503'],
    ['a closed connection', 'close', 'closed before the answer'],
    ['silence', 'silence', 'no answer in 300 ms'],
    ['a body that is longer than stated', `${good}x`, 'more bytes than the answer states'],
    ['what is not HTTP', 'hello\r\n\r\n', 'no status line'],
  ]
  for (const [sentence, reply, why] of failures) {
    test(`counts ${sentence} as a failure, once, and goes on`, async () => {
      expect((await exchangeAll([good, reply, good])).outcomes).toEqual(['ok', why, 'ok'])
    })
  }

  test('counts a refused connection', async () => {
    const { port } = serve([])
    stop()
    const options = { address: '127.0.0.1', port, timeoutMilliseconds: 300, requestsPerConnection: 10 }
    const exchange = await createClientConnection(options).exchange()
    expect(exchange.ok ? 'ok' : exchange.why).toStartWith('not connected')
  })
})
