/**
 * What one host must have: a full statement, never a difference. The controller writes it, the agent parses it at its
 * edge, keeps it on disk and makes the host match. What is not in it, and bears our mark, goes.
 */

import * as v from 'valibot'
import { clientAddressForms } from './log-forms.ts'
import {
  algorithmSchema,
  healthCheckSchema,
  memberHostSchema,
  timeoutsSchema,
  trafficSchema,
} from './traffic-instructions.ts'

/** Our ids; see controller/control-plane/shard-key.ts, which makes them. A namespace of this form is ours. */
export const idPattern = /^[a-z]{2,4}_[0-9a-hjkmnp-tv-z]{25}$/
const idSchema = v.pipe(v.string(), v.regex(idPattern))
const ipv4Schema = v.pipe(v.string(), v.ipv4())
const macSchema = v.pipe(v.string(), v.regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/))
const cidrSchema = v.pipe(v.string(), v.regex(/^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/))
const portSchema = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535))
const prefixLengthSchema = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(32))
const secondsSchema = v.pipe(v.number(), v.minValue(0))
/** Names of hosts and machines: one DNS label. */
export const hostNameSchema = v.pipe(v.string(), v.regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/))
/** Such labels with dots between them. It is written into configs, so it must be nothing else. */
const domainSchema = v.pipe(v.string(), v.regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/))

/** A namespace that the agent makes, or a domain that libvirt was given, which the agent reaches over the network. */
export const driverSchema = v.picklist(['netns', 'vm'])

/** Keys as OpenSSH writes them. The host has no other use of the private one than for this project's instances. */
export const applianceSchema = v.object({
  /** `ssh-ed25519 AAAA…`; another one is never spoken to. */
  hostKey: v.pipe(v.string(), v.regex(/^ssh-ed25519 [A-Za-z0-9+/]+={0,2}$/)),
  privateKey: v.string(),
  vcpus: v.pipe(v.number(), v.integer(), v.minValue(1)),
  /** What its serial console has said, on the host. */
  consoleLogPath: v.optional(v.string()),
})

/** What every object carries: an agent refuses a generation older than the one it has. */
const objectEntries = {
  id: idSchema,
  generation: v.pipe(v.number(), v.integer(), v.minValue(1)),
  /** The W3C traceparent of the request that wanted it; the report answers with it. */
  traceparent: v.optional(v.string()),
}

/** Someone on a network, wherever it is: what the forwarding table, the neighbour entries, DHCP and names are made of. */
export const neighbourSchema = v.object({
  id: idSchema,
  name: v.optional(hostNameSchema),
  mac: macSchema,
  address: ipv4Schema,
  host: hostNameSchema,
})

/** A network that this host has a member of: a bridge, a VXLAN to its peers, and a leg of the project's namespace. */
export const networkSchema = v.object({
  ...objectEntries,
  projectId: idSchema,
  name: v.string(),
  vni: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(0xffffff)),
  mtu: v.pipe(v.number(), v.integer(), v.minValue(576), v.maxValue(9000)),
  /** The anycast gateway's, the same on every host. */
  gatewayMac: macSchema,
  /** The DNS domain of its machines' names. */
  domain: domainSchema,
  shards: v.array(v.object({ id: idSchema, cidr: cidrSchema, gateway: ipv4Schema })),
  /** The other hosts that have a member: what head-end replication sends broadcasts to. */
  peers: v.array(v.object({ host: hostNameSchema, underlayAddress: ipv4Schema })),
  /** Everyone on the network, this host's own included. */
  neighbours: v.array(neighbourSchema),
})

/** The lab's built-in programs for a machine to run. */
export const workloadSchema = v.variant('kind', [
  v.object({ kind: v.literal('web'), port: portSchema }),
  v.object({ kind: v.literal('echo'), port: portSchema }),
])

export const machineSchema = v.object({
  ...objectEntries,
  projectId: idSchema,
  networkId: idSchema,
  name: hostNameSchema,
  driver: driverSchema,
  mac: macSchema,
  /** The first is the source of what it begins; another one is on its way in or out. */
  addresses: v.array(v.object({ address: ipv4Schema, prefixLength: prefixLengthSchema, gateway: ipv4Schema })),
  /** True: a change of address takes the interface down and up again, in one go. */
  restartsForAddress: v.optional(v.boolean()),
  workloads: v.array(workloadSchema),
})

export const listenerSchema = v.object({
  port: portSchema,
  /** Where its members listen, each on its own port if it has one. */
  members: v.array(v.object({ id: idSchema, address: ipv4Schema, port: portSchema, weight: v.number() })),
  /** Those that haproxy itself follows by their names. */
  namedMembers: v.optional(
    v.array(v.object({ id: idSchema, host: memberHostSchema, port: portSchema, weight: v.number() })),
  ),
})

/** One VIP that an instance may serve, and how eagerly: the highest priority that lives is master. */
export const vipSchema = v.object({
  slot: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(255)),
  address: ipv4Schema,
  prefixLength: prefixLengthSchema,
  /** Equal to the slot number: peers are unicast, so other balancers may use the same. */
  virtualRouterId: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(255)),
  priority: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(254)),
  /** True for the instance whose slot this is: the one that takes the VIP at the start. */
  home: v.boolean(),
  /** The uplink addresses of the instances that may serve it as well. */
  peerAddresses: v.array(ipv4Schema),
})

/** One haproxy and one keepalived in a namespace with a leg on the uplink and one on the network. */
export const instanceSchema = v.object({
  ...objectEntries,
  loadBalancerId: idSchema,
  projectId: idSchema,
  networkId: idSchema,
  driver: driverSchema,
  /** Of one that is a virtual machine: how its agent comes in, and knows whom it speaks to. */
  appliance: v.optional(applianceSchema),
  slot: v.number(),
  uplink: v.object({ mac: macSchema, address: ipv4Schema, prefixLength: prefixLengthSchema, gateway: ipv4Schema }),
  /** Its leg on the network: one address, and a route on the link to every shard. */
  network: v.object({
    mac: macSchema,
    /** The source of what it begins. */
    address: ipv4Schema,
    /** On its way in, or still there for the connections that were begun with it. */
    formerAddress: v.optional(ipv4Schema),
    onLinkCidrs: v.array(cidrSchema),
  }),
  vips: v.array(vipSchema),
  advertIntervalSeconds: secondsSchema,
  preemptDelaySeconds: secondsSchema,
  /** Another one has served its VIP so far: it takes it as soon as its haproxy answers, and not before. */
  takesOver: v.optional(v.boolean()),
  trafficType: v.picklist(['http', 'tcp']),
  algorithm: algorithmSchema,
  forwardedFor: v.boolean(),
  timeouts: timeoutsSchema,
  traffic: v.optional(trafficSchema),
  /** Left out: nothing is written down of requests. */
  accessLog: v.optional(
    v.object({
      /** Each so-manyth request. */
      oneOf: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(10_000)),
      clientAddress: v.picklist(clientAddressForms),
    }),
  ),
  /**
   * It is to lose its clients: HTTP connections are closed after their answer, and once there are none, or the timeouts'
   * `drainSeconds` are over, its VIPs go to whoever backs it up. Then its report says `drained`.
   */
  draining: v.optional(v.boolean()),
  healthCheck: healthCheckSchema,
  listeners: v.array(listenerSchema),
})

/** What this host is asked to look for on the uplink, as others there are in doubt. */
export const witnessSchema = v.object({
  /** What answers in any case: a witness that reaches none of these is blind, and its word counts for nothing. */
  controls: v.array(ipv4Schema),
  suspects: v.array(
    v.object({
      id: idSchema,
      /** Its own on the uplink, never a VIP: that has moved. */
      address: ipv4Schema,
      /** Since when it is suspected, RFC 3339: the answer names it, so that no earlier one is taken for it. */
      since: v.string(),
    }),
  ),
})

export const hostInstructionsSchema = v.object({
  format: v.literal(1),
  host: hostNameSchema,
  /** Of the whole statement: counts up with each that differs. */
  generation: v.pipe(v.number(), v.integer(), v.minValue(1)),
  issuedAt: v.string(),
  networks: v.array(networkSchema),
  machines: v.array(machineSchema),
  instances: v.array(instanceSchema),
  /** Left out while nobody is suspected. */
  witness: v.optional(witnessSchema),
})

export type HostInstructions = v.InferOutput<typeof hostInstructionsSchema>
export type NetworkInstructions = v.InferOutput<typeof networkSchema>
export type MachineInstructions = v.InferOutput<typeof machineSchema>
export type InstanceInstructions = v.InferOutput<typeof instanceSchema>
export type ApplianceInstructions = v.InferOutput<typeof applianceSchema>
export type Driver = v.InferOutput<typeof driverSchema>
export type ListenerInstructions = v.InferOutput<typeof listenerSchema>
export type HealthCheckInstructions = v.InferOutput<typeof healthCheckSchema>
export type VipInstructions = v.InferOutput<typeof vipSchema>
export type WitnessInstructions = v.InferOutput<typeof witnessSchema>
export type WorkloadInstructions = v.InferOutput<typeof workloadSchema>
