import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { instanceName, listenerName, memberName, ownPlugins } from '../../agent/contract/point-names.ts'
import { pointTypes } from '../../agent/contract/point-types.ts'
import type { Point } from '../../agent/contract/points.ts'
import { type Measure, measures } from '../../controller/contract/metrics.ts'
import { balancer, createGround } from '../api/api-ground.ts'
import { dashboardSchema, listExpressions } from './dashboard-schema.ts'

setDefaultTimeout(60_000)

const examples = new URL('../../examples/monitoring', import.meta.url).pathname
const dashboard = () => v.parse(dashboardSchema, JSON.parse(readFileSync(`${examples}/dashboard.json`, 'utf8')))

let folder: string
let exposed: { readonly prometheus: string; readonly openMetrics: string; readonly ofProject: string }

async function promtool(...argv: readonly string[]): Promise<{ readonly code: number; readonly text: string }> {
  const child = Bun.spawn(['promtool', ...argv], { cwd: examples, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { code, text: `${out}${err}` }
}

/** A point of each type that there is, of one balancer on one host, all values 1. */
function describeEverything(
  ids: { projectId: string; loadBalancerId: string; instanceId: string },
  now: number,
): Point[] {
  const plugins: Readonly<Record<string, string>> = {
    haproxy: ownPlugins.haproxy,
    keepalived: ownPlugins.keepalived,
    shard: ownPlugins.shard,
    host: ownPlugins.host,
    device: ownPlugins.host,
    agent: ownPlugins.agent,
    controller: ownPlugins.controller,
  }
  const parts: Readonly<Record<string, string>> = {
    haproxy_listener: listenerName(80),
    haproxy_member: memberName(80, `mbr_${'0'.repeat(25)}`, 'a'),
    device: 'eth0',
    host_disk: 'vda',
    collectd_drops: 'future',
  }
  return Object.entries(pointTypes).map(([type, sources]) => {
    const plugin = plugins[type.split('_')[0] ?? ''] ?? ownPlugins.host
    const isOfInstance = plugin === ownPlugins.haproxy || plugin === ownPlugins.keepalived
    const isOfShard = plugin === ownPlugins.shard
    return {
      host: 'host-a',
      plugin,
      pluginInstance: isOfInstance || isOfShard ? instanceName(ids) : '',
      type,
      typeInstance: parts[type] ?? '',
      timeSeconds: now / 1000,
      intervalSeconds: 10,
      values: sources.map(() => 1),
    }
  })
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-monitoring-'))
  const ground = await createGround()
  const { world, projectId, networkId } = ground
  const created = await world.create('/v1/load-balancers', { ...balancer, projectId, networkId })
  await world.settle()
  const ids = { projectId, loadBalancerId: String(created.id), instanceId: `lbi_${'0'.repeat(25)}` }
  world.metrics.say({ kind: 'host', host: 'host-a' }, describeEverything(ids, world.context.now()))
  const other = await world.create('/v1/projects', { name: 'other', user: 'jane' })
  const { token } = await world.create('/v1/tokens', { name: 'scraper', projectId: other.id })
  const accept = { accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' }
  const scrape = async (headers: Record<string, string>, bearer: string = world.admin) => {
    const request = { headers: { ...headers, authorization: `Bearer ${bearer}` } }
    return await (await world.app.request('/metrics', request)).text()
  }
  exposed = {
    prometheus: await scrape({}),
    openMetrics: await scrape(accept),
    ofProject: await scrape({}, String(token)),
  }
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('what Prometheus scrapes', () => {
  test('is found good by promtool', async () => {
    const child = Bun.spawn(['promtool', 'check', 'metrics'], {
      stdin: new TextEncoder().encode(exposed.prometheus),
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const said = (await new Response(child.stdout).text()) + (await new Response(child.stderr).text())
    expect([await child.exited, said]).toEqual([0, ''])
  })

  test('is OpenMetrics for whoever accepts it', async () => {
    expect(exposed.openMetrics.endsWith('# EOF\n')).toBe(true)
    const families = [...exposed.openMetrics.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name]) => name)
    expect(new Set(families).size).toBe(families.length)
    // Prometheus' own reader of OpenMetrics wants a time with each sample.
    const timed = exposed.openMetrics.replaceAll(/^([^#\n].*)$/gm, '$1 1900000000')
    writeFileSync(join(folder, 'openmetrics.txt'), timed)
    const read = await promtool(
      'tsdb',
      'create-blocks-from',
      'openmetrics',
      join(folder, 'openmetrics.txt'),
      join(folder, 'tsdb'),
    )
    expect(read.code, read.text).toBe(0)
  })

  test('has each source of each type, in base units', () => {
    const names = new Set([...exposed.prometheus.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name))
    for (const name of [
      'sluice_haproxy_listener_requests_total',
      'sluice_haproxy_process_cpu_seconds_total',
      'sluice_haproxy_member_response_time_seconds',
      'sluice_haproxy_process_current_connections',
      'sluice_host_memory_available_bytes',
      'sluice_host_load1',
      'process_cpu_seconds_total',
    ]) {
      expect(names).toContain(name)
    }
    const sources = Object.values(pointTypes).reduce((sum, list) => sum + list.length, 0)
    expect(names.size).toBeGreaterThan(sources)
  })

  test("of a project's token is of that project alone", () => {
    expect(exposed.ofProject).toContain('name="other"')
    expect(exposed.ofProject).not.toContain('sluice_haproxy')
    expect(exposed.ofProject).not.toContain('process_')
    expect(exposed.ofProject).not.toContain('name="shop"')
  })
})

describe('the alert rules', () => {
  test('are read, and ring when they should', async () => {
    const checked = await promtool('check', 'rules', 'alerts.yml')
    expect(checked.code, checked.text).toBe(0)
    const tested = await promtool('test', 'rules', 'alerts.test.yml')
    expect(tested.code, tested.text).toBe(0)
  })

  test('name nothing that is not scraped', () => {
    expect(namesMissing(readFileSync(`${examples}/alerts.yml`, 'utf8'))).toEqual([])
  })
})

describe('the dashboard', () => {
  test('is as Grafana reads it', () => {
    expect(dashboard().panels.length).toBeGreaterThan(20)
  })

  test('asks Prometheus for what can be asked, and is scraped', async () => {
    const expressions = listExpressions(dashboard())
    const rules = expressions.map((expr, i) => ({ record: `dashboard:panel:${i}`, expr }))
    writeFileSync(join(folder, 'dashboard.yml'), JSON.stringify({ groups: [{ name: 'dashboard', rules }] }))
    const checked = await promtool('check', 'rules', join(folder, 'dashboard.yml'))
    expect(checked.code, checked.text).toBe(0)
    expect(namesMissing(expressions.join('\n'))).toEqual([])
  })
})

/** Of all names of ours in a text, those that a scrape does not have. */
function namesMissing(text: string): string[] {
  const scraped = new Set([...exposed.prometheus.matchAll(/^([a-z_0-9]+)[{ ]/gm)].map(([, name]) => name))
  const named = new Set([...text.matchAll(/\b((sluice|process)_[a-z0-9_]+)\b/g)].map(([, name = '']) => name))
  return [...named].filter((name) => !scraped.has(name))
}

test('each measure is in docs/metrics.md, as it is', () => {
  const documented = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')
  for (const [name, measure] of Object.entries<Measure>(measures)) {
    const { unit, sources, aggregation, help } = measure
    const row = `| \`${name}\` | ${unit} | ${Object.keys(sources).join(', ')} | ${aggregation} | ${help} |`
    expect(documented).toContain(row)
  }
})
