/** Starts a worker and speaks with it. */

import * as v from 'valibot'
import { startJsonLines } from '../json-lines.ts'
import { answerSchema, type Command, type Load, type Report } from './messages.ts'

export interface Worker {
  open(url: string, name: string): Promise<void>
  create(name: string, keys: number): Promise<void>
  run(load: Load): Promise<Report>
  stop(): Promise<void>
}

const program = new URL('worker.ts', import.meta.url).pathname
const answerTimeoutSeconds = 120

export function startWorker(): Worker {
  const lines = startJsonLines([process.execPath, program])
  const ask = async (command: Command) => {
    lines.send(command)
    return v.parse(answerSchema, await lines.receive(answerTimeoutSeconds))
  }
  return {
    open: async (url, name) => void (await ask({ kind: 'open', url, name })),
    create: async (name, keys) => void (await ask({ kind: 'create', name, keys })),
    async run(load) {
      const answer = await ask({ kind: 'run', load })
      if (answer.kind !== 'ran') throw new Error(`BUG: the worker said ${answer.kind} where ran was due`)
      return answer.report
    },
    stop: () => lines.stop(),
  }
}
