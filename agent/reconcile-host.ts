/**
 * The agent's one loop: observe → plan → apply → report, woken by instructions, by kernel events and by a steady tick.
 * One turn at a time; a turn never fails, since failures are values in the report. It touches nothing by itself: all that
 * it does goes through the parts it is given.
 */

import { admitInstructions } from './admit-instructions.ts'
import type { HostInstructions } from './contract/host-instructions.ts'
import type { HostReport } from './contract/host-report.ts'
import type { Execute } from './operations/execute.ts'
import type { OperationFailure, OperationGroup } from './operations/operation.ts'
import { type AgentIdentity, makeReport, type TurnOutcome } from './report.ts'
import {
  mergeGroups,
  type ReportAddresses,
  type ReportInstances,
  type ReportLoads,
  type ReportPoints,
  type ReportTestimony,
  type Room,
  type Turn,
} from './room.ts'

export interface LoopParts {
  readonly identity: AgentIdentity
  /** In the order in which their operations go into an object's group: what removes, the kernel, then the daemons. */
  readonly rooms: readonly Room[]
  readonly observeDaemons: (desired: HostInstructions) => Pick<Turn, 'daemons' | 'strayDaemons'>
  readonly reportInstances: ReportInstances
  readonly reportAddresses: ReportAddresses
  readonly reportTestimony: ReportTestimony
  readonly reportLoads: ReportLoads
  readonly reportPoints?: ReportPoints | undefined
  readonly execute: Execute
  /** Told what was done, so that what is remembered of the world is looked at again. */
  readonly onApplied: (groups: readonly OperationGroup[]) => void
  /** Keeps accepted instructions for the next start. */
  readonly saveInstructions: (instructions: HostInstructions) => void
  readonly sendReport: (report: HostReport) => void
  readonly log: (fields: Record<string, unknown>, message: string) => void
  readonly now: () => Date
  /** Told how long each turn took. */
  readonly onTurn?: ((milliseconds: number) => void) | undefined
  /** What was kept, applied from the first turn on. */
  readonly initial?: HostInstructions | undefined
}

export interface HostLoop {
  /** Takes a new statement, unless it is older than the one at hand. */
  instruct(instructions: HostInstructions): 'accepted' | 'older'
  /** Asks for a turn. However often it is asked for while one runs, one more follows. */
  wake(): void
  /** Sends a report of what is known now and asks for a turn: to be called at the steady rate. */
  tick(): void
  /** Resolves when no turn runs and none is asked for. */
  settled(): Promise<void>
  /** Ends after the turn that runs. */
  stop(): Promise<void>
}

/** The same plan again within this time did not help; the next tick tries again. */
const samePlanMilliseconds = 900

export function createHostLoop(parts: LoopParts): HostLoop {
  let desired = parts.initial
  let outcome: TurnOutcome | undefined
  let sequence = 0
  let running: Promise<void> | undefined
  let isAskedAgain = false
  let isStopped = false
  let isUnsaved = false
  let lastPlan = { text: '', at: 0 }

  const report = () => {
    sequence += 1
    parts.sendReport(
      makeReport({
        identity: parts.identity,
        sequence,
        reportedAt: parts.now(),
        desired,
        outcome,
        conditions: desired ? parts.reportInstances(desired) : new Map(),
        reportAddresses: parts.reportAddresses,
        reportTestimony: parts.reportTestimony,
        reportLoads: parts.reportLoads,
        reportPoints: parts.reportPoints,
      }),
    )
  }

  const isSamePlanTooSoon = (groups: readonly OperationGroup[]) => {
    const text = JSON.stringify(groups)
    const at = parts.now().getTime()
    if (text === lastPlan.text && at - lastPlan.at < samePlanMilliseconds) return true
    lastPlan = { text, at }
    return false
  }

  const takeTurn = async () => {
    if (desired === undefined) return
    const before = outcome
    const turn: Turn = { desired, ...parts.observeDaemons(desired) }
    const { groups, failures: blind } = await lookAround(parts.rooms, turn)
    if (groups.length === 0) {
      outcome = { generation: turn.desired.generation, applying: new Set(), failures: blind }
    } else if (!isSamePlanTooSoon(groups)) {
      const applying = new Set(groups.map(({ objectId }) => objectId))
      outcome = { generation: before?.generation ?? 0, applying, failures: before?.failures ?? [] }
      const failures = [...blind, ...(await apply(parts, turn, groups))]
      outcome = { generation: turn.desired.generation, applying: new Set(), failures }
    }
    if (groups.length > 0 || outcome?.generation !== before?.generation) report()
  }

  const takeTurns = async () => {
    do {
      isAskedAgain = false
      const startedAt = parts.now().getTime()
      await takeTurn().catch((error: unknown) => {
        parts.log({ error: String(error) }, 'BUG: a turn failed as a whole')
      })
      parts.onTurn?.(Math.max(0, parts.now().getTime() - startedAt))
      // After the turn, so that the disk is not on the way from an instruction to a packet.
      if (isUnsaved && desired) parts.saveInstructions(desired)
      isUnsaved = false
    } while (isAskedAgain && !isStopped)
    running = undefined
  }

  const wake = () => {
    if (isStopped) return
    if (running !== undefined) isAskedAgain = true
    else running = takeTurns()
  }

  return {
    instruct(next) {
      const admitted = admitInstructions(desired, next)
      if (admitted === 'older') return 'older'
      desired = admitted
      isUnsaved = true
      wake()
      return 'accepted'
    },
    wake,
    tick() {
      report()
      wake()
    },
    async settled() {
      while (running !== undefined) await running
    },
    async stop() {
      isStopped = true
      await running
    },
  }
}

/** All rooms look at once. One that can't see leaves its objects as they are and is a failure of all of them. */
async function lookAround(
  rooms: readonly Room[],
  turn: Turn,
): Promise<{ groups: OperationGroup[]; failures: OperationFailure[] }> {
  const looks = await Promise.allSettled(rooms.map((room) => room.look(turn)))
  const failures = looks.flatMap((look, index) =>
    look.status === 'fulfilled'
      ? []
      : desiredIds(turn.desired).map(
          (objectId): OperationFailure => ({
            objectId,
            operation: { kind: 'observe', room: rooms[index]?.name ?? '' },
            message: `${rooms[index]?.name} can't be observed: ${String(look.reason)}`,
          }),
        ),
  )
  return { groups: mergeGroups(looks.flatMap((look) => (look.status === 'fulfilled' ? look.value : []))), failures }
}

async function apply(parts: LoopParts, { desired }: Turn, groups: readonly OperationGroup[]) {
  const startedAt = parts.now().getTime()
  const failures = await parts.execute(groups)
  parts.onApplied(groups)
  const traceparents = new Map(
    [...desired.networks, ...desired.machines, ...desired.instances].map(({ id, traceparent }) => [id, traceparent]),
  )
  const durationMilliseconds = parts.now().getTime() - startedAt
  for (const { objectId, operations } of groups) {
    const failure = failures.find((candidate) => candidate.objectId === objectId)
    const traceparent = traceparents.get(objectId)
    parts.log(
      {
        objectId,
        generation: desired.generation,
        operations: operations.length,
        durationMilliseconds,
        ...(traceparent !== undefined && { traceparent }),
        ...(failure && { failure: failure.message, operation: failure.operation.kind }),
      },
      failure ? 'apply failed' : 'applied',
    )
  }
  return failures
}

const desiredIds = ({ networks, machines, instances }: HostInstructions) =>
  [...networks, ...machines, ...instances].map(({ id }) => id)
