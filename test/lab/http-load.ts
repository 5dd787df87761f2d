/**
 * A client that asks for the same page over and over and counts strictly: a request that was sent and not answered whole is
 * a failure, nothing is tried again. Prints a line at its first answer, and ends on SIGTERM with one of JSON, an
 * HttpLoadResult.
 *   bun http-load.ts <steady|calm|post|probe> <address> <port> <connections>
 * `steady` keeps its connections; `calm` does too, and pauses between requests; `post` does too, with requests that nobody
 * on the way may try again; `probe` makes one for each request and gives it up after 100 ms, to measure gaps.
 */

import { connect, type Socket } from 'node:net'

export interface HttpLoadResult {
  readonly requests: number
  readonly failures: number
  /** What went wrong, and how often. */
  readonly reasons: Readonly<Record<string, number>>
  /** Between two answers one after the other. */
  readonly longestGapMilliseconds: number
  readonly slowestMilliseconds: number
  /** Answers by the first word of their body. */
  readonly answers: Readonly<Record<string, number>>
}

const probeMilliseconds = 100
const steadyMilliseconds = 10_000
const pauseMilliseconds = 2
const calmMilliseconds = 10

const [mode, address, port, connections] = process.argv.slice(2)
const counts = { requests: 0, failures: 0, longestGapMilliseconds: 0, slowestMilliseconds: 0 }
const reasons: Record<string, number> = {}
const answers: Record<string, number> = {}
let lastAnswerAt: number | undefined
let isOver = false

process.on('SIGTERM', () => {
  isOver = true
})

/** Resolves with the first word of a whole answer, or with an error that says why there is none. */
function ask(socket: Socket, timeoutMilliseconds: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const end = (settle: () => void) => {
      socket.removeAllListeners('data').removeAllListeners('close').removeAllListeners('error')
      clearTimeout(timer)
      socket.on('error', () => undefined)
      settle()
    }
    const fail = (reason: string) => {
      end(() => {
        reject(new Error(reason))
      })
    }
    const timer = setTimeout(() => {
      fail('timeout')
    }, timeoutMilliseconds)
    socket.on('error', (error: NodeJS.ErrnoException) => {
      fail(error.code ?? error.message)
    })
    socket.on('close', () => {
      fail(text === '' ? 'closed before the answer' : 'closed within the answer')
    })
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      const answer = parseAnswer(text)
      if (answer === undefined) return
      end(() => {
        if (answer.isLast) socket.destroy()
        if (answer.status === 200) resolve(answer.body.split(/\s/)[0] ?? '')
        else reject(new Error(`status ${answer.status}`))
      })
    })
    const line = mode === 'post' ? 'POST / HTTP/1.1\r\nContent-Length: 0' : 'GET / HTTP/1.1'
    socket.write(`${line}\r\nHost: ${address}\r\n\r\n`)
  })
}

interface Answer {
  readonly status: number
  readonly body: string
  /** The server has said that it will close. */
  readonly isLast: boolean
}

function parseAnswer(text: string): Answer | undefined {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd === -1) return undefined
  const head = text.slice(0, headEnd)
  const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
  const body = text.slice(headEnd + 4)
  if (body.length < length) return undefined
  return {
    status: Number(head.slice(9, 12)),
    body: body.slice(0, length),
    isLast: /^connection: close$/im.test(head),
  }
}

async function askOnce(socket: Socket, timeoutMilliseconds: number): Promise<boolean> {
  const startedAt = performance.now()
  counts.requests += 1
  try {
    const word = await ask(socket, timeoutMilliseconds)
    answers[word] = (answers[word] ?? 0) + 1
    const at = performance.now()
    counts.slowestMilliseconds = Math.max(counts.slowestMilliseconds, at - startedAt)
    counts.longestGapMilliseconds = Math.max(counts.longestGapMilliseconds, at - (lastAnswerAt ?? at))
    if (lastAnswerAt === undefined) process.stdout.write('answered\n')
    lastAnswerAt = at
    return true
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    reasons[reason] = (reasons[reason] ?? 0) + 1
    counts.failures += 1
    return false
  }
}

/** A connection that ended between two answers was closed politely, and another takes its place. */
async function steady(): Promise<void> {
  let socket = connect(Number(port), address)
  while (!isOver) {
    if (socket.destroyed || socket.readableEnded) socket = connect(Number(port), address)
    if (!(await askOnce(socket, steadyMilliseconds))) {
      socket.destroy()
      await Bun.sleep(pauseMilliseconds)
    }
    // Lets a close that has come with the answer be seen.
    await Bun.sleep(mode === 'calm' ? calmMilliseconds : 0)
  }
  socket.destroy()
}

async function probe(): Promise<void> {
  while (!isOver) {
    const socket = connect(Number(port), address)
    await askOnce(socket, probeMilliseconds)
    socket.destroy()
    await Bun.sleep(pauseMilliseconds)
  }
}

await Promise.all(Array.from({ length: Number(connections) }, () => (mode === 'probe' ? probe() : steady())))
process.stdout.write(`${JSON.stringify({ ...counts, reasons, answers } satisfies HttpLoadResult)}\n`)
