/**
 * A lab whose hosts have a real collectd each, as bare metal has: what it measures is asked for like everything else, and
 * it is there again after its host was. Runs in a sandbox:
 *   scripts/sandbox bun test ./test/lab/collectd-host.lab.ts
 */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { createApi } from '../../bench/system/api.ts'
import { createCleanup } from '../../bench/system/cleanup.ts'
import { metricsSchema } from '../../controller/contract/metrics.ts'
import {
  bootHostAgain,
  bringLabUp,
  killHost,
  labSettings,
  loopbackUrl,
  openLab,
  readAdminToken,
  silentProgress,
  takeLabDown,
} from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(180_000)

const settings = labSettings({ name: 'collectd', hosts: 1, collectd: true })
const cleanup = createCleanup((text) => process.stderr.write(`${text}\n`))

beforeAll(async () => {
  requireSandbox()
  cleanup.defer('the lab', () => takeLabDown(settings))
  await bringLabUp(settings, silentProgress)
})
afterAll(() => cleanup.run())

const loadSince = async (from: string) => {
  const query = `object=host-1&measure=load.shortterm&from=${encodeURIComponent(from)}&step=10s`
  const api = createApi(loopbackUrl, readAdminToken(settings))
  const { series } = await api.call(metricsSchema, 'GET', `/v1/metrics?${query}`)
  return series.flatMap(({ values }) => values).filter((value) => value !== null)
}

const untilMeasured = (from: string) =>
  waitUntil(async () => (await loadSince(from).catch(() => [])).length > 0, {
    what: () => `a load that the host's own collectd has measured since ${from}`,
    timeoutSeconds: 60,
    intervalMilliseconds: 200,
  })

test('what the collectd of a host measures is there, and there again once the host is', async () => {
  await untilMeasured(new Date(Date.now() - 60_000).toISOString())
  const lab = openLab(settings)
  await killHost(lab, 'host-1')
  const bootedAt = new Date(Date.now()).toISOString()
  expect(await bootHostAgain(lab, 'host-1')).toBe(true)
  await untilMeasured(bootedAt)
})
