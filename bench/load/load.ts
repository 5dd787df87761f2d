/**
 * A program within a client's namespace that sends requests at a steady rate over many connections and counts every one
 * that fails, by phase. It obeys JSON lines and ends when its standard input does.
 */

import { createInterface } from 'node:readline'
import * as v from 'valibot'
import { wallMilliseconds } from '../clock.ts'
import { type ClientConnection, createClientConnection } from './client-connection.ts'
import { type Answer, type Command, commandSchema } from './messages.ts'
import { createPhaseCounter } from './phase-counter.ts'

const say = (answer: Answer) => process.stdout.write(`${JSON.stringify(answer)}\n`)

type Start = Extract<Command, { kind: 'start' }>

function startLoad(start: Start) {
  const phases = [createPhaseCounter(start.phase)]
  let phase = phases[0]
  let isEnding = false
  const clients = Array.from({ length: start.connections }, (_, index) => {
    const target = start.targets[index % start.targets.length]
    if (target === undefined) throw new Error('BUG: a load without targets')
    // Pairs of clients share a target, so that each target has those that keep their connection and those that don't.
    const isFresh = Math.floor(index / start.targets.length) % 2 === 1
    const requestsPerConnection = isFresh ? start.requestsPerConnection : Number.POSITIVE_INFINITY
    const { timeoutMilliseconds } = start
    return { target, connection: createClientConnection({ ...target, timeoutMilliseconds, requestsPerConnection }) }
  })
  const periodMilliseconds = (1000 * start.connections) / start.requestsPerSecond

  const ask = async (target: Start['targets'][number], connection: ClientConnection) => {
    const counter = phase
    const at = wallMilliseconds()
    const exchange = await connection.exchange()
    const afterMilliseconds = wallMilliseconds() - at
    if (exchange.ok) counter?.succeed(afterMilliseconds)
    else counter?.fail({ at, target: `${target.address}:${target.port}`, why: exchange.why, afterMilliseconds })
  }
  const drive = async ({ target, connection }: (typeof clients)[number], index: number) => {
    // Evenly spread over the first period.
    let due = performance.now() + (periodMilliseconds * index) / start.connections
    while (!isEnding) {
      await Bun.sleep(Math.max(0, due - performance.now()))
      await ask(target, connection)
      // A client that has fallen behind doesn't catch up in a burst.
      due = Math.max(due + periodMilliseconds, performance.now())
    }
    connection.close()
  }
  const ends = Promise.all(clients.map(drive))

  return {
    enterPhase(name: string) {
      phase = createPhaseCounter(name)
      phases.push(phase)
    },
    count: () => phase?.count() ?? 0,
    async end() {
      isEnding = true
      await ends
      return phases.map((one) => one.report())
    },
  }
}

let load: ReturnType<typeof startLoad> | undefined

async function obey(command: Command): Promise<void> {
  switch (command.kind) {
    case 'start':
      load = startLoad(command)
      return void say({ kind: 'running' })
    case 'phase':
      load?.enterPhase(command.name)
      return void say({ kind: 'phase' })
    case 'count':
      return void say({ kind: 'count', requests: load?.count() ?? 0 })
    case 'end':
      return void say({ kind: 'ended', phases: (await load?.end()) ?? [] })
    default:
      return command satisfies never
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  await obey(v.parse(commandSchema, JSON.parse(line)))
}
process.exit(0)
