/**
 * Reads the ring into which an instance's haproxy writes its access lines, from each of its workers: one that a reload has
 * replaced still writes lines of what it had begun. Speaks to the runtime API's sockets and touches nothing else.
 */

import { connect, type Socket } from 'node:net'
import { accessRing } from '../../templates/haproxy-log.ts'
import type { AskHaproxy } from '../operations/haproxy-socket.ts'

export interface RingSockets {
  readonly statsSocket: string
  readonly masterSocket: string
}

/** Told of one worker's lines, those first that were in the ring when the connection was made. */
export interface RingListener {
  onConnect(worker: number): void
  onLine(worker: number, line: string): void
  /** Nothing more comes from this worker by this connection. */
  onEnd(worker: number): void
}

export interface RingFollower {
  /** Another worker may answer there now: reads from it as well, or for the first time. */
  followNewest(): void
  close(): void
}

const retryMilliseconds = 500
/** How often a worker on its way out is asked whether it has clients. */
const lookMilliseconds = 1000
/** A line is shorter, and whatever is longer is none. */
const lineCharactersMaximum = 16_384

export function followRing(sockets: RingSockets, ask: AskHaproxy, listener: RingListener): RingFollower {
  let isClosed = false
  let retry: ReturnType<typeof setTimeout> | undefined
  let newest: Reader | undefined
  const leaving = new Set<Reader>()

  const open = () => {
    clearTimeout(retry)
    const reader = readRing(sockets.statsSocket, {
      onConnect(worker) {
        // The same one again, e.g. as the reload was another instance's or has not taken place.
        const others = [...leaving].filter((other) => other.worker() === worker)
        for (const other of others) other.close()
        listener.onConnect(worker)
      },
      onLine: listener.onLine,
      onEnd(worker) {
        leaving.delete(reader)
        if (worker !== undefined) listener.onEnd(worker)
        if (isClosed || newest !== reader) return
        newest = undefined
        retry = setTimeout(open, retryMilliseconds)
      },
    })
    newest = reader
  }

  /** A reader keeps its worker alive, so it goes once there is nothing left that could be written down. */
  const look = async () => {
    for (const reader of [...leaving]) {
      const worker = reader.worker()
      const answer = await ask(sockets.masterSocket, `@!${worker} show info`).catch(() => '')
      const hasClients = !/^CurrConns: 0$/m.test(answer)
      if (hasClients && answer !== '') continue
      if (reader.isQuiet()) reader.close()
    }
  }
  const looking = setInterval(() => void (leaving.size > 0 && look()), lookMilliseconds)
  looking.unref()

  return {
    followNewest() {
      if (newest?.worker() !== undefined) leaving.add(newest)
      else newest?.close()
      open()
    },
    close() {
      isClosed = true
      clearTimeout(retry)
      clearInterval(looking)
      for (const reader of [newest, ...leaving]) reader?.close()
    },
  }
}

interface Reader {
  /** Undefined until it has said who it is. */
  worker(): number | undefined
  /** True: nothing has come since the last question. */
  isQuiet(): boolean
  close(): void
}

function readRing(
  path: string,
  listener: Omit<RingListener, 'onEnd'> & { onEnd(worker: number | undefined): void },
): Reader {
  const socket: Socket = connect({ path })
  socket.setEncoding('latin1')
  let worker: number | undefined
  let head = ''
  let isFollowing = false
  let rest = ''
  let hasNews = false

  const take = (text: string) => {
    hasNews = true
    if (isFollowing) takeLines(text)
    else takeHead(text)
  }
  /** What `show info` answers, up to the empty line. */
  const takeHead = (text: string) => {
    head += text
    const end = head.indexOf('\n\n')
    if (end < 0) return
    worker = Number(/^Pid: (\d+)$/m.exec(head)?.[1] ?? 0)
    isFollowing = true
    listener.onConnect(worker)
    takeLines(head.slice(end + 2))
    head = ''
  }
  const takeLines = (text: string) => {
    const lines = `${rest}${text}`.split('\n')
    rest = (lines.pop() ?? '').slice(0, lineCharactersMaximum)
    for (const line of lines) if (line !== '') listener.onLine(worker ?? 0, line)
  }

  socket.on('connect', () => {
    socket.write(`show info;show events ${accessRing} -w\n`)
  })
  socket.on('data', take)
  // Who isn't there is asked again; whoever looks at the instance says why.
  socket.on('error', () => undefined)
  socket.on('close', () => listener.onEnd(worker))
  return {
    worker: () => worker,
    isQuiet() {
      const isQuiet = !hasNews
      hasNews = false
      return isQuiet
    },
    close: () => socket.destroy(),
  }
}
