/** Starts a worker and speaks with it. */

import * as v from 'valibot'
import { startJsonLines } from '../json-lines.ts'
import { type Answer, answerSchema, type Command } from './messages.ts'

export interface Worker {
  /** Rejects when the answer does not come in time, or is of another kind. */
  ask<Kind extends Answer['kind']>(command: Command, kind: Kind): Promise<Extract<Answer, { kind: Kind }>>
  stop(): Promise<void>
}

const program = new URL('worker.ts', import.meta.url).pathname
/** To fill a thousand shards takes longest. */
const answerTimeoutSeconds = 300

export function startWorker(): Worker {
  const lines = startJsonLines([process.execPath, program])
  return {
    async ask<Kind extends Answer['kind']>(command: Command, kind: Kind) {
      lines.send(command)
      const answer = v.parse(answerSchema, await lines.receive(answerTimeoutSeconds))
      if (answer.kind !== kind) throw new Error(`BUG: the worker said ${answer.kind} where ${kind} was due`)
      return answer as Extract<Answer, { kind: Kind }>
    },
    stop: () => lines.stop(),
  }
}
