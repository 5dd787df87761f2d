/**
 * How many bytes Prometheus' own database takes for points: they are written as OpenMetrics, and promtool makes blocks of
 * them. Writes under a folder of its own, and removes it.
 */

import { createWriteStream, readdirSync, rmSync, statSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DataSource, type PointType, pointTypes } from '../../agent/contract/point-types.ts'
import type { Point } from '../../agent/contract/points.ts'
import { nameFamily } from '../../controller/observed/metrics/expose-points.ts'

/** `ticks`: what is said, in the order of time. Answers the bytes of all blocks. */
export async function measurePrometheus(ticks: Iterable<readonly Point[]>): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-tsdb-'))
  try {
    await writeOpenMetrics(join(folder, 'points.txt'), ticks)
    const argv = ['tsdb', 'create-blocks-from', 'openmetrics', join(folder, 'points.txt'), join(folder, 'data')]
    const child = Bun.spawn(['promtool', ...argv], { stdio: ['ignore', 'ignore', 'pipe'] })
    const said = await new Response(child.stderr).text()
    if ((await child.exited) !== 0) throw new Error(`promtool: ${said}`)
    return sizeOfFolder(join(folder, 'data'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** By family, as OpenMetrics wants it: the points of all times are gone through once for each. */
async function writeOpenMetrics(file: string, ticks: Iterable<readonly Point[]>): Promise<void> {
  const lines = new Map<string, string[]>()
  for (const points of ticks) {
    for (const point of points) {
      const sources: readonly DataSource[] = pointTypes[point.type as PointType]
      const labels = `host="${point.host}",instance_ids="${point.pluginInstance}",part="${point.typeInstance}"`
      for (const [i, source] of sources.entries()) {
        const isCounter = source.kind !== 'GAUGE'
        const name = nameFamily(point.type, source, sources)
        const family = lines.get(name) ?? [`# TYPE ${name} ${isCounter ? 'counter' : 'gauge'}`]
        lines.set(name, family)
        family.push(`${name}${isCounter ? '_total' : ''}{${labels}} ${point.values[i]} ${point.timeSeconds}`)
      }
    }
  }
  const stream = createWriteStream(file)
  for (const family of lines.values()) {
    if (!stream.write(`${family.join('\n')}\n`)) await new Promise((resolve) => stream.once('drain', resolve))
  }
  await new Promise((resolve) => stream.end('# EOF\n', () => resolve(null)))
}

function sizeOfFolder(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}
