/** What one haproxy has counted, as points: of its process, of each listener and of each server. Pure. */

import { type InstanceIds, instanceName, listenerName, memberName, ownPlugins } from '../contract/point-names.ts'
import { infoNumber, parseStatistics, type StatisticsRow } from '../haproxy/haproxy-statistics.ts'
import { requestsColumn } from '../haproxy/sample-load.ts'
import { makeMeasure } from './make-measure.ts'
import type { Measure } from './measured-instance.ts'

/** What the kernel says of its worker; NaN: it is gone. */
export interface WorkerFacts {
  readonly cpuSeconds: number
  readonly residentBytes: number
}

/** Empty where the answer is not whole. Proxies that are not a listener's are not told of. */
export function measureHaproxy(ids: InstanceIds, answer: string, readWorker: (pid: number) => WorkerFacts): Measure[] {
  const rows = parseStatistics(answer)
  if (rows === undefined) return []
  const backends = new Map(rows.filter(({ server }) => server === 'BACKEND').map((row) => [portOf(row.proxy), row]))
  const frontends = new Map(rows.filter(({ server }) => server === 'FRONTEND').map((row) => [portOf(row.proxy), row]))
  const pluginInstance = instanceName(ids)
  const name = { plugin: ownPlugins.haproxy, pluginInstance }
  const ports = [...new Set([...frontends.keys(), ...backends.keys()])].filter((port) => port !== undefined)
  const listeners = ports.map((port) => measureListener(name, port, frontends.get(port), backends.get(port)))
  const servers = rows.flatMap((row) => {
    const port = row.server === 'FRONTEND' || row.server === 'BACKEND' ? undefined : portOf(row.proxy)
    return port === undefined ? [] : measureServer(name, port, row)
  })
  return [measureProcess(name, answer, [...frontends.values()], readWorker), ...listeners, ...servers]
}

type Name = { readonly plugin: string; readonly pluginInstance: string }

/** As templates/haproxy-config.ts calls frontends and backends. */
function portOf(proxy: string): number | undefined {
  const port = /^(?:listener|members)_(\d+)$/.exec(proxy)?.[1]
  return port === undefined ? undefined : Number(port)
}

function measureProcess(
  name: Name,
  answer: string,
  frontends: readonly StatisticsRow[],
  readWorker: (pid: number) => WorkerFacts,
): Measure {
  const worker = infoNumber(answer, 'Pid')
  const { cpuSeconds, residentBytes } = readWorker(worker)
  const ours = frontends.filter(({ proxy }) => portOf(proxy) !== undefined)
  const sum = (column: (row: StatisticsRow) => string) =>
    ours.reduce((total, row) => total + (row.number(column(row)) || 0), 0)
  return makeMeasure(name, 'haproxy_process', {
    connections: sum(() => 'scur'),
    connections_total: sum(() => 'stot'),
    requests_total: sum(requestsColumn),
    received_bytes: sum(() => 'bin'),
    sent_bytes: sum(() => 'bout'),
    cpu: Math.round(1e6 * cpuSeconds),
    threads: infoNumber(answer, 'Nbthread'),
    resident: residentBytes,
    idle: infoNumber(answer, 'Idle_pct') / 100,
    uptime: infoNumber(answer, 'Uptime_sec'),
    worker,
  })
}

const nothing = { number: () => Number.NaN, text: () => undefined }

function measureListener(
  name: Name,
  port: number,
  frontend: StatisticsRow | undefined,
  backend: StatisticsRow | undefined,
): Measure {
  const front = frontend ?? nothing
  const back = backend ?? nothing
  return makeMeasure({ ...name, typeInstance: listenerName(port) }, 'haproxy_listener', {
    connections: front.number('scur'),
    connections_total: front.number('stot'),
    requests_total: frontend === undefined ? Number.NaN : frontend.number(requestsColumn(frontend)),
    received_bytes: front.number('bin'),
    sent_bytes: front.number('bout'),
    ...answersOf(front),
    denied_requests: front.number('dreq'),
    request_errors: front.number('ereq'),
    queue: back.number('qcur'),
    healthy_members: back.number('act'),
    ...failuresOf(back),
    ...waitsOf(back),
  })
}

/** A place of a name that has no address now is no server: haproxy keeps it in maintenance. */
function measureServer(name: Name, port: number, row: StatisticsRow): Measure[] {
  const dot = row.server.indexOf('.')
  const status = row.text('status') ?? ''
  if (dot === -1 || status.startsWith('MAINT')) return []
  const typeInstance = memberName(port, row.server.slice(0, dot), row.server.slice(dot + 1))
  return [
    makeMeasure({ ...name, typeInstance }, 'haproxy_member', {
      connections: row.number('scur'),
      connections_total: row.number('stot'),
      received_bytes: row.number('bin'),
      sent_bytes: row.number('bout'),
      ...answersOf(row),
      queue: row.number('qcur'),
      healthy: status.startsWith('UP') || status === 'no check' ? 1 : 0,
      failed_checks: row.number('chkfail'),
      downs: row.number('chkdown'),
      downtime: row.number('downtime'),
      check_time: row.number('check_duration') / 1000,
      weight: row.number('weight'),
      ...failuresOf(row),
      ...waitsOf(row),
    }),
  ]
}

type Row = Pick<StatisticsRow, 'number'>

const answersOf = (row: Row) => ({
  responses_1xx: row.number('hrsp_1xx'),
  responses_2xx: row.number('hrsp_2xx'),
  responses_3xx: row.number('hrsp_3xx'),
  responses_4xx: row.number('hrsp_4xx'),
  responses_5xx: row.number('hrsp_5xx'),
})

const failuresOf = (row: Row) => ({
  connect_errors: row.number('econ'),
  response_errors: row.number('eresp'),
  retries: row.number('wretr'),
  redispatches: row.number('wredis'),
  client_aborts: row.number('cli_abrt'),
  server_aborts: row.number('srv_abrt'),
})

const waitsOf = (row: Row) => ({
  queue_time: row.number('qtime') / 1000,
  connect_time: row.number('ctime') / 1000,
  response_time: row.number('rtime') / 1000,
  total_time: row.number('ttime') / 1000,
})
