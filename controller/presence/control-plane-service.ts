/** Shows who carries the control plane, and saves and restores what it holds. It asks the servers, and writes by a restore. */

import { jetstreamManager, type StreamInfo } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { type BackupMessage, backupFormat } from '../contract/backup.ts'
import type { ControllerView, StoreStatusView } from '../contract/control-plane.ts'
import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import { restoreMessages } from '../control-plane/backup/restore-messages.ts'
import { writeBackup } from '../control-plane/backup/write-backup.ts'
import { nodeOfServer } from '../control-plane/directory/nodes.ts'
import type { Leases } from '../control-plane/leases/lease.ts'
import type { MicroshardDirectory } from '../control-plane/microshard-directory.ts'
import type { Store } from '../control-plane/store.ts'
import { readWorkKind } from '../divided-work.ts'
import { hostKind, projectKind, systemClient } from '../objects.ts'
import { type PresenceValue, presenceKind } from './presence-kind.ts'

export interface ControlPlaneService {
  listControllers(): readonly ControllerView[]
  showStore(): Promise<StoreStatusView>
  /** The lines of a backup's file. */
  backup(signal: AbortSignal): AsyncIterable<string>
  beginRestore(input: { readonly format: number; readonly force: boolean }): Promise<Outcome<RestoreCount>>
  restore(messages: readonly BackupMessage[]): Promise<Outcome<RestoreCount>>
}

interface RestoreCount {
  readonly written: number
  readonly kept: number
}

export interface ControlPlaneOptions {
  readonly store: Pick<Store, 'snapshot' | 'list' | 'status'>
  readonly directory: () => MicroshardDirectory
  readonly leases: Pick<Leases, 'holder' | 'sessions'>
  /** The accounts that have streams. */
  readonly connections: readonly NatsConnection[]
  readonly replicas: number
  readonly isCluster: boolean
  readonly version: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

const nothing: RestoreCount = { written: 0, kept: 0 }

export function createControlPlaneService(options: ControlPlaneOptions): ControlPlaneService {
  const { store, directory, leases, now } = options
  const [connection] = options.connections
  if (connection === undefined) throw new Error('BUG: a control plane without a connection')
  const listPresences = (what: PresenceValue['what']) =>
    store.snapshot(presenceKind, systemClient).flatMap(({ value }) => (value.what === what ? [value] : []))

  return {
    listControllers: () => viewControllers(leases, listPresences('controller')),

    async showStore() {
      const streams = await listStreams(options.connections)
      const { status } = await store.status()
      const nodes = listPresences('node').map(({ name, address, version, status }) => {
        return { name, address, version, status, leads: streams.filter(({ leader }) => leader === name).length }
      })
      return {
        mode: options.isCluster ? 'distributed' : 'embedded',
        status: streams.some(({ leader }) => leader === null) ? 'unavailable' : status,
        replicas: options.replicas,
        nodes: nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
        streams,
      }
    },

    backup: (signal) => writeBackup({ connection, directory, sluiceVersion: options.version, now }, signal),

    async beginRestore({ format, force }) {
      if (format !== backupFormat) return refuseFormat(format)
      if (force) return succeed(nothing)
      const held = [
        ...(await store.list(projectKind, { limit: 1 })).items.map(({ value }) => `project ${value.name}`),
        ...(await store.list(hostKind, { limit: 1 })).items.map(({ value }) => `host ${value.name}`),
      ]
      return held.length === 0 ? succeed(nothing) : refuseHeld(held.join(' and '))
    },

    restore: async (messages) => succeed(await restoreMessages({ connection, directory }, messages)),
  }
}

const refuseFormat = (format: number) =>
  refuse({
    code: 'invalid',
    title: 'The backup has another format',
    detail: `The backup has format ${format}, and this controller knows format ${backupFormat}.`,
    remedy: 'Restore it by the version of sluice that made it, or a newer one.',
  })

const refuseHeld = (what: string) =>
  refuse({
    code: 'conflict',
    title: 'The store is not empty',
    detail: `The store holds ${what} already.`,
    remedy: 'Restore into a new store; or with force, where what is there in the same or a newer version stays.',
  })

function viewControllers(
  leases: Pick<Leases, 'holder' | 'sessions'>,
  recorded: readonly PresenceValue[],
): readonly ControllerView[] {
  const present = leases
    .sessions()
    .filter(({ isAlive }) => isAlive)
    .map(({ id, address, version, since, leads }): ControllerView => {
      const kinds = leads.flatMap((name) => readWorkKind(name) ?? [])
      return { name: id, address, version, since, status: 'present', leads: kinds, isSelf: id === leases.holder }
    })
  const names = new Set(present.map(({ name }) => name))
  const absent = recorded
    .filter(({ name }) => !names.has(name))
    .map(({ name, address, version, since }): ControllerView => {
      return { name, address, version, since, status: 'absent', leads: [], isSelf: false }
    })
  return [...present, ...absent].sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function listStreams(connections: readonly NatsConnection[]): Promise<StoreStatusView['streams']> {
  const streams: StoreStatusView['streams'] = []
  for (const [i, connection] of connections.entries()) {
    const manager = await jetstreamManager(connection, { checkAPI: false })
    for await (const info of manager.streams.list()) {
      // The two accounts have streams of the same name: a mirror and its origin.
      const name = i === 0 ? info.config.name : `hosts/${info.config.name}`
      streams.push({ ...viewStream(info), name })
    }
  }
  return streams.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** A server that is alone leads all that it has. */
function viewStream({ state, cluster }: StreamInfo): Omit<StoreStatusView['streams'][number], 'name'> {
  const leader = cluster?.leader
  return {
    messages: state.messages,
    bytes: state.bytes,
    leader: leader === undefined || leader === '' ? null : nodeOfServer(leader),
    replicas: (cluster?.replicas ?? []).map(({ name, current, offline, lag }) => ({
      node: nodeOfServer(name),
      status: offline === true ? 'offline' : current ? 'current' : 'lagging',
      lag: lag ?? 0,
    })),
  }
}
