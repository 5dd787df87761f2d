/** What the controller is told by its environment, parsed once at its start. Pure. */

import { isIPv4 } from 'node:net'
import * as v from 'valibot'
import { containsAddress, parseAddress, parseBlock } from './address-space/cidr.ts'
import { lifeDefaults } from './load-balancing/life/life-settings.ts'
import { type NameProcessSettings, nameEnvironment, readNameSettings } from './names/read-settings.ts'
import {
  type PrefetchSettings,
  prefetchEnvironment,
  readPrefetchSettings,
} from './prediction/prefetch/prefetch-settings.ts'
import type { ControllerSettings } from './services.ts'

export interface ProcessSettings {
  /** `127.0.0.1:7480`, as many as are wanted. */
  readonly listen: readonly string[]
  /** Where callers reach the API, for what it says of itself; the first of `listen` when left out. */
  readonly publicUrl: string | null
  /** Of a cluster: its servers, as `198.18.0.241:4222`. Empty: the controller runs a server of its own. */
  readonly natsServers: readonly string[]
  /** By which the others know this controller; the machine's name when left out. */
  readonly name: string | null
  /** Where it and its callers are, for the placement of what they use; null: nobody has said. */
  readonly location: string | null
  readonly natsListen: string
  /** How hosts reach the bus, where that is not what it listens on. */
  readonly natsAdvertise: readonly string[]
  readonly stateFolder: string
  /** The first admin's token: made at the first start. */
  readonly adminTokenFile: string
  /** The keys that states of stacks are encrypted with: made at the first start. Controllers of a cluster share it. */
  readonly stackKeysFile: string
  readonly hypervisors: {
    /** Where the libvirt provider lies, in the layout of a registry. */
    readonly mirrorFolder: string
    /** How often a libvirt host is looked at though nothing is desired otherwise. */
    readonly refreshSeconds: number
  }
  readonly logLevel: string
  /** How often what has lost its owner is given back. */
  readonly sweepSeconds: number
  readonly controller: ControllerSettings
  readonly prefetch: PrefetchSettings
  /** Who may send packets of collectd; undefined: nobody. */
  readonly collectdFile: string | undefined
  /** Null: no names are kept. */
  readonly nameServer: Omit<NameProcessSettings, 'names'> | null
}

const listSchema = (fallback: string) =>
  v.pipe(
    v.optional(v.string(), fallback),
    v.transform((text) => text.split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim()]))),
  )
const secondsSchema = (fallback: string, least: number, most: number) =>
  v.pipe(
    v.optional(v.string(), fallback),
    v.transform(Number),
    v.number('must be a number of seconds'),
    v.minValue(least, `must be ${least} to ${most} seconds`),
    v.maxValue(most, `must be ${least} to ${most} seconds`),
  )

const environmentSchema = v.object({
  SLUICE_LISTEN: v.pipe(listSchema('127.0.0.1:7480'), v.minLength(1, 'must name an address, as 127.0.0.1:7480')),
  SLUICE_PUBLIC_URL: v.optional(v.pipe(v.string(), v.url('must be a URL'))),
  SLUICE_NATS_SERVERS: listSchema(''),
  SLUICE_CONTROLLER_NAME: v.optional(
    v.pipe(v.string(), v.regex(/^[a-zA-Z0-9_-]{1,63}$/, 'must be letters, digits, hyphens and underscores')),
  ),
  SLUICE_LOCATION: v.optional(
    v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and hyphens')),
  ),
  SLUICE_NATS_LISTEN: v.optional(v.string(), '127.0.0.1:4222'),
  SLUICE_NATS_ADVERTISE: listSchema(''),
  SLUICE_STATE_FOLDER: v.optional(v.string(), '/var/lib/sluice'),
  SLUICE_ADMIN_TOKEN_FILE: v.optional(v.string()),
  SLUICE_STACK_KEYS_FILE: v.optional(v.string()),
  SLUICE_PROVIDER_MIRROR: v.optional(v.string(), '/usr/local/lib/sluice/providers'),
  SLUICE_HYPERVISOR_REFRESH_SECONDS: secondsSchema('300', 1, 86_400),
  SLUICE_LOG_LEVEL: v.optional(v.picklist(['trace', 'debug', 'info', 'warn', 'error', 'silent']), 'info'),
  /** The block of the uplink that VIPs and instances get their addresses from. */
  SLUICE_UPLINK_CIDR: v.pipe(
    v.string('must be set: the block on the uplink that VIPs are taken from, as 198.18.32.0/20'),
    v.check((text) => parseBlock(text).kind === 'block', 'must be an aligned IPv4 block, as 198.18.32.0/20'),
  ),
  SLUICE_UPLINK_GATEWAY: v.pipe(
    v.string('must be set: the router of the uplink, as 198.18.32.1'),
    v.check((text) => isIPv4(text), 'must be an IPv4 address'),
  ),
  /** How often an instance says that it lives: its death is noticed three of these later. */
  SLUICE_ADVERT_INTERVAL_SECONDS: secondsSchema('0.05', 0.01, 10),
  /** How long a VIP's own instance must have served again before it takes the VIP back. */
  SLUICE_PREEMPT_DELAY_SECONDS: secondsSchema('2', 0, 1000),
  ...nameEnvironment,
  ...prefetchEnvironment,
  /** How often what has lost its owner is looked for. */
  SLUICE_SWEEP_SECONDS: secondsSchema('15', 1, 3600),
  /** A JSON file that says where packets of collectd come in, and by which users; docs/collectd.md. */
  SLUICE_COLLECTD_FILE: v.optional(v.string()),
  /** For how long an instance must have been in trouble before it is replaced. */
  SLUICE_SUSPECT_AFTER_SECONDS: secondsSchema(String(lifeDefaults.suspectAfterSeconds), 1, 3600),
  /** How long a replaced instance may take to come back before it is deleted. */
  SLUICE_GRACE_SECONDS: secondsSchema(String(lifeDefaults.graceSeconds), 1, 86_400),
  /** Nothing is replaced when more than this share of the hosts, and at least two, fail within the window; 1: never. */
  SLUICE_BREAKER_SHARE: v.pipe(
    v.optional(v.string(), String(lifeDefaults.breakerShare)),
    v.transform(Number),
    v.number('must be a share from 0 to 1'),
    v.minValue(0, 'must be a share from 0 to 1'),
    v.maxValue(1, 'must be a share from 0 to 1'),
  ),
  SLUICE_BREAKER_WINDOW_SECONDS: secondsSchema(String(lifeDefaults.breakerWindowSeconds), 1, 3600),
})

/** Throws an error that names each variable that is wrong, and what it must be. */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): ProcessSettings {
  const parsed = v.safeParse(environmentSchema, environment)
  if (!parsed.success) {
    const faults = parsed.issues.map((issue) => `${v.getDotPath(issue)} ${issue.message}`)
    throw new Error(`the environment is wrong: ${faults.join('; ')}`)
  }
  const settings = parsed.output
  const uplink = parseBlock(settings.SLUICE_UPLINK_CIDR)
  const gateway = parseAddress(settings.SLUICE_UPLINK_GATEWAY)
  if (uplink.kind !== 'block' || gateway === null || !containsAddress(uplink.block, gateway)) {
    throw new Error(
      `the environment is wrong: SLUICE_UPLINK_GATEWAY ${settings.SLUICE_UPLINK_GATEWAY} is not within SLUICE_UPLINK_CIDR ${settings.SLUICE_UPLINK_CIDR}`,
    )
  }
  const named = readNameSettings(settings)
  return {
    listen: settings.SLUICE_LISTEN,
    publicUrl: settings.SLUICE_PUBLIC_URL ?? null,
    natsServers: settings.SLUICE_NATS_SERVERS,
    name: settings.SLUICE_CONTROLLER_NAME ?? null,
    location: settings.SLUICE_LOCATION ?? null,
    natsListen: settings.SLUICE_NATS_LISTEN,
    natsAdvertise: settings.SLUICE_NATS_ADVERTISE,
    stateFolder: settings.SLUICE_STATE_FOLDER,
    adminTokenFile: settings.SLUICE_ADMIN_TOKEN_FILE ?? `${settings.SLUICE_STATE_FOLDER}/admin-token`,
    stackKeysFile: settings.SLUICE_STACK_KEYS_FILE ?? `${settings.SLUICE_STATE_FOLDER}/stack-keys`,
    hypervisors: {
      mirrorFolder: settings.SLUICE_PROVIDER_MIRROR,
      refreshSeconds: settings.SLUICE_HYPERVISOR_REFRESH_SECONDS,
    },
    logLevel: settings.SLUICE_LOG_LEVEL,
    sweepSeconds: settings.SLUICE_SWEEP_SECONDS,
    controller: {
      uplinkCidr: settings.SLUICE_UPLINK_CIDR,
      uplinkGateway: settings.SLUICE_UPLINK_GATEWAY,
      advertIntervalSeconds: settings.SLUICE_ADVERT_INTERVAL_SECONDS,
      preemptDelaySeconds: settings.SLUICE_PREEMPT_DELAY_SECONDS,
      names: named?.names ?? null,
      life: {
        suspectAfterSeconds: settings.SLUICE_SUSPECT_AFTER_SECONDS,
        graceSeconds: settings.SLUICE_GRACE_SECONDS,
        breakerShare: settings.SLUICE_BREAKER_SHARE,
        breakerWindowSeconds: settings.SLUICE_BREAKER_WINDOW_SECONDS,
      },
    },
    prefetch: readPrefetchSettings(settings),
    collectdFile: settings.SLUICE_COLLECTD_FILE,
    nameServer: named,
  }
}
