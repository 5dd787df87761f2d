/** The room of measures over blocks in memory, for tests: points are put into it by hand. */

import type { Point, PointOrigin } from '../../../agent/contract/points.ts'
import { createHead, type Head } from './head.ts'
import { createMetricsKeeper, type MetricsKeeper } from './keep-metrics.ts'
import { createMetricsService, type MetricsParts, type MetricsService } from './metrics-service.ts'
import { createSeriesLimit, type SeriesLimits } from './series-limit.ts'
import { createTestBlocks, type TestBlocks } from './test-blocks.ts'

export interface TestMetrics {
  readonly service: MetricsService
  readonly blocks: TestBlocks
  readonly head: Head
  readonly keeper: MetricsKeeper
  readonly parts: MetricsParts
  say(origin: PointOrigin, points: readonly Point[]): void
}

export async function createTestMetrics(
  context: Parameters<typeof createMetricsService>[0],
  options: { readonly limits?: SeriesLimits; readonly blocks?: TestBlocks } = {},
): Promise<TestMetrics> {
  const { now } = context
  const blocks = options.blocks ?? createTestBlocks()
  const head = createHead(createSeriesLimit(options.limits))
  const keeper = await createMetricsKeeper({ blocks, head, now, logger: { warn: () => undefined } })
  const parts = { blocks, head, keeper, caughtUp: Promise.resolve() }
  return {
    service: createMetricsService(context, parts),
    blocks,
    head,
    keeper,
    parts,
    say: (origin, points) => head.accept({ origin, points }, now(), now()),
  }
}
