/**
 * Auto-scaling: how many instances a balancer may have, what it follows, how fast; and what is told of its decisions.
 * `true` stands for the defaults, `false` for none.
 */

import * as v from 'valibot'

/** Of one balancer: each has a VIP, and is one more on the ring of those that back each other. */
export const instanceCountMaximum = 8
export const instanceCountSchema = v.pipe(
  v.number(),
  v.integer('must be a whole number'),
  v.minValue(1, `must be 1 to ${instanceCountMaximum}`),
  v.maxValue(instanceCountMaximum, `must be 1 to ${instanceCountMaximum}`),
)

/**
 * What can be followed, each of one instance: requests a second (of tcp, connections begun a second), connections open at
 * a time, the share of the processors that its haproxy may use, and the mean time until a member has answered.
 */
export const scalingMetrics = ['requestsPerSecond', 'connections', 'cpuPercent', 'latencyMilliseconds'] as const
export type ScalingMetric = (typeof scalingMetrics)[number]

const between = (least: number, most: number, unit: string) =>
  v.pipe(
    v.number(),
    v.minValue(least, `must be ${least} to ${most} ${unit}`),
    v.maxValue(most, `must be ${least} to ${most} ${unit}`),
  )

/** Instances are added until each has no more than this. */
export const scalingTargetsSchema = v.strictObject({
  requestsPerSecond: v.optional(between(0.1, 1_000_000, 'requests a second')),
  connections: v.optional(between(1, 1_000_000, 'connections')),
  cpuPercent: v.optional(between(1, 100, 'percent')),
  latencyMilliseconds: v.optional(between(1, 600_000, 'milliseconds')),
})

const levelSchema = between(0, 1_000_000, 'of the metric')
const stepCountSchema = v.pipe(
  v.number(),
  v.integer('must be a whole number'),
  v.minValue(1, `must be 1 to ${instanceCountMaximum - 1}`),
  v.maxValue(instanceCountMaximum - 1, `must be 1 to ${instanceCountMaximum - 1}`),
)

/** While an instance has more than `over` on average, `add` so many; with less than `under`, `remove` so many. */
export const scalingStepSchema = v.pipe(
  v.strictObject({
    metric: v.picklist(scalingMetrics),
    over: v.optional(levelSchema),
    add: v.optional(stepCountSchema),
    under: v.optional(levelSchema),
    remove: v.optional(stepCountSchema),
  }),
  v.check(
    ({ over, add, under, remove }) =>
      over === undefined
        ? add === undefined && under !== undefined && remove !== undefined
        : add !== undefined && under === undefined && remove === undefined,
    'must give over with add, or under with remove',
  ),
)

export const weekdays = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const
const timeOfDaySchema = (pattern: RegExp, least: string, most: string) =>
  v.pipe(v.string(), v.regex(pattern, `must be a time in UTC from ${least} to ${most}`))

/** Other bounds in a window of each week; what it leaves out stays. One that ends before it begins goes past midnight. */
export const scalingScheduleSchema = v.pipe(
  v.strictObject({
    /** Every day when left out; those on which it begins. */
    days: v.optional(
      v.pipe(
        v.array(v.picklist(weekdays)),
        v.minLength(1, 'must name a day, or be left out for every day'),
        v.maxLength(weekdays.length, 'must name each day once'),
      ),
      [...weekdays],
    ),
    from: timeOfDaySchema(/^([01]\d|2[0-3]):[0-5]\d$/, '00:00', '23:59'),
    until: timeOfDaySchema(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, '00:00', '24:00'),
    timeZone: v.optional(v.literal('UTC'), 'UTC'),
    minimum: v.optional(instanceCountSchema),
    maximum: v.optional(instanceCountSchema),
  }),
  v.forward(
    v.check(({ from, until }) => from !== until, 'must differ from from; a whole day is 00:00 to 24:00'),
    ['until'],
  ),
  v.check(
    ({ minimum, maximum }) => minimum !== undefined || maximum !== undefined,
    'must give a minimum, a maximum, or both',
  ),
)

export const scalingCooldownSchema = v.strictObject({
  /** After adding, nothing is added for so long: what came needs time to show. */
  outSeconds: v.optional(between(1, 3600, 'seconds'), 15),
  /** Only what was too many for so long is taken away, and nothing for so long after any change. */
  inSeconds: v.optional(between(1, 3600, 'seconds'), 300),
})

const schedulesMaximum = 32
const stepsMaximum = 16

export const autoScalingSchema = v.strictObject({
  minimum: v.optional(instanceCountSchema, 2),
  maximum: v.optional(instanceCountSchema, instanceCountMaximum),
  targets: v.optional(scalingTargetsSchema, {}),
  steps: v.optional(v.pipe(v.array(scalingStepSchema), v.maxLength(stepsMaximum, `are more than ${stepsMaximum}`)), []),
  schedules: v.optional(
    v.pipe(v.array(scalingScheduleSchema), v.maxLength(schedulesMaximum, `are more than ${schedulesMaximum}`)),
    [],
  ),
  cooldown: v.optional(scalingCooldownSchema, {}),
  /** So far below its targets must the load stay with fewer instances before any is taken away. */
  hysteresisPercent: v.optional(between(0, 50, 'percent'), 10),
  /** Whether load that is expected counts as load that is there, once forecasts of it have been good. */
  predictive: v.optional(v.boolean(), true),
})

/** What callers say; what they are told is never `true`, but what it stands for. */
export const autoScalingInputSchema = v.union([v.boolean(), autoScalingSchema])
export const autoScalingViewSchema = v.union([v.literal(false), autoScalingSchema])

export type AutoScaling = v.InferOutput<typeof autoScalingSchema>
export type AutoScalingInput = v.InferOutput<typeof autoScalingInputSchema>
export type ScalingStep = AutoScaling['steps'][number]
export type ScalingSchedule = AutoScaling['schedules'][number]

/**
 * What `true` stands for. The share of processors needs no knowledge of the traffic; haproxy itself refuses connections at
 * some 9,900 with the files that it may open.
 */
export const autoScalingDefaults: AutoScaling = v.parse(autoScalingSchema, {
  targets: { cpuPercent: 60, connections: 5000 },
})

const figuresSchema = v.object({
  metric: v.picklist(scalingMetrics),
  /** Of all instances together; of cpu and latency the mean. */
  total: v.number(),
  /** Of one instance on average. */
  perInstance: v.number(),
  /** The target, or the level of the step. */
  limit: v.number(),
  /** So many instances this one asks for. */
  wish: v.number(),
})

export const scalingReasonSchema = v.object({
  /** One word for programs. */
  reason: v.picklist([
    'target',
    'step',
    'minimum',
    'maximum',
    'schedule',
    'expected',
    'cooldown',
    'dataMissing',
    'steady',
    'begun',
  ]),
  /** A sentence for people. */
  message: v.string(),
  figures: v.optional(figuresSchema),
})

export const scalingDecisionSchema = v.object({
  decidedAt: v.string(),
  from: v.number(),
  to: v.number(),
  reasons: v.array(scalingReasonSchema),
})

/** What is expected by the time that one more instance could serve. */
const forecastSchema = v.object({
  at: v.string(),
  /** Of all instances together; four in five times it is from `low` to `high`. */
  requestsPerSecond: v.number(),
  low: v.number(),
  high: v.number(),
  /** How much smaller its error has been than that of simply going on as of late: 1 is none at all, 0 no smaller. */
  skill: v.number(),
  /** Of how many forecasts that is known. */
  measured: v.number(),
  /** Whether it counts: its skill has been good for long enough, and `predictive` is on. */
  isUsed: v.boolean(),
})

/** Why a balancer has as many instances as it has. */
export const scalingSchema = v.object({
  loadBalancerId: v.string(),
  name: v.string(),
  autoScaling: autoScalingViewSchema,
  /** What callers ask for; with auto-scaling only what it began with. */
  instanceCount: v.number(),
  /** How many it is to have now. */
  desiredCount: v.number(),
  /** How many serve, and how many are on their way out. */
  servingCount: v.number(),
  leavingCount: v.number(),
  /** Null without auto-scaling. */
  bounds: v.nullable(v.object({ minimum: v.number(), maximum: v.number() })),
  /** What would be decided now, with what speaks for it. */
  reasons: v.array(scalingReasonSchema),
  load: v.object({
    /** Of so many instances there is load to read. */
    heardCount: v.number(),
    requestsPerSecond: v.nullable(v.number()),
    connections: v.nullable(v.number()),
    cpuPercent: v.nullable(v.number()),
    latencyMilliseconds: v.nullable(v.number()),
  }),
  /** Null: it is not scaled, or nobody can say yet. */
  forecast: v.nullable(forecastSchema),
  /** Until then nothing is added, or taken away. */
  nextOutAt: v.nullable(v.string()),
  nextInAt: v.nullable(v.string()),
  /** The last ones that changed the count, newest first. */
  decisions: v.array(scalingDecisionSchema),
})

export type ScalingReason = v.InferOutput<typeof scalingReasonSchema>
export type ScalingForecast = v.InferOutput<typeof forecastSchema>
export type ScalingFigures = v.InferOutput<typeof figuresSchema>
export type ScalingDecision = v.InferOutput<typeof scalingDecisionSchema>
export type Scaling = v.InferOutput<typeof scalingSchema>
