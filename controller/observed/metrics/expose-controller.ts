/** The controller about itself and what it keeps, as families of samples. Reads its own process and the store. */

import { readdirSync, readFileSync } from 'node:fs'
import packageJson from '../../../package.json' with { type: 'json' }
import { maySee } from '../../access/view.ts'
import { hostKind, hostStatusKind, loadBalancerKind, loadBalancerStatusKind, projectKind } from '../../objects.ts'
import type { Caller, ControllerContext } from '../../services.ts'
import type { Family, Sample } from './exposition-text.ts'
import type { HeadCounts } from './head.ts'
import type { KeeperCounts } from './keep-metrics.ts'

const one = (name: string, kind: Family['kind'], help: string, value: number): Family => ({
  name,
  kind,
  help,
  samples: [{ labels: {}, value }],
})

export interface RoomCounts {
  readonly head: HeadCounts
  readonly keeper: KeeperCounts
  readonly series: number
}

/** For admins: the process, and what became of points. */
export function exposeController({ head, keeper, series }: RoomCounts): readonly Family[] {
  return [
    ...exposeProcess(),
    {
      name: 'sluice_controller_build',
      kind: 'info',
      help: 'The version of the controller.',
      samples: [{ labels: { version: packageJson.version, bun: Bun.version }, value: 1 }],
    },
    one('sluice_controller_points', 'counter', 'Points that came from hosts and collectds.', head.points),
    one('sluice_controller_points_doubled', 'counter', 'Points that had come before.', head.doubled),
    {
      name: 'sluice_controller_points_dropped',
      kind: 'counter',
      help: 'Points that were not kept, by reason.',
      samples: Object.entries(head.dropped).map(([reason, value]) => ({ labels: { reason }, value })),
    },
    one('sluice_controller_point_messages', 'counter', 'Messages of points.', keeper.messages),
    one('sluice_controller_point_messages_malformed', 'counter', 'Messages that nobody could read.', keeper.malformed),
    one('sluice_controller_point_bytes', 'counter', 'Bytes of messages of points.', keeper.bytes),
    one('sluice_controller_blocks_written', 'counter', 'Blocks of measures that were written.', keeper.blocksWritten),
    one('sluice_controller_block_bytes_written', 'counter', 'Bytes of blocks that were written.', keeper.bytesWritten),
    one('sluice_controller_series', 'gauge', 'Series that said something of late.', series),
  ]
}

/** By the names that all of Prometheus' client libraries have for it. */
function exposeProcess(): readonly Family[] {
  const { user, system } = process.cpuUsage()
  const startedAt = Math.round((Date.now() / 1000 - process.uptime()) * 1000) / 1000
  const files = countOpenFiles()
  return [
    one('process_cpu_seconds', 'counter', 'Time that it had a processor, in seconds.', (user + system) / 1e6),
    one('process_resident_memory_bytes', 'gauge', 'Memory that it holds, in bytes.', process.memoryUsage.rss()),
    one('process_start_time_seconds', 'gauge', 'When it began, in seconds since 1970.', startedAt),
    ...(files === null ? [] : [one('process_open_fds', 'gauge', 'Files that it has open.', files.open)]),
    ...(files === null ? [] : [one('process_max_fds', 'gauge', 'Files that it may have open.', files.maximum)]),
  ]
}

/** Null: this is no Linux. */
function countOpenFiles(): { readonly open: number; readonly maximum: number } | null {
  try {
    const [, maximum = '0'] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return { open: readdirSync('/proc/self/fd').length, maximum: Number(maximum) }
  } catch {
    return null
  }
}

/** What the caller may see of projects, balancers and hosts: their names for the ids of the others, and how they are. */
export function exposeObjects({ store }: Pick<ControllerContext, 'store'>, caller: Caller): readonly Family[] {
  const client = caller.projectId ?? undefined
  const projects = store.snapshot(projectKind, client).filter(({ id }) => maySee(caller, id))
  const balancers = store.snapshot(loadBalancerKind, client).filter(({ value }) => maySee(caller, value.projectId))
  const hosts = caller.scope === 'admin' ? store.snapshot(hostKind) : []
  const statusOf = new Map(store.snapshot(loadBalancerStatusKind, client).map(({ id, value }) => [id, value.status]))
  const statusOfHost = new Map(store.snapshot(hostStatusKind).map(({ id, value }) => [id, value.status]))
  const info = (name: string, help: string, samples: readonly Sample[]): Family => ({
    name,
    kind: 'info',
    help,
    samples,
  })
  return [
    info(
      'sluice_project',
      'A project and its name.',
      projects.map(({ id, value }) => ({ labels: { project: id, name: value.name }, value: 1 })),
    ),
    info(
      'sluice_load_balancer',
      'A load balancer and its name.',
      balancers.map(({ id, value: { projectId, name, trafficType } }) => ({
        labels: { load_balancer: id, project: projectId, name, traffic_type: trafficType },
        value: 1,
      })),
    ),
    {
      name: 'sluice_load_balancer_status',
      kind: 'gauge',
      help: '1 for the status that it has.',
      samples: balancers.map(({ id, value }) => ({
        labels: { load_balancer: id, project: value.projectId, status: statusOf.get(id) ?? 'provisioning' },
        value: 1,
      })),
    },
    {
      name: 'sluice_load_balancer_members',
      kind: 'gauge',
      help: 'Members that it has.',
      samples: balancers.map(({ id, value }) => ({
        labels: { load_balancer: id, project: value.projectId },
        value: value.members.length,
      })),
    },
    {
      name: 'sluice_host_status',
      kind: 'gauge',
      help: '1 for the status that it has.',
      samples: hosts.map(({ id, value }) => ({
        labels: { host: value.name, status: statusOfHost.get(id) ?? 'awaiting-join' },
        value: 1,
      })),
    },
  ]
}
