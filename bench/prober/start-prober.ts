/** Starts a prober in the network namespace of a client, and speaks with it. */

import * as v from 'valibot'
import { type JsonLines, startJsonLines } from '../json-lines.ts'
import { type Answer, answerSchema, type Command, type Target, type Watched } from './messages.ts'

export interface ProberPace {
  readonly periodMilliseconds: number
  readonly timeoutMilliseconds: number
}

export interface Prober {
  /** When each target first answered 200, wall-clock milliseconds; rejects where one never did. */
  awaitFirst(targets: readonly Target[], pace: ProberPace, giveUpSeconds: number): Promise<readonly number[]>
  /** Resolves once the target has answered and the watch is on. */
  watch(target: Target, pace: ProberPace): Promise<void>
  endWatch(): Promise<Watched>
  stop(): Promise<void>
}

const program = new URL('prober.ts', import.meta.url).pathname
const answerTimeoutSeconds = 10

/** `clientPid` is any process of the client's network namespace. */
export async function startProber(clientPid: number): Promise<Prober> {
  const lines = startJsonLines(['nsenter', '-t', String(clientPid), '-n', '--', process.execPath, program])
  await expectAnswer(lines, 'ready', answerTimeoutSeconds)
  const send = (command: Command) => lines.send(command)
  return {
    async awaitFirst(targets, pace, giveUpSeconds) {
      const giveUpMilliseconds = giveUpSeconds * 1000
      send({ kind: 'awaitFirst', targets: [...targets], ...pace, giveUpMilliseconds })
      const { at } = await expectAnswer(lines, 'first', giveUpSeconds + answerTimeoutSeconds)
      return at.map((time, index) => {
        if (time !== null) return time
        throw new Error(`${targets[index]?.address} gave no 200 within ${giveUpSeconds} s`)
      })
    },
    async watch(target, pace) {
      const giveUpMilliseconds = answerTimeoutSeconds * 1000
      send({ kind: 'watch', target, ...pace, giveUpMilliseconds })
      await expectAnswer(lines, 'watching', 2 * answerTimeoutSeconds)
    },
    async endWatch() {
      send({ kind: 'endWatch' })
      return await expectAnswer(lines, 'watched', answerTimeoutSeconds)
    },
    stop: () => lines.stop(),
  }
}

async function expectAnswer<Kind extends Answer['kind']>(
  lines: JsonLines,
  kind: Kind,
  timeoutSeconds: number,
): Promise<Extract<Answer, { kind: Kind }>> {
  const answer = v.parse(answerSchema, await lines.receive(timeoutSeconds))
  if (answer.kind !== kind) throw new Error(`BUG: the prober said ${answer.kind} where ${kind} was due`)
  return answer as Extract<Answer, { kind: Kind }>
}
