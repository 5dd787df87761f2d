/** Makes the host's report from what the last turn found: a pure function, the same shape whether all is well or not. */

import type { HostInstructions } from './contract/host-instructions.ts'
import type { HostReport, ObjectReport } from './contract/host-report.ts'
import type { OperationFailure } from './operations/operation.ts'
import type { InstanceCondition, ReportAddresses, ReportLoads, ReportPoints, ReportTestimony } from './room.ts'

/** What stays the same for the life of one agent process. */
export interface AgentIdentity {
  readonly host: string
  readonly agentVersion: string
  readonly bootId: string
  readonly startedAt: string
}

/** How a turn ended for each object; what is absent has not been tried yet. */
export interface TurnOutcome {
  /** Of the instructions that it applied. */
  readonly generation: number
  /** Objects for which there was something to do, or still is. */
  readonly applying: ReadonlySet<string>
  readonly failures: readonly OperationFailure[]
}

export interface ReportParts {
  readonly identity: AgentIdentity
  readonly sequence: number
  readonly reportedAt: Date
  readonly desired: HostInstructions | undefined
  readonly outcome: TurnOutcome | undefined
  readonly conditions: ReadonlyMap<string, InstanceCondition>
  readonly reportAddresses: ReportAddresses
  readonly reportTestimony: ReportTestimony
  readonly reportLoads: ReportLoads
  readonly reportPoints?: ReportPoints | undefined
}

/** The bridge rules are one table for all networks; its failures are everyone's. */
export const ruleSetObjectId = 'ruleSet'

const unknownCondition: InstanceCondition = {
  haproxy: 'stopped',
  keepalived: 'stopped',
  serving: false,
  heldVips: [],
  members: {},
}

export function makeReport(parts: ReportParts): HostReport {
  const { identity, sequence, reportedAt, desired, outcome, conditions, reportAddresses } = parts
  const describe = (object: { id: string; generation: number; traceparent?: string | undefined }, also: string[]) =>
    describeObject(object, also, outcome)
  const addressesOf = (id: string) => {
    const addresses = reportAddresses(id)
    return addresses === undefined ? {} : { addresses }
  }
  const testimony = parts.reportTestimony()
  const points = parts.reportPoints?.()
  return {
    format: 1,
    ...identity,
    generation: outcome?.generation ?? 0,
    sequence,
    reportedAt: reportedAt.toISOString(),
    networks: (desired?.networks ?? []).map((network) => describe(network, [network.projectId, ruleSetObjectId])),
    machines: (desired?.machines ?? []).map((machine) => ({ ...describe(machine, []), ...addressesOf(machine.id) })),
    instances: (desired?.instances ?? []).map((instance) => ({
      ...describe(instance, []),
      ...addressesOf(instance.id),
      ...(conditions.get(instance.id) ?? unknownCondition),
    })),
    ...(testimony !== undefined && { testimony }),
    loads: parts.reportLoads(),
    ...(points !== undefined && { points }),
  }
}

/** `also`: the ids of what is made on the way to the object and has no report of its own. */
function describeObject(
  object: { id: string; generation: number; traceparent?: string | undefined },
  also: readonly string[],
  outcome: TurnOutcome | undefined,
): ObjectReport {
  const ids = [object.id, ...also]
  const failure = outcome?.failures.find(({ objectId }) => ids.includes(objectId))
  const isApplying = outcome === undefined || ids.some((id) => outcome.applying.has(id))
  return {
    id: object.id,
    generation: object.generation,
    status: failure ? 'failed' : isApplying ? 'applying' : 'converged',
    ...(failure && { reason: failure.message }),
    ...(object.traceparent !== undefined && { traceparent: object.traceparent }),
  }
}
