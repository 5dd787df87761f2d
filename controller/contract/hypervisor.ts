/** The libvirt of a host: how it is reached, what it can do, and how far its stack is as it should be. */

import * as v from 'valibot'

export const hypervisorStatuses = ['pending', 'converged', 'refused', 'failed', 'leaving'] as const

/** What a host's libvirt is reached by; the provider, `virsh` and the controller use the very same. */
const uriSchema = v.pipe(
  v.string(),
  v.maxLength(500, 'must be at most 500 characters'),
  v.regex(
    /^qemu(\+(ssh|tls|tcp|unix))?:\/\/[^\s;'"\\]*\/system(\?[^\s;'"\\]*)?$/,
    'must be qemu:///system, qemu+ssh://user@host/system or qemu+tls://host/system',
  ),
)

export const hypervisorSettingsSchema = v.strictObject({
  uri: uriSchema,
  /** A folder of the host's, for a pool of ours. */
  poolPath: v.optional(
    v.pipe(v.string(), v.regex(/^\/[A-Za-z0-9/_.-]{1,200}$/, 'must be a path, as /var/lib/sluice/pool')),
    '/var/lib/sluice/pool',
  ),
  /** Left out: kvm where the host has it, else qemu. */
  domainType: v.optional(v.picklist(['kvm', 'qemu'])),
})
export type HypervisorSettings = v.InferOutput<typeof hypervisorSettingsSchema>

export const harmSchema = v.object({
  address: v.string(),
  action: v.picklist(['destroy', 'replace']),
  because: v.array(v.string()),
})

export const hypervisorSchema = v.object({
  hostId: v.string(),
  host: v.string(),
  ...hypervisorSettingsSchema.entries,
  version: v.number(),
  status: v.picklist(hypervisorStatuses),
  /** Why it is not as it should be, and what to do; null: it is. */
  trouble: v.nullable(v.object({ reason: v.string(), message: v.string(), remedy: v.string() })),
  /** What a plan would destroy or replace that nobody asked for; `allow` takes their addresses. */
  refused: v.array(harmSchema),
  /** The escalation that waits for a decision about these. */
  escalationId: v.nullable(v.string()),
  /** What is below is null until it has been reached once. */
  capacity: v.nullable(v.object({ vcpus: v.number(), memoryMiB: v.number() })),
  pools: v.array(v.string()),
  /** Those of libvirt: none is ours. */
  networks: v.array(v.string()),
  domains: v.array(v.object({ name: v.string(), uuid: v.string(), isRunning: v.boolean(), isOurs: v.boolean() })),
  syncedAt: v.nullable(v.string()),
})
export type Hypervisor = v.InferOutput<typeof hypervisorSchema>

export const allowHarmSchema = v.strictObject({
  addresses: v.pipe(v.array(v.pipe(v.string(), v.maxLength(200))), v.minLength(1, 'must name one'), v.maxLength(1000)),
})
export type AllowHarm = v.InferOutput<typeof allowHarmSchema>
