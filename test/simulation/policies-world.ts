/**
 * A rack of nodes with microshards under a load that is made up or replayed, in virtual time, whose operations are decided
 * by the controller's own pure function on what the controller would see: averaged loads, and forecasts by the controller's
 * own forecasters. What is simulated is the load, the copying, and nothing else.
 */

import type { MicroshardPolicies } from '../../controller/contract/microshard-policies.ts'
import { placeMicroshards } from '../../controller/control-plane/directory/nodes.ts'
import { createLoadSeries, type LoadSeries } from '../../controller/prediction/monitoring/load-series.ts'
import { decide } from '../../controller/prediction/policies/decide.ts'
import { copiedBytes, microshardsOf, type OperationDecision } from '../../controller/prediction/policies/decision.ts'
import { firstState, type LifecycleState } from '../../controller/prediction/policies/lifecycle-state.ts'
import { createMicroshardForecasts, stepSecondsOf } from '../../controller/prediction/policies/microshard-forecasts.ts'
import type { MicroshardSight, NodeSight, OperationSight, Sight } from '../../controller/prediction/policies/sight.ts'

/** What is never cut: its load at a second since the beginning, in accesses a second. */
export interface SimulatedKey {
  readonly bytes: number
  readonly location?: string
  loadAt(second: number): number
}

/** What is believed of the time to come: nothing, forecasts, or the truth. */
export type Foresight = 'none' | 'forecast' | 'truth'

export interface PoliciesWorldOptions {
  readonly nodes: readonly NodeSight[]
  readonly keys: readonly SimulatedKey[]
  /** How many there are at the beginning, with as many keys each. */
  readonly microshards: number
  readonly policies: MicroshardPolicies
  readonly foresight: Foresight
  /** Nothing is ever done. */
  readonly isStatic?: boolean
  /** From one decision to the next. */
  readonly turnSeconds: number
}

export interface PoliciesTurn {
  readonly second: number
  /** By node, as it truly is. */
  readonly loads: ReadonlyMap<string, number>
  readonly decisions: readonly OperationDecision[]
  /** What they were decided on. */
  readonly sight: Sight
}

export interface PoliciesWorld {
  turn(): PoliciesTurn
}

interface Simulated {
  readonly id: string
  readonly keys: readonly number[]
  node: string
  load: number
  readonly series: LoadSeries
}

interface Running {
  readonly decision: OperationDecision
  readonly sight: OperationSight
  readonly endsAt: number
}

const halfLifeSeconds = 120
const finishedKept = 32
/** Monday, midnight. */
const beginning = Date.parse('2030-01-07T00:00:00Z')
const secondsAtLeast = 5

export function createPoliciesWorld(options: PoliciesWorldOptions): PoliciesWorld {
  const { keys, policies, turnSeconds, foresight } = options
  let nextId = 1
  const make = (own: readonly number[], node: string, load: number, series: LoadSeries): Simulated => {
    return { id: String(nextId++), keys: own, node, load, series }
  }
  const each = Math.ceil(keys.length / options.microshards)
  const first = Array.from({ length: Math.ceil(keys.length / each) }, (_, i) =>
    keys.map((_, place) => place).slice(i * each, (i + 1) * each),
  )
  let microshards = first.map((own) => make(own, '', 0, createLoadSeries()))
  const placed = placeMicroshards(
    microshards.map(({ id }) => id),
    options.nodes.map(({ name }) => name),
  )
  for (const one of microshards) one.node = placed.get(one.id) ?? ''
  const forecasts = createMicroshardForecasts((id) => find(id).series)
  let running: Running[] = []
  let finished: OperationSight[] = []
  let state: LifecycleState = firstState
  let second = 0

  function find(id: string): Simulated {
    const found = microshards.find((one) => one.id === id)
    if (found === undefined) throw new Error(`BUG: there is no microshard ${id}`)
    return found
  }

  const trueLoad = (own: readonly number[], at: number) =>
    own.reduce((sum, key) => sum + (keys[key]?.loadAt(at) ?? 0), 0)
  const bytesOf = (own: readonly number[]) => own.reduce((sum, key) => sum + (keys[key]?.bytes ?? 0), 0)

  function observeLoads(): ReadonlyMap<string, number> {
    const loads = new Map(options.nodes.map(({ name }) => [name, 0]))
    const keep = 0.5 ** (turnSeconds / halfLifeSeconds)
    for (const one of microshards) {
      const load = trueLoad(one.keys, second)
      one.load = one.series.isEmpty() ? load : one.load * keep + load * (1 - keep)
      one.series.note(beginning + second * 1000, load)
      loads.set(one.node, (loads.get(one.node) ?? 0) + load)
    }
    return loads
  }

  function expect(one: Simulated): readonly number[] | null {
    const { prediction } = policies
    if (foresight === 'none' || options.isStatic === true) return null
    if (foresight === 'forecast') return forecasts.expect(one.id, beginning + second * 1000, one.load, prediction)
    const step = stepSecondsOf(prediction)
    const points = Math.max(1, Math.floor(prediction.horizonSeconds / step))
    return Array.from({ length: points }, (_, i) => trueLoad(one.keys, second + (i + 1) * step))
  }

  function see(): Sight {
    const busy = new Map(
      running.flatMap(({ decision }) => microshardsOf(decision).map((id) => [id, decision] as const)),
    )
    return {
      now: beginning + second * 1000,
      microshards: microshards.map((one): MicroshardSight => {
        const decision = busy.get(one.id)
        const locations = new Map<string, number>()
        for (const key of one.keys) {
          const { location, loadAt } = keys[key] ?? {}
          if (location === undefined || loadAt === undefined) continue
          locations.set(location, (locations.get(location) ?? 0) + loadAt(second))
        }
        return {
          id: one.id,
          node: one.node,
          headedFor: decision?.kind === 'migrate' ? decision.toNode : null,
          bytes: bytesOf(one.keys),
          copies: [],
          keys: one.keys.length,
          isBusy: decision !== undefined,
          load: one.load,
          dayPeak: one.series.peak(beginning + second * 1000 - 86_400_000),
          locations,
          expected: expect(one),
        }
      }),
      nodes: options.nodes,
      operations: [...running.map(({ sight }) => sight), ...finished],
      together: [],
      p99Milliseconds: 0,
      errorShare: 0,
      stepSeconds: stepSecondsOf(policies.prediction),
    }
  }

  function begin(decision: OperationDecision): void {
    const sources = microshardsOf(decision)
    const copied = sources.reduce((sum, id) => sum + bytesOf(find(id).keys), 0)
    const targets = Array.from({ length: decision.kind === 'split' ? 2 : 1 }, (_, i) => String(nextId + i))
    nextId += targets.length
    const startedAt = beginning + second * 1000
    const sight = {
      id: `mop_${startedAt} ${sources}`,
      kind: decision.kind,
      startedAt,
      isRunning: true,
      sources,
      targets,
    }
    const seconds = Math.max(secondsAtLeast, copied / policies.cost.bandwidthBytesPerSecond)
    running.push({ decision, sight, endsAt: second + seconds })
  }

  function end({ decision, sight }: Running): void {
    const sources = sight.sources.map(find)
    const [source] = sources
    if (source === undefined) return
    const place = microshards.indexOf(source)
    const parts =
      decision.kind === 'split'
        ? cut(source.keys, (own) => trueLoad(own, second))
        : [sources.flatMap((one) => one.keys)]
    const share = 1 / parts.length
    const load = sources.reduce((sum, one) => sum + one.load, 0)
    const targets = parts.map(
      (own, i): Simulated => ({
        id: sight.targets[i] ?? '',
        keys: own,
        node: decision.kind === 'migrate' ? decision.toNode : source.node,
        load: load * share,
        series: createLoadSeries(
          sources.map(({ series }) => series),
          share,
        ),
      }),
    )
    microshards = microshards.toSpliced(place, sources.length, ...targets)
    finished = [...finished, { ...sight, isRunning: false }].slice(-finishedKept)
  }

  return {
    turn() {
      for (const one of running.filter(({ endsAt }) => endsAt <= second)) end(one)
      running = running.filter(({ endsAt }) => endsAt > second)
      const loads = observeLoads()
      if (foresight === 'forecast') forecasts.follow(microshards.map(({ id }) => id))
      const sight = see()
      const decided = options.isStatic === true ? null : decide(state, sight, policies)
      state = decided?.state ?? state
      const decisions = (decided?.decisions ?? []).flatMap((one) =>
        one.kind === 'split' || one.kind === 'merge' || one.kind === 'migrate' ? [one] : [],
      )
      for (const decision of decisions) begin(decision)
      const turn = { second, loads, decisions, sight }
      second += turnSeconds
      return turn
    },
  }
}

/** Where the load halves, as the controller cuts. */
function cut(own: readonly number[], loadOf: (own: readonly number[]) => number): readonly (readonly number[])[] {
  const total = loadOf(own)
  let [best, at, below] = [Number.POSITIVE_INFINITY, 1, 0]
  for (const [i, key] of own.entries()) {
    if (i > 0 && Math.abs(below - total / 2) < best) [best, at] = [Math.abs(below - total / 2), i]
    below += loadOf([key])
  }
  return [own.slice(0, at), own.slice(at)]
}

/** A node with this many times the average is overloaded, whatever the policies call hot. */
const overloadMark = 1.25

export interface WorldSummary {
  /** Of each node and turn, the share in which it had more than the mark over the average. */
  readonly overloadShare: number
  readonly bytesMoved: number
  readonly operations: number
  readonly ahead: number
}

/** What becomes of a load; the first turns are left out, in which all begin alike. */
export function runWorld(
  options: PoliciesWorldOptions,
  {
    turns,
    turnsLeftOut = 0,
    onTurn,
  }: { readonly turns: number; readonly turnsLeftOut?: number; readonly onTurn?: (turn: PoliciesTurn) => void },
): WorldSummary {
  const world = createPoliciesWorld(options)
  const sums = { over: 0, all: 0, bytesMoved: 0, operations: 0, ahead: 0 }
  for (let i = 0; i < turns; i++) {
    const turn = world.turn()
    onTurn?.(turn)
    if (i < turnsLeftOut) continue
    const loads = [...turn.loads.values()]
    const mean = loads.reduce((sum, load) => sum + load, 0) / loads.length
    sums.over += loads.filter((load) => load > overloadMark * mean).length
    sums.all += loads.length
    for (const decision of turn.decisions) {
      const moved = turn.sight.microshards.filter(({ id }) => microshardsOf(decision).includes(id))
      const toNode = decision.kind === 'migrate' ? decision.toNode : ''
      sums.bytesMoved += moved.reduce((sum, one) => sum + copiedBytes(one, toNode), 0)
      sums.operations++
      if (decision.isAhead) sums.ahead++
    }
  }
  const { over, all, ...counts } = sums
  return { overloadShare: over / Math.max(1, all), ...counts }
}
