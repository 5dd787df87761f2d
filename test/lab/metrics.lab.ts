/**
 * Measures of a balancer under real load: asked for while they are new, scraped by a real Prometheus, and there again after
 * the controller was killed. Runs in a sandbox:
 *   scripts/sandbox bun test ./test/lab/metrics.lab.ts
 */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { type Cleanup, createCleanup } from '../../bench/system/cleanup.ts'
import { createBalancer, type System, showBalancer, startSystem } from '../../bench/system/system.ts'
import { awaitWhole } from '../../bench/system/world.ts'
import { type Metrics, metricsSchema } from '../../controller/contract/metrics.ts'
import { bootController, killController, loopbackUrl, readAdminToken } from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { dashboardSchema, listExpressions } from '../monitoring/dashboard-schema.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(120_000)

const noticeSeconds = 60
const examples = new URL('../../examples/monitoring', import.meta.url).pathname
/** Nothing else in the sandbox listens there. */
const prometheusUrl = 'http://127.0.0.1:9090'

const cleanup: Cleanup = createCleanup((text) => process.stderr.write(`${text}\n`))
let system: System
let id: string

beforeAll(async () => {
  requireSandbox()
  system = await startSystem(cleanup)
  const created = await createBalancer(system, 'shop', { instanceCount: 2 })
  id = created.id
  await awaitWhole(system, id)
  const [vip = ''] = (await showBalancer(system, id)).vips
  startLoad(vip)
  startPrometheus()
})

afterAll(async () => {
  await cleanup.run()
})

const ask = async (query: string): Promise<Metrics> =>
  await system.api.call(metricsSchema, 'GET', `/v1/metrics?object=${id}&${query}`)

function startLoad(vip: string): void {
  const load = [process.execPath, `${import.meta.dir}/http-load.ts`, 'calm', vip, '80', '1']
  const child = Bun.spawn(['nsenter', '-t', String(system.clientPid), '-n', '--', ...load], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  cleanup.defer('a load', async () => child.kill('SIGKILL'))
}

const nothing: Pick<Metrics, 'series'> = { series: [] }

/** The latest value that there is. */
const latest = ({ series }: Pick<Metrics, 'series'>): number | null =>
  series[0]?.values.findLast((value) => value !== null) ?? null

async function awaitValue(query: string, isWanted: (value: number) => boolean): Promise<void> {
  let seen: number | null = null
  await waitUntil(
    async () => {
      seen = latest(await ask(query))
      return seen !== null && isWanted(seen)
    },
    {
      what: () => `${query}; the latest was ${seen}`,
      timeoutSeconds: noticeSeconds,
      intervalMilliseconds: 200,
    },
  )
}

test('requests a second of a balancer are asked for while they are served', async () => {
  await awaitValue('measure=requestsPerSecond&from=-5m&step=10s', (value) => value > 20)
  await awaitValue('measure=connections&from=-5m&step=10s', (value) => value >= 1)
  const byMember = await ask('measure=requestsPerSecond&from=-5m&by=member')
  expect(byMember.series.length).toBeGreaterThan(1)
  const listener = await system.api.call(
    metricsSchema,
    'GET',
    `/v1/metrics?object=${id}:80&measure=requestsPerSecond,errorsPerSecond&from=-5m&step=1m`,
  )
  expect(listener.series.map(({ measure }) => measure)).toEqual(['requestsPerSecond', 'errorsPerSecond'])
})

const queryAnswerSchema = v.object({ status: v.string(), data: v.object({ result: v.array(v.unknown()) }) })
const targetsSchema = v.object({
  data: v.object({ activeTargets: v.array(v.object({ health: v.string(), lastError: v.string() })) }),
})
const rulesSchema = v.object({
  data: v.object({
    groups: v.array(
      v.object({ rules: v.array(v.object({ name: v.string(), health: v.string(), state: v.string() })) }),
    ),
  }),
})

/** The example's settings, with a token, and scraping as often as a test wants. */
function startPrometheus(): void {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-prometheus-'))
  cleanup.defer('the files of Prometheus', async () => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'token'), readAdminToken(system.settings))
  copyFileSync(`${examples}/alerts.yml`, join(folder, 'alerts.yml'))
  const settings = readFileSync(`${examples}/prometheus.yml`, 'utf8').replaceAll(/_interval: 15s/g, '_interval: 1s')
  writeFileSync(join(folder, 'prometheus.yml'), settings)
  const argv = ['--config.file=prometheus.yml', '--storage.tsdb.path=data', '--web.listen-address=127.0.0.1:9090']
  const child = Bun.spawn(['prometheus', ...argv], { cwd: folder, stdio: ['ignore', 'ignore', 'ignore'] })
  cleanup.defer('Prometheus', async () => {
    child.kill('SIGKILL')
    await child.exited
  })
}

async function askPrometheus<Schema extends v.GenericSchema>(schema: Schema, path: string) {
  const response = await fetch(`${prometheusUrl}${path}`)
  const text = await response.text()
  if (!response.ok) throw new Error(`Prometheus answered ${path} with ${response.status}: ${text}`)
  return v.parse(schema, JSON.parse(text))
}

const awaitPrometheus = (what: string, condition: () => Promise<boolean>) =>
  waitUntil(async () => await condition().catch(() => false), {
    what: () => what,
    timeoutSeconds: noticeSeconds,
    intervalMilliseconds: 200,
  })

const query = async (expression: string) =>
  (await askPrometheus(queryAnswerSchema, `/api/v1/query?query=${encodeURIComponent(expression)}`)).data.result

test('the controller is killed, and nothing that was measured is lost', async () => {
  const { series, from, to } = await ask('measure=requestsPerSecond&from=-5m&step=10s')
  await killController(system.lab)
  await bootController(system.lab)
  const range = `from=${encodeURIComponent(from)}&to=${encodeURIComponent(to)}`
  const again = await ask(`measure=requestsPerSecond&${range}&step=10s`)
  // The last steps may have been under way.
  const settled = (series[0]?.values ?? []).slice(0, -3)
  expect(again.series[0]?.values.slice(0, settled.length)).toEqual(settled)
  const resumed = `measure=requestsPerSecond&from=${encodeURIComponent(to)}&step=10s`
  await waitUntil(async () => latest(await ask(resumed).catch(() => nothing)) !== null, {
    what: () => 'measures to go on',
    timeoutSeconds: noticeSeconds,
    intervalMilliseconds: 200,
  })
})

test('a real Prometheus scrapes it, the dashboard has something to show, and no alert rings', async () => {
  await awaitPrometheus('Prometheus to scrape the controller', async () => {
    const { data } = await askPrometheus(targetsSchema, '/api/v1/targets')
    const [target] = data.activeTargets
    if (target !== undefined && target.lastError !== '') throw new Error(target.lastError)
    return target?.health === 'up'
  })
  await awaitPrometheus('the load to be seen', async () => {
    return (
      (await query(`sum(rate(sluice_haproxy_listener_requests_total{load_balancer="${id}"}[30s])) > 20`)).length === 1
    )
  })
  const dashboard = v.parse(dashboardSchema, JSON.parse(readFileSync(`${examples}/dashboard.json`, 'utf8')))
  const silent = []
  for (const expression of listExpressions(dashboard))
    if ((await query(expression)).length === 0) silent.push(expression)
  expect(silent).toEqual([])
  const { groups } = (await askPrometheus(rulesSchema, '/api/v1/rules')).data
  const rules = groups.flatMap((group) => group.rules)
  expect(rules.filter(({ health, state }) => health === 'err' || state === 'firing')).toEqual([])
  expect(rules.length).toBeGreaterThan(8)
})

test('what makes no sense is told so', async () => {
  const rows: readonly (readonly [string, number, string])[] = [
    ['object=lb_0000000000000000000000000&measure=connections', 404, 'not-found'],
    [`object=${id}&measure=fairies`, 422, 'measure'],
    [`object=${id}&measure=p99`, 422, 'histograms'],
    [`object=${id}&measure=connections&from=now&to=-1h`, 422, 'must be before to'],
    [`object=${id}&measure=connections&from=-1h&step=7s`, 422, 'multiple of 10 s'],
    [`object=${id}&measure=connections&from=-20h&step=1s`, 422, 'multiple of 10 s'],
    [`object=${id}&measure=connections&from=-7d&step=1m&to=2200-01-01T00:00:00Z`, 422, 'future'],
  ]
  const headers = { authorization: `Bearer ${readAdminToken(system.settings)}` }
  for (const [asked, status, word] of rows) {
    const response = await fetch(`${loopbackUrl}/v1/metrics?${asked}`, { headers })
    expect([asked, response.status]).toEqual([asked, status])
    expect(await response.text()).toContain(word)
  }
})
