/**
 * What is so on one host: the same small report at the same rate, whether all is well or nothing is. The agent writes
 * it, the controller parses it. It names the generation that it answers.
 */

import * as v from 'valibot'
import { hostNameSchema, idPattern } from './host-instructions.ts'

const idSchema = v.pipe(v.string(), v.regex(idPattern))

/** `converged`: the host matches; `applying`: not yet; `failed`: the last attempt did, and the next turn tries again. */
export const objectStatusSchema = v.picklist(['applying', 'converged', 'failed'])

export const objectReportSchema = v.object({
  id: idSchema,
  generation: v.number(),
  status: objectStatusSchema,
  /** What failed and why, in words for the operator; empty when nothing did. */
  reason: v.optional(v.string()),
  traceparent: v.optional(v.string()),
})

/** What the migration of an address needs to know; told of holders of several addresses, and of those that restart for one. */
export const addressReportSchema = v.object({
  address: v.string(),
  /** It answered a probe from its network, made after it was there. */
  answers: v.boolean(),
  /** TCP connections with it at this end that are not over, half-closed ones too; left out while nobody has counted them. */
  connections: v.optional(v.number()),
})

export const machineReportSchema = v.object({
  ...objectReportSchema.entries,
  addresses: v.optional(v.array(addressReportSchema)),
})

/** `unresolved`: it is followed by a name that has no address now. */
export const memberStatusSchema = v.picklist(['healthy', 'unhealthy', 'unresolved', 'draining', 'unknown'])

export const instanceReportSchema = v.object({
  ...objectReportSchema.entries,
  haproxy: v.picklist(['running', 'stopped']),
  keepalived: v.picklist(['running', 'stopped', 'stale']),
  /** True while haproxy serves and keepalived may hold VIPs. */
  serving: v.boolean(),
  /** It was told to drain, and has no clients any more: nobody is cut off when it goes. Absent: it was not, or has some. */
  drained: v.optional(v.boolean()),
  /** Of those that were open when its time to drain was over; told along with `drained` where there were any. */
  connectionsCut: v.optional(v.number()),
  /** The VIPs that are on its uplink now. */
  heldVips: v.array(v.string()),
  /** By `<member id>:<port>`, as this instance's own checks see it. */
  members: v.record(v.string(), memberStatusSchema),
  /** Of its leg on the network. */
  addresses: v.optional(v.array(addressReportSchema)),
})

/** What it found on the uplink of those it was asked about: of one round, in which all were asked at the same time. */
export const testimonySchema = v.object({
  /** False: it reached none of the controls either. */
  sees: v.boolean(),
  suspects: v.array(
    v.object({
      id: idSchema,
      since: v.string(),
      /** The kernel of whoever has the address does. */
      answers: v.boolean(),
      /** Its haproxy does; left out where this host has nowhere to ask from, or nobody answers it there. */
      serves: v.optional(v.boolean()),
    }),
  ),
})

/** Requests, connections and processor time count up for as long as one worker of its haproxy lives. */
export const instanceLoadSchema = v.object({
  /** The instance's. */
  id: idSchema,
  /** When it was read, by the clock of the host's kernel, which never jumps: seconds since boot. */
  atSeconds: v.number(),
  /** The process whose counters these are. */
  worker: v.number(),
  /** The processors that it may use. */
  threads: v.number(),
  cpuSeconds: v.number(),
  /** Of tcp the connections that were begun. */
  requests: v.number(),
  /** Open at that moment. */
  connections: v.number(),
  /** From when a request has come in until a member has answered, of tcp is connected: the mean of the last 1,024. */
  latencyMilliseconds: v.number(),
})

/** What became of the points of this host, since its agent began. */
export const pointsReportSchema = v.object({
  sent: v.number(),
  /** As NATS was away for too long. */
  dropped: v.number(),
  waiting: v.number(),
  /** Of a collectd: what was refused, by reason. */
  refused: v.record(v.string(), v.number()),
  /** A collectd has more series than it may; the last time that it was so. */
  explosion: v.optional(
    v.object({ at: v.string(), series: v.number(), culprit: v.string(), culpritSeries: v.number() }),
  ),
})

export const hostReportSchema = v.object({
  format: v.literal(1),
  host: hostNameSchema,
  /** Of the instructions applied last; 0 before the first. */
  generation: v.number(),
  agentVersion: v.string(),
  /** New with each boot of the host: tells a reboot from a restart of the agent. */
  bootId: v.string(),
  /** Counts up with each report of one agent process. */
  sequence: v.number(),
  startedAt: v.string(),
  reportedAt: v.string(),
  networks: v.array(objectReportSchema),
  machines: v.array(machineReportSchema),
  instances: v.array(instanceReportSchema),
  /** Left out while it was not asked, or the first round is under way. */
  testimony: v.optional(testimonySchema),
  /** Of those whose haproxy has answered; one without load is told of as one with much. */
  loads: v.optional(v.array(instanceLoadSchema)),
  points: v.optional(pointsReportSchema),
})

export type ObjectReport = v.InferOutput<typeof objectReportSchema>
export type MachineReport = v.InferOutput<typeof machineReportSchema>
export type AddressReport = v.InferOutput<typeof addressReportSchema>
export type InstanceReport = v.InferOutput<typeof instanceReportSchema>
export type Testimony = v.InferOutput<typeof testimonySchema>
export type InstanceLoadReport = v.InferOutput<typeof instanceLoadSchema>
export type PointsReport = v.InferOutput<typeof pointsReportSchema>
export type HostReport = v.InferOutput<typeof hostReportSchema>
export type MemberStatus = v.InferOutput<typeof memberStatusSchema>
