/** Machines, and the hosts that they and the instances run on. */

import * as v from 'valibot'
import { workloadSchema } from '../../agent/contract/host-instructions.ts'
import { idSchema, ipv4Schema, labelSchema, objectEntries, portSchema } from './common.ts'

const workloadCreateSchema = v.variant('kind', [
  v.strictObject({ kind: v.literal('web'), port: portSchema }),
  v.strictObject({ kind: v.literal('echo'), port: portSchema }),
])

export const machineCreateSchema = v.strictObject({
  name: labelSchema,
  projectId: idSchema('prj'),
  networkId: idSchema('net'),
  /** Where to run it; the least loaded host when left out. */
  hostId: v.optional(idSchema('hst')),
  driver: v.optional(v.picklist(['netns']), 'netns'),
  /** A chosen address of one of the network's shards. */
  address: v.optional(ipv4Schema),
  workloads: v.optional(v.pipe(v.array(workloadCreateSchema), v.maxLength(8, 'must be at most 8')), []),
})
export const machineUpdateSchema = v.partial(
  v.strictObject({
    name: labelSchema,
    workloads: v.pipe(v.array(workloadCreateSchema), v.maxLength(8, 'must be at most 8')),
  }),
)
export const machineSchema = v.object({
  ...objectEntries,
  networkId: v.string(),
  hostId: v.nullable(v.string()),
  host: v.nullable(v.string()),
  driver: v.string(),
  mac: v.string(),
  addresses: v.array(v.string()),
  workloads: v.array(workloadSchema),
})
export type MachineCreate = v.InferOutput<typeof machineCreateSchema>
export type MachineUpdate = v.InferOutput<typeof machineUpdateSchema>
export type Machine = v.InferOutput<typeof machineSchema>

export const hostCreateSchema = v.strictObject({
  name: labelSchema,
  joinTokenLifetimeSeconds: v.optional(v.pipe(v.number(), v.integer(), v.minValue(10), v.maxValue(86_400)), 900),
})
export const hostUpdateSchema = v.partial(
  v.strictObject({
    maintenance: v.boolean(),
    labels: v.record(v.pipe(v.string(), v.maxLength(63)), v.pipe(v.string(), v.maxLength(63))),
  }),
)
export const hostStatuses = ['awaiting-join', 'active', 'silent', 'maintenance'] as const
export const hostSchema = v.object({
  ...objectEntries,
  status: v.picklist(hostStatuses),
  underlayAddress: v.nullable(v.string()),
  agentVersion: v.nullable(v.string()),
  lastReportAt: v.nullable(v.string()),
  maintenance: v.boolean(),
  labels: v.record(v.string(), v.string()),
})
/** The one answer that shows the join token; asking again for a host that has not joined makes a new one. */
export const hostCreatedSchema = v.object({
  ...hostSchema.entries,
  joinToken: v.string(),
  joinTokenExpiresAt: v.string(),
})
export type HostCreate = v.InferOutput<typeof hostCreateSchema>
export type HostUpdate = v.InferOutput<typeof hostUpdateSchema>
export type Host = v.InferOutput<typeof hostSchema>
export type HostCreated = v.InferOutput<typeof hostCreatedSchema>
