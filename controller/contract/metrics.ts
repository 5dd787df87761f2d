/**
 * What can be asked of measures: the words for them, what each is made of, the question and its answer. A measure that has
 * no word here is asked for as `<type>.<data source>`, by the names that agent/contract/point-types.ts has.
 */

import * as v from 'valibot'

/** What a series can be of; the words of point-names.ts. */
export const measuredKinds = [
  'instance',
  'listener',
  'member',
  'network',
  'machine',
  'shard',
  'host',
  'agent',
  'controller',
] as const
export type MeasuredKind = (typeof measuredKinds)[number]

/** How series become one: of what has parts the sum, of what is a level of each the mean. */
export const aggregations = ['sum', 'mean', 'max', 'min'] as const
export type Aggregation = (typeof aggregations)[number]

/** What stands for a step: its mean, its least or greatest reading, or its last one. */
export const timeAggregations = ['mean', 'min', 'max', 'last'] as const
export type TimeAggregation = (typeof timeAggregations)[number]

export interface Measure {
  readonly unit: string
  readonly help: string
  /** Over series, unless it is asked otherwise. */
  readonly aggregation: Aggregation
  /** By what is measured: data sources that are added up, as `<type>.<data source>`. Counters are rates a second. */
  readonly sources: Partial<Readonly<Record<MeasuredKind, readonly string[]>>>
  /** A value in its base unit times this; 1 when left out. */
  readonly factor?: number
}

const answers = (status: string): Measure['sources'] => ({
  listener: [`haproxy_listener.responses_${status}`],
  member: [`haproxy_member.responses_${status}`],
})
const ofHaproxy = (source: string): Measure['sources'] => ({
  instance: [`haproxy_process.${source}`],
  listener: [`haproxy_listener.${source}`],
  member: [`haproxy_member.${source}`],
})
const ofDevice = (source: string): Measure['sources'] => ({
  network: [`device.${source}`],
  machine: [`device.${source}`],
  host: [`device.${source}`],
})

export const measures = {
  requestsPerSecond: {
    unit: 'requests/s',
    help: 'Requests; of tcp, and of members, connections that were begun',
    aggregation: 'sum',
    sources: { ...ofHaproxy('requests_total'), member: ['haproxy_member.connections_total'] },
  },
  connectionsPerSecond: {
    unit: 'connections/s',
    help: 'Connections that were begun',
    aggregation: 'sum',
    sources: ofHaproxy('connections_total'),
  },
  connections: { unit: 'connections', help: 'Open at a time', aggregation: 'sum', sources: ofHaproxy('connections') },
  receivedBytesPerSecond: {
    unit: 'bytes/s',
    help: 'Received from clients; of networks, machines and hosts through their devices',
    aggregation: 'sum',
    sources: { ...ofHaproxy('received_bytes'), ...ofDevice('rx_bytes') },
  },
  sentBytesPerSecond: {
    unit: 'bytes/s',
    help: 'Sent to clients; of networks, machines and hosts through their devices',
    aggregation: 'sum',
    sources: { ...ofHaproxy('sent_bytes'), ...ofDevice('tx_bytes') },
  },
  errorsPerSecond: {
    unit: 'answers/s',
    help: 'Answers with a status of 5xx',
    aggregation: 'sum',
    sources: answers('5xx'),
  },
  refusalsPerSecond: {
    unit: 'answers/s',
    help: 'Answers with a status of 4xx',
    aggregation: 'sum',
    sources: answers('4xx'),
  },
  deniedPerSecond: {
    unit: 'requests/s',
    help: 'Requests that the limits refused',
    aggregation: 'sum',
    sources: { listener: ['haproxy_listener.denied_requests'] },
  },
  retriesPerSecond: {
    unit: 'connections/s',
    help: 'Connections to members that were tried again',
    aggregation: 'sum',
    sources: { listener: ['haproxy_listener.retries'], member: ['haproxy_member.retries'] },
  },
  latencyMilliseconds: {
    unit: 'ms',
    help: 'Until a member begins its answer: the mean of the last 1,024 requests',
    aggregation: 'mean',
    sources: { listener: ['haproxy_listener.response_time'], member: ['haproxy_member.response_time'] },
    factor: 1000,
  },
  queued: {
    unit: 'requests',
    help: 'Requests that wait for a member',
    aggregation: 'sum',
    sources: { listener: ['haproxy_listener.queue'], member: ['haproxy_member.queue'] },
  },
  healthyMembers: {
    unit: 'members',
    help: 'Members that serve, as the instance sees it that sees the fewest',
    aggregation: 'min',
    sources: { listener: ['haproxy_listener.healthy_members'] },
  },
  healthyPercent: {
    unit: 'percent',
    help: 'How much of its time a member serves',
    aggregation: 'mean',
    sources: { member: ['haproxy_member.healthy'] },
    factor: 100,
  },
  cpuPercent: {
    unit: 'percent',
    help: 'Of one processor: four of them are 400',
    aggregation: 'sum',
    sources: {
      instance: ['haproxy_process.cpu'],
      agent: ['agent_process.cpu'],
      host: ['host_cpu.user', 'host_cpu.system', 'host_cpu.interrupt', 'host_cpu.steal'],
    },
    factor: 100,
  },
  memoryBytes: {
    unit: 'bytes',
    help: 'What its program holds',
    aggregation: 'sum',
    sources: { instance: ['haproxy_process.resident'], agent: ['agent_process.resident'] },
  },
  availableBytes: {
    unit: 'bytes',
    help: 'Memory that programs could still have',
    aggregation: 'sum',
    sources: { host: ['host_memory.available'] },
  },
  load: {
    unit: 'processes',
    help: 'Processes that could run: the mean of one minute',
    aggregation: 'sum',
    sources: { host: ['host_load.one_minute'] },
  },
  trackedConnections: {
    unit: 'connections',
    help: 'Connections that the kernel tracks',
    aggregation: 'sum',
    sources: { instance: ['connection_tracking.entries'], host: ['connection_tracking.entries'] },
  },
  heldVips: {
    unit: 'VIPs',
    help: 'VIPs that are held',
    aggregation: 'sum',
    sources: { instance: ['keepalived_process.held_vips'] },
  },
  transitionsPerSecond: {
    unit: 'VIPs/s',
    help: 'VIPs that came or went',
    aggregation: 'sum',
    sources: { instance: ['keepalived_process.transitions'] },
  },
  takenAddresses: {
    unit: 'addresses',
    help: 'Addresses that are taken',
    aggregation: 'sum',
    sources: { shard: ['shard_addresses.taken'] },
  },
} as const satisfies Readonly<Record<string, Measure>>

export type MeasureName = keyof typeof measures

/** One series for each of these, in place of one of all. */
export const groupings = ['instance', 'listener', 'member', 'host', 'device', 'source'] as const
export type Grouping = (typeof groupings)[number]

/** Steps are whole windows of the finest resolution. */
export const stepSecondsMinimum = 10
export const stepsMaximum = 11_000
export const measuresOfQuestionMaximum = 20

const timeSchema = v.pipe(
  v.string(),
  v.regex(
    /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)|-\d{1,7}[smhd]|now)$/,
    'must be a time as 2030-01-31T12:00:00Z, now, or so long ago as -15m, -6h, -30d',
  ),
)

export const metricsQuerySchema = v.strictObject({
  /** An id; `<load balancer>:<port>` for a listener; the name of a host; `controller`. */
  object: v.pipe(v.string(), v.minLength(1, 'must name an object'), v.maxLength(128, 'must be at most 128 characters')),
  measure: v.pipe(
    v.string(),
    v.regex(
      /^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?(,[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?)*$/,
      'must be measures, separated by commas, as requestsPerSecond or haproxy_member.retries',
    ),
  ),
  from: v.optional(timeSchema),
  to: v.optional(timeSchema),
  step: v.optional(v.pipe(v.string(), v.regex(/^\d{1,8}[smhd]?$/, 'must be a length of time, as 10s, 5m, 1h or 1d'))),
  aggregation: v.optional(v.picklist(aggregations)),
  timeAggregation: v.optional(v.picklist(timeAggregations)),
  by: v.optional(v.picklist(groupings)),
})
export type MetricsQuery = v.InferOutput<typeof metricsQuerySchema>

export const metricsSeriesSchema = v.object({
  measure: v.string(),
  unit: v.string(),
  /** By what it was asked for: `{"member": "mbr_…"}`; empty where all are one. */
  labels: v.record(v.string(), v.string()),
  /** One for each step, the first of which begins at `from`; null where nothing was measured. */
  values: v.array(v.nullable(v.number())),
})

export const metricsSchema = v.object({
  object: v.string(),
  from: v.string(),
  to: v.string(),
  stepSeconds: v.number(),
  /** Of the windows that the answer is made of. */
  resolutionSeconds: v.number(),
  timeAggregation: v.picklist(timeAggregations),
  series: v.array(metricsSeriesSchema),
})
export type Metrics = v.InferOutput<typeof metricsSchema>
export type MetricsSeries = v.InferOutput<typeof metricsSeriesSchema>
