/** Speaks haproxy's runtime API: one line in, all of the answer out. */

import { connect } from 'node:net'
import type { Operation } from './operation.ts'

const timeoutMilliseconds = 5000

export type AskHaproxy = (socket: string, command: string) => Promise<string>

/** Rejects where haproxy isn't there or doesn't answer in time. Several commands go in one line, parted by `;`. */
export const askHaproxy: AskHaproxy = (socket, command) =>
  new Promise((resolve, reject) => {
    let answer = ''
    // The master answers for as long as it is spoken to: that no more will come has to be said.
    const connection = connect({ path: socket, allowHalfOpen: true })
    connection.setEncoding('utf8')
    connection.setTimeout(timeoutMilliseconds, () => {
      connection.destroy(new Error(`${socket} gave no answer to '${command}' in ${timeoutMilliseconds} ms`))
    })
    connection.on('connect', () => {
      connection.end(`${command}\n`)
    })
    connection.on('data', (text: string) => {
      answer += text
    })
    connection.on('end', () => {
      connection.destroy()
      resolve(answer)
    })
    connection.on('error', reject)
  })

type Reload = Extract<Operation, { kind: 'reloadHaproxy' }>

const reloadMilliseconds = 5000
const reloadPollMilliseconds = 10

/**
 * Gives the failure's words, or undefined. haproxy 2.6 answers nothing to `reload`, and its sockets refuse connections
 * while the master starts itself anew, so it is asked until the new worker speaks.
 */
export async function reloadHaproxy(ask: AskHaproxy, operation: Reload): Promise<string | undefined> {
  const deadline = performance.now() + reloadMilliseconds
  const isTaken = async () => (await ask(operation.statsSocket, 'show info')).includes(operation.description)
  await ask(operation.masterSocket, 'reload')
  while (performance.now() < deadline) {
    if (await isTaken().catch(() => false)) return undefined
    await Bun.sleep(reloadPollMilliseconds)
  }
  const processes = await ask(operation.masterSocket, 'show proc').catch(String)
  return `haproxy did not take its new config over in ${reloadMilliseconds} ms: ${processes.trim()}`
}
