/**
 * What a libvirt host has and can do, as `virsh` tells over the same connection that stacks are applied by. Runs that
 * program and nothing else; changes nothing.
 */

import { ownDomainPattern, poolName } from '../stack/resource-names.ts'
import type { RunProgram } from './run-program.ts'

export interface ObservedHypervisor {
  readonly vcpus: number
  readonly memoryMiB: number
  readonly pools: readonly { readonly name: string; readonly uuid: string }[]
  readonly networks: readonly string[]
  readonly domains: readonly ObservedDomain[]
  /** Files of our pool, by the name of the volume. */
  readonly volumes: ReadonlyMap<string, string>
}

export interface ObservedDomain {
  readonly name: string
  readonly uuid: string
  readonly isRunning: boolean
  /** Told by its name; what isn't ours is never changed. */
  readonly isOurs: boolean
}

/** Why a host can't be observed or synced: a word for programs, a sentence and the remedy for people. */
export interface HypervisorTrouble {
  readonly reason: TroubleReason
  readonly message: string
  readonly remedy: string
}
export type TroubleReason =
  | 'unreachable'
  | 'permissionDenied'
  | 'hostKeyChanged'
  | 'imageMissing'
  | 'poolFull'
  | 'memoryShort'
  | 'nameTaken'
  | 'cpuUnknown'
  | 'bridgeMissing'
  | 'providerMissing'
  | 'stateLocked'
  | 'notAskedFor'
  | 'timedOut'
  | 'failed'

export type Observed =
  | { readonly kind: 'observed'; readonly hypervisor: ObservedHypervisor }
  | { readonly kind: 'trouble'; readonly words: string }

const timeoutSeconds = 30
/** Between the answers of several commands; no name of libvirt's has it. */
const separator = '<sluice>'

export async function observeHypervisor(run: RunProgram, uri: string, signal: AbortSignal): Promise<Observed> {
  const ask = (commands: string) =>
    run({ argv: ['virsh', '--quiet', '--connect', uri, commands], timeoutSeconds }, signal)
  const parts = [
    'list --all --uuid --name',
    'list --uuid',
    'pool-list --all --uuid --name',
    'net-list --all --name',
    'nodeinfo',
  ]
  const told = await ask(parts.join(`; echo --str ${separator}; `))
  if (told.exitCode !== 0) {
    return {
      kind: 'trouble',
      words: told.isTimedOut ? `${uri} did not answer within ${timeoutSeconds} s` : told.errors,
    }
  }
  const [domains = [], running = [], pools = [], networks = [], node = []] = told.output
    .split(separator)
    .map((part) => part.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()])))
  const runningIds = new Set(running)
  const field = (name: string) => Number.parseInt(node.find((line) => line.startsWith(name))?.split(':')[1] ?? '', 10)
  const named = pools.flatMap((line) => readUuidAndName(line) ?? [])
  const volumes = named.some(({ name }) => name === poolName) ? await ask(`vol-list ${poolName}`) : null
  return {
    kind: 'observed',
    hypervisor: {
      vcpus: field('CPU(s)'),
      memoryMiB: Math.floor(field('Memory size') / 1024),
      pools: named,
      networks,
      domains: domains
        .flatMap((line) => readUuidAndName(line) ?? [])
        .map((one) => ({ ...one, isRunning: runningIds.has(one.uuid), isOurs: ownDomainPattern.test(one.name) })),
      volumes: new Map((volumes?.output ?? '').split('\n').flatMap(readVolume)),
    },
  }
}

function readUuidAndName(line: string): { readonly uuid: string; readonly name: string } | null {
  const [, uuid, name] = /^([0-9a-f-]{36})\s+(\S.*)$/.exec(line) ?? []
  return uuid === undefined || name === undefined ? null : { uuid, name }
}

function readVolume(line: string): [string, string][] {
  const [, name, path] = /^\s*(\S+)\s+(\/\S+)\s*$/.exec(line) ?? []
  return name === undefined || path === undefined ? [] : [[name, path]]
}
