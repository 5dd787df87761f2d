/** Starts the program that keeps long-lived connections in the network namespace of a client, and speaks with it. */

import * as v from 'valibot'
import { startJsonLines } from '../json-lines.ts'
import type { Target } from '../prober/messages.ts'
import { type Answer, answerSchema, type Command, type EchoConnection } from './messages.ts'

export interface EchoConnections {
  /** Resolves once every one of them has had an echo. */
  open(targets: readonly Target[], perTarget: number): Promise<void>
  look(): Promise<readonly EchoConnection[]>
  /** Closes those that live; answers how all of them were. */
  close(): Promise<readonly EchoConnection[]>
  stop(): Promise<void>
}

const program = new URL('echo-connections.ts', import.meta.url).pathname
const answerTimeoutSeconds = 20

/** `clientPid` is any process of the client's network namespace. */
export function startEchoConnections(clientPid: number): EchoConnections {
  const lines = startJsonLines(['nsenter', '-t', String(clientPid), '-n', '--', process.execPath, program])
  const ask = async <Kind extends Answer['kind']>(command: Command, kind: Kind) => {
    lines.send(command)
    const answer = v.parse(answerSchema, await lines.receive(answerTimeoutSeconds))
    if (answer.kind !== kind) throw new Error(`BUG: the connections said ${answer.kind} where ${kind} was due`)
    return answer as Extract<Answer, { kind: Kind }>
  }
  return {
    open: async (targets, perTarget) => void (await ask({ kind: 'open', targets: [...targets], perTarget }, 'open')),
    look: async () => (await ask({ kind: 'look' }, 'seen')).connections,
    close: async () => (await ask({ kind: 'close' }, 'seen')).connections,
    stop: () => lines.stop(),
  }
}
