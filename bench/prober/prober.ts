/**
 * A program within a client's namespace that asks VIPs at a steady pace, each time by a fresh connection, and notes when
 * they answered, on the driver's clock. It obeys JSON lines and ends when its standard input does.
 */

import { createInterface } from 'node:readline'
import * as v from 'valibot'
import { wallMilliseconds } from '../clock.ts'
import { type Answer, type Command, commandSchema, type Span, type Target } from './messages.ts'
import { probe } from './probe.ts'

type Pace = { readonly periodMilliseconds: number; readonly timeoutMilliseconds: number }

/** A stuck probe never holds the next one up, but so many at once would mean that something else is wrong. */
const inFlightMaximum = 256

const say = (answer: Answer) => process.stdout.write(`${JSON.stringify(answer)}\n`)

/** Calls at the steady pace, at once for the first time, until the returned function is called. */
function everyPeriod(milliseconds: number, call: () => void): () => void {
  call()
  const timer = setInterval(call, milliseconds)
  return () => clearInterval(timer)
}

function awaitFirst(target: Target, pace: Pace, giveUpMilliseconds: number): Promise<number | null> {
  return new Promise((resolve) => {
    let inFlight = 0
    const deadline = wallMilliseconds() + giveUpMilliseconds
    const end = (at: number | null) => {
      stop()
      resolve(at)
    }
    const ask = async () => {
      if (wallMilliseconds() >= deadline) end(null)
      if (inFlight >= inFlightMaximum) return
      inFlight += 1
      const result = await probe(target, pace.timeoutMilliseconds)
      inFlight -= 1
      if (result.ok) end(wallMilliseconds())
    }
    const stop = everyPeriod(pace.periodMilliseconds, () => void ask())
  })
}

function startWatch(target: Target, pace: Pace): { readonly end: () => void } {
  const from = wallMilliseconds()
  const successes: Span[] = []
  const failures: { span: Span; why: string }[] = []
  let inFlight = 0
  let lastStart = from
  let longestStallMilliseconds = 0
  const ask = async () => {
    const start = wallMilliseconds()
    longestStallMilliseconds = Math.max(longestStallMilliseconds, start - lastStart)
    lastStart = start
    if (inFlight >= inFlightMaximum) return
    inFlight += 1
    const result = await probe(target, pace.timeoutMilliseconds)
    inFlight -= 1
    const span: Span = [start, wallMilliseconds()]
    if (result.ok) successes.push(span)
    else failures.push({ span, why: result.why })
  }
  const stop = everyPeriod(pace.periodMilliseconds, () => void ask())
  return {
    end() {
      stop()
      say({ kind: 'watched', from, to: wallMilliseconds(), successes, failures, longestStallMilliseconds })
    },
  }
}

let watch: ReturnType<typeof startWatch> | undefined

async function obey(command: Command): Promise<void> {
  switch (command.kind) {
    case 'awaitFirst': {
      const { targets, giveUpMilliseconds } = command
      const at = await Promise.all(targets.map((target) => awaitFirst(target, command, giveUpMilliseconds)))
      say({ kind: 'first', at })
      return
    }
    case 'watch':
      await awaitFirst(command.target, command, command.giveUpMilliseconds)
      watch = startWatch(command.target, command)
      say({ kind: 'watching' })
      return
    case 'endWatch':
      watch?.end()
      watch = undefined
      return
    default:
      return command satisfies never
  }
}

say({ kind: 'ready' })
for await (const line of createInterface({ input: process.stdin })) {
  void obey(v.parse(commandSchema, JSON.parse(line)))
}
process.exit(0)
