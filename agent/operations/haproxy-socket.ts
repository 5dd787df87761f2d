/** Speaks haproxy's runtime API: one line in, all of the answer out. */

import { connect } from 'node:net'

const timeoutMilliseconds = 5000

export type AskHaproxy = (socket: string, command: string) => Promise<string>

/** Rejects where haproxy isn't there or doesn't answer in time. Several commands go in one line, parted by `;`. */
export const askHaproxy: AskHaproxy = (socket, command) =>
  new Promise((resolve, reject) => {
    let answer = ''
    const connection = connect({ path: socket })
    connection.setEncoding('utf8')
    connection.setTimeout(timeoutMilliseconds, () => {
      connection.destroy(new Error(`${socket} gave no answer to '${command}' in ${timeoutMilliseconds} ms`))
    })
    connection.on('connect', () => {
      connection.write(`${command}\n`)
    })
    connection.on('data', (text: string) => {
      answer += text
    })
    connection.on('end', () => {
      resolve(answer)
    })
    connection.on('error', reject)
  })
