/** Answers whoever asks for measures: what they may see, what they ask for, what there is. Reads store, blocks and head. */

import { refuseUnavailable } from '../../access/problems.ts'
import type { Metrics, MetricsQuery } from '../../contract/metrics.ts'
import { type Outcome, refuse, succeed } from '../../contract/problem.ts'
import type { Basis } from '../../prediction/prefetch/read-cache.ts'
import type { ControllerContext, RequestInfo } from '../../services.ts'
import { answerMetrics } from './answer-metrics.ts'
import type { BlockStore } from './block-store.ts'
import { exposeController, exposeObjects } from './expose-controller.ts'
import { type ExposedPoints, exposePoints } from './expose-points.ts'
import { type ExpositionFormat, type Family, renderExposition } from './exposition-text.ts'
import type { Head } from './head.ts'
import type { MetricsKeeper } from './keep-metrics.ts'
import { type AskedRange, parseMeasures, parseRange } from './parse-question.ts'
import { resolveSubject } from './resolve-subject.ts'
import type { Selection, Subject } from './select-series.ts'

export interface MetricsService {
  ask(query: MetricsQuery, request: Pick<RequestInfo, 'caller'>): Promise<Outcome<Metrics>>
  /** Asked before: until when the answer is as good as a new one. Null: the question is refused. */
  basisOf(query: MetricsQuery, request: Pick<RequestInfo, 'caller'>): Promise<Basis | null>
  /** What is so now of all that the caller may see, for Prometheus. */
  expose(format: ExpositionFormat, request: Pick<RequestInfo, 'caller'>): string
}

export interface MetricsParts {
  readonly blocks: Pick<BlockStore, 'readMany'>
  readonly head: Pick<Head, 'blocks' | 'latest' | 'counts' | 'stampOf'>
  readonly keeper: Pick<MetricsKeeper, 'headFrom' | 'counts'>
  /** Resolves when the head has all that was said before it began. */
  readonly caughtUp: Promise<void>
}

/** In one answer, over all its series. */
const valuesMaximum = 500_000
const catchUpMilliseconds = 5000

export function createMetricsService(
  context: Pick<ControllerContext, 'store' | 'now'>,
  { blocks, head, keeper, caughtUp }: MetricsParts,
): MetricsService {
  return {
    expose(format, { caller }) {
      const { families, leftOut } = exposePoints(head.latest.values(), {
        now: context.now(),
        projectId: caller.scope === 'admin' ? null : caller.projectId,
      })
      const counts = { head: head.counts(), keeper: keeper.counts(), series: head.latest.size }
      const own = caller.scope === 'admin' ? exposeController(counts) : []
      return renderExposition(
        [...own, ...exposeObjects(context, caller), describeLeftOut(leftOut), ...families],
        format,
      )
    },

    async ask(query, request) {
      const asked = await understand(query, request)
      if (!asked.ok) return asked
      const { subject, selections, range } = asked.value
      if (!(await isSettledWithin(caughtUp, catchUpMilliseconds)))
        return refuseUnavailable('measures are being read', 5)
      const { from, stepMilliseconds, count, tier } = range
      const timeAggregation = query.timeAggregation ?? 'mean'
      const series = await answerMetrics(
        { blocks, head, headFrom: keeper.headFrom, tier },
        {
          ...{ from, stepMilliseconds, count, timeAggregation },
          holder: subject.holder,
          selections,
          ...(query.aggregation === undefined ? {} : { aggregation: query.aggregation }),
        },
      )
      if (series.length * count > valuesMaximum) return refuseTooMany(series.length, count)
      return succeed({
        object: query.object,
        from: new Date(from).toISOString(),
        to: new Date(from + count * stepMilliseconds).toISOString(),
        stepSeconds: stepMilliseconds / 1000,
        resolutionSeconds: tier.seconds,
        timeAggregation,
        series: [...series],
      })
    },

    async basisOf(query, request) {
      const asked = await understand(query, request)
      return asked.ok ? describeBasis(query, request, asked.value) : null
    },
  }

  async function understand(query: MetricsQuery, request: Pick<RequestInfo, 'caller'>): Promise<Outcome<Understood>> {
    const subject = await resolveSubject(context, query.object, request)
    if (!subject.ok) return subject
    const selections = parseMeasures(query.measure, subject.value, query.by)
    if (!selections.ok) return selections
    const range = parseRange(query, context.now())
    if (!range.ok) return range
    return succeed({ subject: subject.value, selections: selections.value, range: range.value })
  }

  /** The same question means the same until a point comes, a block is written, or time goes on to another step. */
  function describeBasis(query: MetricsQuery, request: Pick<RequestInfo, 'caller'>, asked: Understood): Basis {
    const { holder } = asked.subject
    const stampNow = () => head.stampOf(holder)
    const { headFrom } = keeper
    return {
      source: `metrics/${holder}`,
      shardKey: null,
      version: stampNow(),
      current: async () => {
        const now = await understand(query, request)
        const isSame = now.ok && keeper.headFrom === headFrom && describeMeaning(now.value) === describeMeaning(asked)
        return isSame ? stampNow() : Number.POSITIVE_INFINITY
      },
    }
  }
}

interface Understood {
  readonly subject: Subject
  readonly selections: readonly Selection[]
  readonly range: AskedRange
}

/** Whose blocks and which steps; selections follow from the query and from what the subject is. */
const describeMeaning = ({ subject, range }: Understood) =>
  [subject.holder, subject.kinds.join(), range.from, range.stepMilliseconds, range.count, range.tier.seconds].join(' ')

const describeLeftOut = (leftOut: ExposedPoints['leftOut']): Family => ({
  name: 'sluice_controller_samples_left_out',
  kind: 'gauge',
  help: 'Samples for which a scrape has no room, by what was measured.',
  samples: [...leftOut].map(([kind, value]) => ({ labels: { kind }, value })),
})

const refuseTooMany = (series: number, count: number) =>
  refuse({
    code: 'invalid',
    title: 'The answer would be too large',
    detail: `There are ${series} series of ${count} steps each, and an answer may have ${valuesMaximum} values.`,
    remedy: 'Ask for a longer step, a shorter range, or without `by`.',
    errors: [{ field: 'step', message: 'makes too many values' }],
  })

async function isSettledWithin(promise: Promise<void>, milliseconds: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds)
  })
  const isSettled = await Promise.race([promise.then(() => true), late])
  clearTimeout(timer)
  return isSettled
}
