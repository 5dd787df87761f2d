/**
 * A client that keeps one connection to an echo workload: it sends a number, waits for it to come back, and sends the next
 * soon after. What became of it is in a file, an EchoResult, written anew all the time. Ends with its connection, or on
 * SIGTERM.
 *   bun echo-client.ts <address> <port> <file>
 */

import { renameSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'

export interface EchoResult {
  /** By which it can be told to end, on its own host. */
  readonly pid: number
  /** Of this end of the connection; undefined until there is one. */
  readonly localAddress: string | undefined
  readonly echoes: number
  /** Between two echoes one after the other, the time since the last one included. */
  readonly longestGapMilliseconds: number
  /** Why the connection is over; undefined while it lives. */
  readonly end: string | undefined
}

const pauseMilliseconds = 10
const writeMilliseconds = 50

const [address = '', port = '', file = ''] = process.argv.slice(2)
let localAddress: string | undefined
let echoes = 0
let longestGapMilliseconds = 0
let lastAt = performance.now()
let end: string | undefined

function write(): void {
  const openMilliseconds = end === undefined && echoes > 0 ? performance.now() - lastAt : 0
  const gap = Math.max(longestGapMilliseconds, openMilliseconds)
  const result: EchoResult = { pid: process.pid, localAddress, echoes, longestGapMilliseconds: gap, end }
  writeFileSync(`${file}.new`, JSON.stringify(result))
  renameSync(`${file}.new`, file)
}

const socket = connect(Number(port), address)
socket.setNoDelay(true)
const send = () => {
  if (end === undefined) socket.write(`${echoes}\n`)
}
socket.on('connect', () => {
  localAddress = socket.localAddress
  lastAt = performance.now()
  send()
})
let text = ''
socket.on('data', (chunk: Buffer) => {
  text += chunk.toString('latin1')
  if (!text.endsWith('\n')) return
  if (text !== `${echoes}\n`) {
    end = `sent ${echoes}, got ${text}`
    socket.destroy()
    return
  }
  text = ''
  const at = performance.now()
  if (echoes > 0) longestGapMilliseconds = Math.max(longestGapMilliseconds, at - lastAt)
  lastAt = at
  echoes += 1
  setTimeout(send, pauseMilliseconds)
})
socket.on('error', (error: NodeJS.ErrnoException) => {
  end ??= error.code ?? error.message
})
socket.on('close', () => {
  end ??= 'closed'
  write()
  process.exit(0)
})

setInterval(write, writeMilliseconds)
process.on('SIGTERM', () => {
  end ??= 'told to end'
  write()
  process.exit(0)
})
