/**
 * What a room of the agent brings to the loop in reconcile-host.ts: one way to look at its part of the world and one pure
 * plan. Types and pure functions only.
 */

import type { HostInstructions } from './contract/host-instructions.ts'
import type {
  AddressReport,
  InstanceLoadReport,
  InstanceReport,
  PointsReport,
  Testimony,
} from './contract/host-report.ts'
import type { ObservedDaemon, OperationGroup } from './operations/operation.ts'

/** What all rooms may know of a turn. */
export interface Turn {
  readonly desired: HostInstructions
  /**
   * The daemons that run where they should. One that is undesired, or is left in a namespace that is no more, is not
   * among them: it is stopped before anything else in its object's group.
   */
  readonly daemons: readonly ObservedDaemon[]
  /** The others that bear our mark. */
  readonly strayDaemons: readonly ObservedDaemon[]
}

/** A room with its observation hidden, so that the loop can hold rooms of all kinds. */
export interface Room {
  readonly name: string
  /** Observes, then plans. Rejects only where it can't see; the loop makes that a failure of the room's objects. */
  look(turn: Turn): Promise<readonly OperationGroup[]>
}

/** Observation and plan apart, so that the plan stays pure and a test can feed it any world. */
export function createRoom<Observed>(parts: {
  readonly name: string
  readonly observe: (turn: Turn) => Promise<Observed>
  readonly plan: (turn: Turn, observed: Observed) => readonly OperationGroup[]
}): Room {
  return { name: parts.name, look: async (turn) => parts.plan(turn, await parts.observe(turn)) }
}

/** What a report says of an instance beyond what it says of every object. */
export type InstanceCondition = Pick<
  InstanceReport,
  'haproxy' | 'keepalived' | 'serving' | 'drained' | 'connectionsCut' | 'heldVips' | 'members'
> &
  /** Of one that no turn of the loop cares for. */
  Partial<Pick<InstanceReport, 'status' | 'reason'>>

/** Tells how the instances fare, by id; called for each report, so it answers from what is known. */
export type ReportInstances = (desired: HostInstructions) => ReadonlyMap<string, InstanceCondition>

/** Tells how much instances have had to do, as far as they have been asked. */
export type ReportLoads = () => InstanceLoadReport[]

/** Tells what became of the host's points. */
export type ReportPoints = () => PointsReport

/** Tells what is known of a holder's addresses; undefined of one that has a single address, or that nobody has looked at. */
export type ReportAddresses = (holderId: string) => AddressReport[] | undefined

/** Tells what was found on the uplink of those that this host was asked about; undefined before it is known. */
export type ReportTestimony = () => Testimony | undefined

export const objectsFolder = (runFolder: string) => `${runFolder}/objects`

/** Where everything of one object is kept: its configs, sockets and logs. It goes with the object. */
export const objectFolder = (runFolder: string, id: string) => `${objectsFolder(runFolder)}/${id}`

/** One group an object, with what each room wants of it in the rooms' order. */
export function mergeGroups(groups: readonly OperationGroup[]): OperationGroup[] {
  const merged = new Map<string, OperationGroup>()
  for (const { objectId, operations } of groups) {
    if (operations.length === 0) continue
    const before = merged.get(objectId)?.operations ?? []
    merged.set(objectId, { objectId, operations: [...before, ...operations] })
  }
  return [...merged.values()]
}
