/** Starts a load in the network namespace of a client, and speaks with it. */

import * as v from 'valibot'
import { startJsonLines } from '../json-lines.ts'
import { type Answer, answerSchema, type Command, type PhaseReport } from './messages.ts'

export type LoadOptions = Omit<Extract<Command, { kind: 'start' }>, 'kind'>

export interface Load {
  /** Requests that begin from now on count under this name. */
  enterPhase(name: string): Promise<void>
  /** How many of this phase have ended. */
  count(): Promise<number>
  end(): Promise<readonly PhaseReport[]>
  stop(): Promise<void>
}

const program = new URL('load.ts', import.meta.url).pathname
const answerTimeoutSeconds = 20

/** `clientPid` is any process of the client's network namespace. */
export async function startLoad(clientPid: number, options: LoadOptions): Promise<Load> {
  const lines = startJsonLines(['nsenter', '-t', String(clientPid), '-n', '--', process.execPath, program])
  const ask = async <Kind extends Answer['kind']>(command: Command, kind: Kind) => {
    lines.send(command)
    const answer = v.parse(answerSchema, await lines.receive(answerTimeoutSeconds))
    if (answer.kind !== kind) throw new Error(`BUG: the load said ${answer.kind} where ${kind} was due`)
    return answer as Extract<Answer, { kind: Kind }>
  }
  await ask({ kind: 'start', ...options }, 'running')
  return {
    enterPhase: async (name) => void (await ask({ kind: 'phase', name }, 'phase')),
    count: async () => (await ask({ kind: 'count' }, 'count')).requests,
    end: async () => (await ask({ kind: 'end' }, 'ended')).phases,
    stop: () => lines.stop(),
  }
}
