/**
 * A program within a client's namespace that keeps connections to echo workloads: on each it sends a number, waits for it
 * to come back, and sends the next soon after. It obeys JSON lines and ends when its standard input does.
 */

import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import * as v from 'valibot'
import { wallMilliseconds } from '../clock.ts'
import { type Answer, type Command, commandSchema, type EchoConnection } from './messages.ts'

type Target = EchoConnection['target']

interface Kept {
  /** Resolves at the first echo; rejects where the connection ends before. */
  readonly first: Promise<void>
  describe(): EchoConnection
  close(): void
}

const pauseMilliseconds = 50

const say = (answer: Answer) => process.stdout.write(`${JSON.stringify(answer)}\n`)

function keepConnection(target: Target): Kept {
  const first = Promise.withResolvers<void>()
  let echoes = 0
  let lastAt = wallMilliseconds()
  let longest = 0
  let ended: { readonly at: number; readonly why: string } | undefined
  let text = ''

  const socket = connect(target.port, target.address)
  socket.setNoDelay(true)
  const end = (why: string) => {
    if (ended !== undefined) return
    ended = { at: wallMilliseconds(), why }
    first.reject(new Error(`${target.address}:${target.port}: ${why}`))
    socket.destroy()
  }
  const send = () => {
    if (ended === undefined) socket.write(`${echoes}\n`)
  }
  socket.on('connect', send)
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    if (!text.endsWith('\n')) return
    if (text !== `${echoes}\n`) return end(`sent ${echoes}, got ${text.trim()}`)
    text = ''
    const at = wallMilliseconds()
    longest = Math.max(longest, at - lastAt)
    lastAt = at
    echoes += 1
    first.resolve()
    setTimeout(send, pauseMilliseconds)
  })
  socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
  socket.on('close', () => end('closed'))

  return {
    first: first.promise,
    describe: () => ({
      target,
      echoes,
      longestGapMilliseconds: Math.max(longest, ended === undefined ? wallMilliseconds() - lastAt : 0),
      endedAt: ended?.at ?? null,
      why: ended?.why ?? null,
    }),
    close: () => end('closed by its own client'),
  }
}

let kept: readonly Kept[] = []
const seen = (): Answer => ({ kind: 'seen', connections: kept.map((one) => one.describe()) })

async function obey(command: Command): Promise<void> {
  switch (command.kind) {
    case 'open': {
      const { targets, perTarget } = command
      kept = targets.flatMap((target) => Array.from({ length: perTarget }, () => keepConnection(target)))
      await Promise.all(kept.map(({ first }) => first))
      say({ kind: 'open' })
      return
    }
    case 'look':
      say(seen())
      return
    case 'close':
      say(seen())
      for (const one of kept) one.close()
      kept = []
      return
    default:
      return command satisfies never
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  await obey(v.parse(commandSchema, JSON.parse(line)))
}
process.exit(0)
