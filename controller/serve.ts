/**
 * Serves a Hono app over node:http, which on Bun keeps the body of a GET as `Bun.serve` does not. Streams answers that
 * are streams, tells the app when a caller has gone, and closes without cutting off what is under way. It opens the
 * listening sockets and touches nothing else.
 */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { backupMediaType } from './contract/backup.ts'

export interface ServeOptions {
  readonly app: { fetch(request: Request): Response | Promise<Response> }
  /** `127.0.0.1:7480`, `[::1]:7480`; port 0 takes a free one. */
  readonly listen: readonly string[]
  /** How long `close` waits for requests that are under way. */
  readonly drainMilliseconds?: number
}

export interface ServedApp {
  /** Where it listens, one for each of `listen`: `http://127.0.0.1:7480`. */
  readonly urls: readonly string[]
  /** No new request is taken; streams end, other requests are finished, those that take too long are cut off. */
  close(): Promise<void>
}

const drainMillisecondsDefault = 10_000
const headersBytesMaximum = 16 * 1024
const headersMillisecondsMaximum = 10_000
const requestMillisecondsMaximum = 60_000
const keepAliveMilliseconds = 75_000
/** What is sent as it comes; every other answer is put together first. */
const streamedTypes: ReadonlySet<string> = new Set(['text/event-stream', backupMediaType])

interface Exchange {
  readonly abort: AbortController
  isStream: boolean
}

/** @example const served = await serve({ app: createApp(options), listen: ['127.0.0.1:7480'] }) */
export async function serve(options: ServeOptions): Promise<ServedApp> {
  const exchanges = new Set<Exchange>()
  let isClosing = false
  let onDrained = () => {}

  const handle = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const exchange: Exchange = { abort: new AbortController(), isStream: false }
    exchanges.add(exchange)
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) exchange.abort.abort()
    })
    if (isClosing) outgoing.setHeader('connection', 'close')
    try {
      await answer(options.app, incoming, outgoing, exchange)
    } catch {
      // The app answers every failure itself: what is left is a caller that has gone, or a request that is none.
      outgoing.destroy()
    } finally {
      exchanges.delete(exchange)
      if (exchanges.size === 0) onDrained()
    }
  }

  const servers: Server[] = []
  try {
    for (const address of options.listen) servers.push(await listen(address, handle))
  } catch (cause) {
    for (const server of servers) server.close()
    throw cause
  }

  return {
    urls: servers.map(describeUrl),
    async close() {
      isClosing = true
      const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())))
      for (const { isStream, abort } of exchanges) if (isStream) abort.abort()
      await waitUntilDrained(options.drainMilliseconds ?? drainMillisecondsDefault)
      for (const { abort } of exchanges) abort.abort()
      for (const server of servers) server.closeAllConnections()
      await Promise.all(closed)
    },
  }

  async function waitUntilDrained(milliseconds: number): Promise<void> {
    if (exchanges.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    onDrained = resolve
    const timer = setTimeout(resolve, milliseconds)
    await promise
    clearTimeout(timer)
  }
}

type Handle = (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>

async function listen(address: string, handle: Handle): Promise<Server> {
  const [, host, port] = /^(?:\[([0-9a-fA-F:]+)\]|[^:]+):(\d{1,5})$/.exec(address) ?? []
  if (port === undefined) throw new Error(`'${address}' is not an address to listen on: give it as 127.0.0.1:7480`)
  const server = createServer({ maxHeaderSize: headersBytesMaximum, keepAlive: true }, (incoming, outgoing) => {
    void handle(incoming, outgoing)
  })
  server.headersTimeout = headersMillisecondsMaximum
  server.requestTimeout = requestMillisecondsMaximum
  server.keepAliveTimeout = keepAliveMilliseconds
  const listening = once(server, 'listening')
  server.listen({ host: host ?? address.slice(0, address.lastIndexOf(':')), port: Number(port) })
  try {
    await listening
  } catch (cause) {
    throw new Error(`listening on ${address} failed; is something else listening there?`, { cause })
  }
  return server
}

function describeUrl(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('BUG: a server that listens has an address')
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
}

async function answer(
  app: ServeOptions['app'],
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  exchange: Exchange,
): Promise<void> {
  const request = toRequest(incoming, exchange.abort.signal)
  if (request === null) {
    outgoing.writeHead(400, { connection: 'close' }).end()
    return
  }
  const response = await app.fetch(request)
  const headers: Record<string, string> = Object.fromEntries(response.headers)
  // A body that was not read to its end would be taken for the next request.
  if (!incoming.complete) headers.connection = 'close'
  if (response.body === null || incoming.method === 'HEAD') {
    outgoing.writeHead(response.status, headers).end()
    return
  }
  exchange.isStream = streamedTypes.has(headers['content-type'] ?? '')
  if (exchange.isStream) await stream(response.body, outgoing, headers, exchange.abort.signal)
  else {
    const body = Buffer.from(await response.arrayBuffer())
    outgoing.writeHead(response.status, { ...headers, 'content-length': String(body.byteLength) }).end(body)
  }
  if (!outgoing.writableFinished && !outgoing.destroyed)
    await Promise.race([once(outgoing, 'finish'), once(outgoing, 'close')])
}

/** Null: its target or its headers can't be those of a request. */
function toRequest(incoming: IncomingMessage, signal: AbortSignal): Request | null {
  const { method = 'GET', url = '/' } = incoming
  try {
    // A target of the form `//elsewhere/` stays a path, and the Host header plays no part.
    const target = url.startsWith('/') ? `http://controller${url}` : new URL(url).href
    const headers = new Headers()
    for (let i = 0; i + 1 < incoming.rawHeaders.length; i += 2) {
      headers.append(incoming.rawHeaders[i] ?? '', incoming.rawHeaders[i + 1] ?? '')
    }
    const hasBody = headers.has('transfer-encoding') || Number(headers.get('content-length') ?? 0) > 0
    return new Request(target, { method, headers, signal, body: hasBody ? toStream(incoming) : null })
  } catch {
    return null
  }
}

function toStream(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  const chunks = incoming[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      const next = await chunks.next()
      if (next.done === true) controller.close()
      else controller.enqueue(next.value)
    },
    cancel() {
      incoming.pause()
    },
  })
}

/** Writes as fast as the caller reads, and no faster. */
async function stream(
  body: ReadableStream<Uint8Array>,
  outgoing: ServerResponse,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  outgoing.writeHead(200, headers)
  outgoing.flushHeaders()
  const reader = body.getReader()
  const cancel = () => {
    reader.cancel().catch(() => undefined)
  }
  signal.addEventListener('abort', cancel)
  if (signal.aborted) cancel()
  try {
    for (let next = await reader.read(); next.done !== true; next = await reader.read()) {
      if (!outgoing.write(next.value)) await Promise.race([once(outgoing, 'drain'), once(outgoing, 'close')])
    }
  } finally {
    signal.removeEventListener('abort', cancel)
    outgoing.end()
  }
}
