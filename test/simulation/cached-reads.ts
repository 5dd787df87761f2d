/**
 * Controllers that keep reads in memory while others write: memories that lag, readings that take their time and come
 * back in any order, readings ahead, changes that nobody hears of, callers who go from one controller to another. Each
 * answer is held against the one truth. Time is simulated; the cache is the real one.
 */

import {
  type Basis,
  createReadCache,
  type ReadCache,
  type Ticket,
} from '../../controller/prediction/prefetch/read-cache.ts'
import type { Chance } from './random.ts'

export interface CachedReadsRun {
  readonly steps: number
  readonly ageMillisecondsMaximum: number
  /** That a change is told to a controller's cache when its memory takes it in; else it is missed. */
  readonly heard: number
}

export interface CachedReadsEnd {
  readonly served: number
  readonly hits: number
  readonly writes: number
  readonly prefetches: number
  /** How long what was served had been outdated by then, at most. */
  readonly behindMillisecondsMaximum: number
  readonly faults: readonly string[]
}

interface Thing {
  version: number
  /** When each version was superseded, from version 1 on. */
  readonly supersededAt: number[]
}

interface Reading {
  readonly ticket: Ticket
  readonly key: string
  readonly thing: number
  readonly version: number
  readonly dueAt: number
  readonly caller: Caller | null
}

interface Caller {
  readonly id: number
  /** The greatest version that it was shown anywhere. */
  readonly anywhere: number[]
  /** By controller: what it was shown there. */
  readonly here: number[][]
}

interface Controller {
  readonly cache: ReadCache<number>
  /** What its memory holds of each thing. */
  readonly memory: number[]
  readonly readings: Reading[]
}

const things = 5
/** Fewer than there are keys: some have to leave for others. */
const bytesMaximum = 8
const controllerCount = 2
const callerCount = 4
const faultsMaximum = 10

export async function runCachedReads(chance: Chance, run: CachedReadsRun): Promise<CachedReadsEnd> {
  let now = 0
  const truth: Thing[] = Array.from({ length: things }, () => ({ version: 1, supersededAt: [] }))
  const zeros = () => Array.from({ length: things }, () => 0)
  const controllers: Controller[] = Array.from({ length: controllerCount }, () => ({
    cache: createReadCache<number>({
      bytesMaximum,
      ageMillisecondsMaximum: run.ageMillisecondsMaximum,
      now: () => now,
    }),
    memory: truth.map(() => 1),
    readings: [],
  }))
  const callers: Caller[] = Array.from({ length: callerCount }, (_, id) => ({
    id,
    anywhere: zeros(),
    here: controllers.map(zeros),
  }))
  const counts = { served: 0, hits: 0, writes: 0, prefetches: 0, behindMillisecondsMaximum: 0 }
  const faults: string[] = []
  const fault = (text: string) => faults.length < faultsMaximum && faults.push(text)

  const basisOf = ({ memory }: Controller, thing: number, version: number): Basis => ({
    source: `thing/${thing}`,
    shardKey: null,
    version,
    current: async () => memory[thing] ?? 0,
  })

  function begin(controller: Controller, thing: number, caller: Caller | null): void {
    const version = truth[thing]?.version ?? 0
    const dueAt = now + chance.below(300)
    controller.readings.push({ ticket: controller.cache.begin(), key: drawKey(thing), thing, version, dueAt, caller })
  }

  function end(controller: Controller, { ticket, key, thing, version, caller }: Reading): void {
    const basis = basisOf(controller, thing, version)
    if (caller !== null) {
      note(controller, caller, thing, version)
      controller.cache.raise(basis.source, version)
    }
    controller.cache.put(ticket, {
      key,
      actionType: 'read',
      data: version,
      bytes: 1,
      basis,
      reason: { kind: 'missed' },
    })
  }

  function note(controller: Controller, caller: Caller, thing: number, version: number): void {
    const here = caller.here[controllers.indexOf(controller)] ?? []
    counts.served++
    here[thing] = Math.max(here[thing] ?? 0, version)
    caller.anywhere[thing] = Math.max(caller.anywhere[thing] ?? 0, version)
  }

  /** Several reads rest on one thing, as a history and each of its versions do. */
  const drawKey = (thing: number) => `${thing}/${chance.below(2)}`

  async function read(controller: Controller, caller: Caller, thing: number): Promise<void> {
    const named = chance.happens(0.5) ? (caller.anywhere[thing] ?? 0) : 0
    const seen = Math.max(caller.here[controllers.indexOf(controller)]?.[thing] ?? 0, controller.memory[thing] ?? 0)
    const found = await controller.cache.find(drawKey(thing), named)
    if (found.kind === 'miss') {
      begin(controller, thing, caller)
      return
    }
    counts.hits++
    const { data: version } = found.entry
    if (version < named) fault(`version ${version} of ${thing} was served at ${now} to one who named ${named}`)
    if (version < seen) fault(`version ${version} of ${thing} was served at ${now} to one who was shown ${seen}`)
    const supersededAt = truth[thing]?.supersededAt[version - 1] ?? now
    counts.behindMillisecondsMaximum = Math.max(counts.behindMillisecondsMaximum, now - supersededAt)
    if (now - supersededAt > run.ageMillisecondsMaximum) {
      fault(`version ${version} of ${thing} was served at ${now}, ${now - supersededAt} ms after it was superseded`)
    }
    note(controller, caller, thing, version)
  }

  function take(controller: Controller, thing: number): void {
    const known = controller.memory[thing] ?? 0
    const latest = truth[thing]?.version ?? 0
    if (known >= latest) return
    controller.memory[thing] = known + 1 + chance.below(latest - known)
    if (chance.happens(run.heard)) controller.cache.outdate(`thing/${thing}`, controller.memory[thing] ?? 0)
  }

  for (let step = 0; step < run.steps; step++) {
    now += chance.happens(0.02) ? chance.below(run.ageMillisecondsMaximum) : chance.below(5)
    const controller = controllers[chance.below(controllerCount)]
    const caller = callers[chance.below(callerCount)]
    const thing = chance.below(things)
    const one = truth[thing]
    if (controller === undefined || caller === undefined || one === undefined) throw new Error('BUG: there is none')
    const due = controller.readings.findIndex(({ dueAt }) => dueAt <= now)
    const dice = chance.below(100)
    if (due >= 0 && dice < 40) for (const reading of controller.readings.splice(due, 1)) end(controller, reading)
    else if (dice < 50) {
      one.supersededAt.push(now)
      one.version++
      counts.writes++
    } else if (dice < 62) take(controller, thing)
    else if (dice < 75) {
      counts.prefetches++
      begin(controller, thing, null)
    } else await read(controller, caller, thing)
  }
  return { ...counts, faults }
}
