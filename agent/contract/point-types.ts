/**
 * What the values of our own types of points mean, one list of data sources a type, and the text of the `types.db` that
 * tells it to a collectd. Types of collectd's own are read from its file; see types-db.ts. Pure data.
 */

import type { DataSourceKind } from './points.ts'

/** What a value is counted in, once it has been multiplied by its scale. */
export type Unit = 'bytes' | 'seconds' | 'ratio' | 'count'

export interface DataSource {
  /** As `types.db` has it: at most 19 characters. */
  readonly name: string
  readonly kind: DataSourceKind
  readonly unit: Unit
  /** A value times this is in its unit: collectd counts in whole numbers only, so that times are told in microseconds. */
  readonly scale: number
  /** What it is, as the help of a metric says it. */
  readonly help: string
}

type Named<Name extends string> = DataSource & { readonly name: Name }

const gauge = <const Name extends string>(name: Name, help: string, unit: Unit = 'count'): Named<Name> => ({
  name,
  kind: 'GAUGE',
  unit,
  scale: 1,
  help,
})
const total = <const Name extends string>(name: Name, help: string, unit: Unit = 'count'): Named<Name> => ({
  name,
  kind: 'DERIVE',
  unit,
  scale: 1,
  help,
})
const microseconds = <const Name extends string>(name: Name, help: string): Named<Name> => ({
  name,
  kind: 'DERIVE',
  unit: 'seconds',
  scale: 1e-6,
  help,
})

/** Of haproxy's last 1,024 requests, of tcp connections. */
const waits = [
  gauge('queue_time', 'Mean time in the queue, of the last 1,024', 'seconds'),
  gauge('connect_time', 'Mean time until the member was connected, of the last 1,024', 'seconds'),
  gauge('response_time', 'Mean time until the answer began, of the last 1,024 requests', 'seconds'),
  gauge('total_time', 'Mean time from the beginning to the end, of the last 1,024', 'seconds'),
]

const answers = [
  total('responses_1xx', 'Answers with a status of 1xx'),
  total('responses_2xx', 'Answers with a status of 2xx'),
  total('responses_3xx', 'Answers with a status of 3xx'),
  total('responses_4xx', 'Answers with a status of 4xx'),
  total('responses_5xx', 'Answers with a status of 5xx'),
]

const failures = [
  total('connect_errors', 'Connections to a member that failed'),
  total('response_errors', 'Answers of a member that broke off or were none'),
  total('retries', 'Connections that were tried again'),
  total('redispatches', 'Requests that another member was given'),
  total('client_aborts', 'Transfers that the client broke off'),
  total('server_aborts', 'Transfers that the member broke off'),
]

const device = [
  total('rx_bytes', 'Received', 'bytes'),
  total('tx_bytes', 'Sent', 'bytes'),
  total('rx_packets', 'Packets received'),
  total('tx_packets', 'Packets sent'),
  total('rx_errors', 'Packets received with errors'),
  total('tx_errors', 'Packets that could not be sent'),
  total('rx_dropped', 'Packets received and dropped'),
  total('tx_dropped', 'Packets dropped instead of sent'),
]

const memory = [
  gauge('total', 'Memory of the host', 'bytes'),
  gauge('available', 'What programs could still have', 'bytes'),
  gauge('cached', 'Contents of files that are kept', 'bytes'),
  gauge('swap_total', 'Swap of the host', 'bytes'),
  gauge('swap_free', 'Swap that is not in use', 'bytes'),
]

/** By type. New data sources of a type go to its end, since points name them by their place. */
export const pointTypes = {
  /** `sluice_haproxy`, no type instance: the process. */
  haproxy_process: [
    gauge('connections', 'Open connections of clients'),
    total('connections_total', 'Connections of clients'),
    total('requests_total', 'Requests; of tcp connections'),
    total('received_bytes', 'Received from clients', 'bytes'),
    total('sent_bytes', 'Sent to clients', 'bytes'),
    microseconds('cpu', 'Time that it had a processor'),
    gauge('threads', 'Processors that it may use'),
    gauge('resident', 'Memory that it holds', 'bytes'),
    gauge('idle', 'How much of its time it has nothing to do', 'ratio'),
    gauge('uptime', 'Since its worker began', 'seconds'),
    gauge('worker', 'The process number of its worker: its counters begin anew with another'),
  ],
  /** By port. */
  haproxy_listener: [
    gauge('connections', 'Open connections of clients'),
    total('connections_total', 'Connections of clients'),
    total('requests_total', 'Requests; of tcp connections'),
    total('received_bytes', 'Received from clients', 'bytes'),
    total('sent_bytes', 'Sent to clients', 'bytes'),
    ...answers,
    total('denied_requests', 'Requests that the rules refused'),
    total('request_errors', 'Requests that were none'),
    gauge('queue', 'Requests that wait for a member'),
    gauge('healthy_members', 'Members that serve'),
    ...failures,
    ...waits,
  ],
  /** By port and member. */
  haproxy_member: [
    gauge('connections', 'Open connections'),
    total('connections_total', 'Connections; of HTTP requests'),
    total('received_bytes', 'Sent by clients to it', 'bytes'),
    total('sent_bytes', 'Sent by it to clients', 'bytes'),
    ...answers,
    gauge('queue', 'Requests that wait for it'),
    gauge('healthy', '1 while it serves, else 0'),
    total('failed_checks', 'Checks that failed while it served'),
    total('downs', 'How often it went out of service'),
    total('downtime', 'How long it has not served', 'seconds'),
    gauge('check_time', 'What its last check took', 'seconds'),
    gauge('weight', 'Its share among the members'),
    ...failures,
    ...waits,
  ],
  /** `sluice_keepalived`. */
  keepalived_process: [
    gauge('running', '1 while it runs, else 0'),
    gauge('vips', 'VIPs that it may hold'),
    gauge('held_vips', 'VIPs that it holds'),
    total('transitions', 'How often a VIP came or went'),
    microseconds('cpu', 'Time that it had a processor'),
  ],
  /** By device: of an instance `uplink` and `network`, of a host its devices; of a network its bridge. */
  device,
  /** Of an instance's namespace, and of a host's own. */
  sockets: [
    gauge('tcp_in_use', 'TCP sockets'),
    gauge('tcp_orphan', 'TCP sockets that no program holds'),
    gauge('tcp_time_wait', 'TCP connections that are over and wait'),
    gauge('udp_in_use', 'UDP sockets'),
    gauge('tcp_memory', 'Memory of TCP sockets', 'bytes'),
  ],
  connection_tracking: [
    gauge('entries', 'Connections that are tracked'),
    total('drops', 'Packets dropped for want of room'),
    total('insert_failures', 'Connections that could not be tracked'),
  ],
  host_cpu: [
    microseconds('user', 'In programs'),
    microseconds('system', 'In the kernel'),
    microseconds('idle', 'With nothing to do'),
    microseconds('wait', 'Waiting for disks'),
    microseconds('interrupt', 'In interrupts'),
    microseconds('steal', 'Taken by the hypervisor'),
    gauge('processors', 'Processors of the host'),
  ],
  host_memory: memory,
  host_load: [
    gauge('one_minute', 'Mean number of processes that could run, of one minute'),
    gauge('five_minutes', 'The same of five minutes'),
    gauge('fifteen_minutes', 'The same of fifteen minutes'),
    gauge('processes', 'Processes'),
    gauge('uptime', 'Since the host began', 'seconds'),
  ],
  /** By disk. */
  host_disk: [
    total('read_bytes', 'Read', 'bytes'),
    total('written_bytes', 'Written', 'bytes'),
    total('reads', 'Reads'),
    total('writes', 'Writes'),
    microseconds('busy', 'Time with something to do'),
  ],
  /** By what lies there: `state`, the agent's own folder. */
  host_filesystem: [gauge('size', 'Of the file system', 'bytes'), gauge('available', 'Room that is left', 'bytes')],
  agent_process: [
    microseconds('cpu', 'Time that it had a processor'),
    gauge('resident', 'Memory that it holds', 'bytes'),
    total('turns', 'Turns of its loop'),
    microseconds('turn_time', 'Time in turns of its loop'),
    gauge('turn_time_maximum', 'The longest turn since the point before', 'seconds'),
    gauge('measuring_time', 'What it took to measure all this', 'seconds'),
    gauge('uptime', 'Since it began', 'seconds'),
  ],
  /** What became of points on their way. */
  agent_points: [
    total('sent', 'Points that NATS has stored'),
    total('dropped', 'Points that were dropped, as NATS was away for too long'),
    gauge('waiting', 'Points that wait for NATS'),
    gauge('series', 'Series of a collectd that are known'),
  ],
  /** By reason; those of a collectd that were refused. */
  collectd_drops: [total('points', 'Points that were refused')],
  collectd_packets: [
    total('packets', 'Packets that came in'),
    total('bytes', 'Bytes that came in', 'bytes'),
    total('points', 'Points that were taken'),
  ],
  /** `sluice_shard`, by the controller. */
  shard_addresses: [gauge('size', 'Addresses of the shard'), gauge('taken', 'Addresses that are taken')],
} satisfies Readonly<Record<string, readonly DataSource[]>>

export type PointType = keyof typeof pointTypes

export const isPointType = (type: string): type is PointType => Object.hasOwn(pointTypes, type)

/** The names of a type's data sources. */
export type SourceName<Type extends PointType> = (typeof pointTypes)[Type][number]['name']

/** The values of a point, each by its name, in the order that the type has them. */
export function orderValues<Type extends PointType>(
  type: Type,
  byName: Readonly<Record<SourceName<Type>, number>>,
): readonly number[] {
  const sources: readonly { readonly name: string }[] = pointTypes[type]
  const values: Readonly<Record<string, number>> = byName
  return sources.map(({ name }) => values[name] ?? Number.NaN)
}

/** The value of one data source of a point of ours, in its unit; undefined: it is of another type, or has no such source. */
export function sourceValue(point: { type: string; values: readonly number[] }, type: PointType, source: string) {
  if (point.type !== type) return undefined
  const sources: readonly DataSource[] = pointTypes[type]
  const index = sources.findIndex(({ name }) => name === source)
  const value = point.values[index]
  return value === undefined ? undefined : value * (sources[index]?.scale ?? 1)
}

/** The file that makes a collectd understand our types, each line `type name:KIND:minimum:maximum, …`. */
export function renderTypesDb(): string {
  return Object.entries(pointTypes)
    .map(([type, sources]: [string, readonly DataSource[]]) => {
      const columns = sources.map(({ name, kind }) => `${name}:${kind}:0:U`)
      return `${type}\t${columns.join(', ')}\n`
    })
    .join('')
}
