/**
 * By which policies microshards are split, merged and placed: marks, times and budgets, all with defaults, and what can't
 * be together. An admin's, one for the rack.
 */

import * as v from 'valibot'

export const placementPolicies = ['load', 'proximity', 'equal'] as const
export type PlacementPolicy = (typeof placementPolicies)[number]

/** What a rule may ask about; each is one number for the whole rack. */
export const rackMeasures = [
  /** The load of the busiest node over the average one's. */
  'nodeLoadPeak',
  /** The microshards of the node that has most of them over the average. */
  'nodeCountPeak',
  /** Of all accesses whose location is known, the share that goes to a node elsewhere. */
  'remoteShare',
  'p99Milliseconds',
  'errorShare',
  'accessesPerSecond',
] as const
export type RackMeasure = (typeof rackMeasures)[number]

export const decisionModes = ['off', 'dryRun', 'on'] as const

const between = (least: number, most: number) => {
  const message = `must be ${least} to ${most}`
  return v.pipe(v.number(), v.minValue(least, message), v.maxValue(most, message))
}
const count = (least: number, most: number) => v.pipe(between(least, most), v.integer('must be a whole number'))
const withDefaults = <Entries extends v.ObjectEntries>(entries: Entries) =>
  v.optional(v.strictObject(entries), {} as v.InferInput<v.StrictObjectSchema<Entries, undefined>>)

const hour = 3600
const day = 24 * hour
const kibibyte = 1024
const gibibyte = kibibyte ** 3
export const policyRulesMaximum = 20

const ruleSchema = v.strictObject({
  name: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and hyphens')),
  measure: v.picklist(rackMeasures),
  /** `now`, or the average of the last quarter of an hour. */
  over: v.optional(v.picklist(['now', 'past']), 'now'),
  /** It is met from this on … */
  above: between(0, 1e9),
  /** … until it has come down to this. */
  until: between(0, 1e9),
  policy: v.picklist(placementPolicies),
})

const defaultRules: readonly v.InferInput<typeof ruleSchema>[] = [
  { name: 'a-node-is-hot', measure: 'nodeLoadPeak', above: 1.25, until: 1.1, policy: 'load' },
  { name: 'clients-are-far', measure: 'remoteShare', over: 'past', above: 0.5, until: 0.3, policy: 'proximity' },
]

export const microshardPoliciesSchema = v.strictObject({
  /** `dryRun`: everything is decided and told, and nothing is done. */
  mode: v.optional(v.picklist(decisionModes), 'dryRun'),
  split: withDefaults({
    /** When its load is this many times that of the average microshard … */
    overMean: v.optional(between(1.5, 100), 2),
    /** … for so long, … */
    forSeconds: v.optional(between(10, hour), 30),
    /** … and at least so many accesses a second, that cost its node something. */
    loadMinimum: v.optional(between(0, 1e6), 50),
    /** Or when it is larger. */
    bytesMaximum: v.optional(between(kibibyte ** 2, 1024 * gibibyte), gibibyte),
  }),
  merge: withDefaults({
    /** When two neighbours together have less than this, of the load of the average microshard … */
    underMean: v.optional(between(0, 1), 0.25),
    /** … for so long. */
    forSeconds: v.optional(between(60, day), 5 * 60),
  }),
  placement: withDefaults({
    /** A node is hot from this on, over the average node … */
    overMean: v.optional(between(1.01, 10), 1.25),
    /** … until it has come down to this. */
    untilOverMean: v.optional(between(1, 10), 1.1),
    forSeconds: v.optional(between(10, hour), 60),
    /** Accesses a second of the average node, below which no node is hot. */
    loadMinimum: v.optional(between(0, 1e6), 20),
  }),
  /** The first that is met says how microshards are placed; none: equally. */
  rules: v.optional(v.pipe(v.array(ruleSchema), v.maxLength(policyRulesMaximum)), [...defaultRules]),
  /** A microshard that has come by a split is not merged for so long, nor the other way round. */
  cooldownSeconds: v.optional(between(60, day), hour),
  /** A microshard that has come by anything is left alone for so long. */
  restSeconds: v.optional(between(10, day), 5 * 60),
  /** Of operations that are begun by policies or by hand: within an hour, and at once. */
  churn: withDefaults({
    operationsPerHour: v.optional(count(0, 1000), 24),
    bytesPerHour: v.optional(between(0, 1024 * gibibyte), 20 * gibibyte),
    atOnce: v.optional(count(1, 16), 2),
  }),
  microshards: withDefaults({
    perNodeMinimum: v.optional(count(1, 10_000), 4),
    perNodeMaximum: v.optional(count(1, 10_000), 150),
  }),
  /** What a move costs. */
  cost: withDefaults({
    bandwidthBytesPerSecond: v.optional(between(1e4, 1e11), 2e7),
    pauseMilliseconds: v.optional(between(0, 60_000), 100),
  }),
  prediction: withDefaults({
    isOn: v.optional(v.boolean(), true),
    horizonSeconds: v.optional(between(5 * 60, day), hour),
    /** A node is relieved ahead when it is expected to have this many times what it has. */
    threshold: v.optional(between(1, 10), 1.1),
    /** What a forecast must be better by than the load as it is, to be believed: 0 to 1, of the error. */
    skillMinimum: v.optional(between(0, 1), 0.1),
  }),
  resharding: withDefaults({
    isOn: v.optional(v.boolean(), true),
    /** How far accesses may lie from those that the key's weights were learned on: half the sum of differences, 0 to 1. */
    divergenceMaximum: v.optional(between(0.01, 1), 0.3),
  }),
  /** More or fewer nodes are asked for, by an event and by the webhook; nobody starts or ends them here. */
  nodes: withDefaults({
    isOn: v.optional(v.boolean(), false),
    minimum: v.optional(count(1, 1000), 1),
    maximum: v.optional(count(1, 1000), 16),
    /** Accesses a second that one is to have. */
    loadPerNode: v.optional(between(1, 1e7), 2000),
    webhookUrl: v.optional(
      v.nullable(v.pipe(v.string(), v.url('must be a URL'), v.regex(/^https?:/, 'must be http or https'))),
      null,
    ),
  }),
})

export type MicroshardPolicies = v.InferOutput<typeof microshardPoliciesSchema>
export type PolicyRule = MicroshardPolicies['rules'][number]

export const defaultMicroshardPolicies: MicroshardPolicies = v.parse(microshardPoliciesSchema, {})

export interface Contradiction {
  readonly field: string
  readonly message: string
}

/** What is right by itself and can't be together. Pure. */
export function findContradictions(policies: MicroshardPolicies): readonly Contradiction[] {
  const { split, merge, placement, churn, microshards, cost, prediction, nodes } = policies
  const copySeconds = split.bytesMaximum / cost.bandwidthBytesPerSecond
  const found: readonly (readonly [boolean, string, string])[] = [
    [
      placement.untilOverMean >= placement.overMean,
      'placement.untilOverMean',
      `must be below placement.overMean, ${placement.overMean}: else a node would be hot and not hot at once`,
    ],
    [
      merge.underMean * 2 > split.overMean,
      'merge.underMean',
      `must be at most half of split.overMean, ${split.overMean}: else what is merged would be split again`,
    ],
    [
      microshards.perNodeMinimum > microshards.perNodeMaximum,
      'microshards.perNodeMinimum',
      `must not be above microshards.perNodeMaximum, ${microshards.perNodeMaximum}`,
    ],
    [nodes.minimum > nodes.maximum, 'nodes.minimum', `must not be above nodes.maximum, ${nodes.maximum}`],
    [nodes.webhookUrl !== null && !nodes.isOn, 'nodes.webhookUrl', 'would never be called: nodes.isOn is false'],
    [
      churn.operationsPerHour > 0 && churn.bytesPerHour < split.bytesMaximum,
      'churn.bytesPerHour',
      `must be at least split.bytesMaximum, ${split.bytesMaximum}: else there are microshards that could never be moved`,
    ],
    [
      policies.restSeconds > policies.cooldownSeconds,
      'restSeconds',
      `must not be above cooldownSeconds, ${policies.cooldownSeconds}`,
    ],
    [
      prediction.isOn && copySeconds > prediction.horizonSeconds,
      'prediction.horizonSeconds',
      `must be at least the ${Math.ceil(copySeconds)} s that it takes to copy split.bytesMaximum by cost.bandwidthBytesPerSecond: what is moved ahead would come too late`,
    ],
    ...policies.rules.flatMap((rule, i) => findRuleContradictions(policies.rules, rule, i)),
  ]
  return found.flatMap(([isWrong, field, message]) => (isWrong ? [{ field, message }] : []))
}

function findRuleContradictions(
  rules: readonly PolicyRule[],
  rule: PolicyRule,
  i: number,
): readonly (readonly [boolean, string, string])[] {
  const earlier = rules.slice(0, i)
  const hiding = earlier.find((one) => isSameTest(one, rule) && one.above <= rule.above)
  return [
    [rule.until > rule.above, `rules.${i}.until`, `must not be above its 'above', ${rule.above}`],
    [earlier.some(({ name }) => name === rule.name), `rules.${i}.name`, 'is the name of an earlier rule'],
    [
      hiding !== undefined,
      `rules.${i}`,
      `is never reached: '${hiding?.name}' before it is met whenever it is, and says '${hiding?.policy}'`,
    ],
  ]
}

const isSameTest = (one: PolicyRule, other: PolicyRule) => one.measure === other.measure && one.over === other.over

const figuresSchema = v.record(v.string(), v.number())
export const decisionKinds = ['split', 'merge', 'migrate', 'policy', 'nodes'] as const

/** What was decided, and what came of it. */
export const takenDecisionSchema = v.object({
  at: v.string(),
  kind: v.picklist(decisionKinds),
  /** The microshards that it is about; none where it is about the rack. */
  microshards: v.array(v.string()),
  toNode: v.nullable(v.string()),
  reason: v.string(),
  figures: figuresSchema,
  /** For what is expected, and not for what is. */
  isAhead: v.boolean(),
  /** `decided`: a dry run, or nothing had to be begun. */
  outcome: v.picklist(['begun', 'refused', 'decided']),
  /** Of what was begun. */
  operationId: v.nullable(v.string()),
  /** Why it was refused. */
  problem: v.nullable(v.string()),
})

export const explanationSchema = v.object({
  mode: v.picklist(decisionModes),
  /** The controller that decides; null: none has yet. */
  controller: v.nullable(v.string()),
  /** Of the last decision or look that changed anything, RFC 3339. */
  at: v.nullable(v.string()),
  policy: v.picklist(placementPolicies),
  /** What the rules ask about, as it was then. */
  measures: figuresSchema,
  rules: v.array(
    v.object({ name: v.string(), test: v.string(), isMet: v.boolean(), policy: v.picklist(placementPolicies) }),
  ),
  churn: v.object({
    operations: v.number(),
    operationsPerHour: v.number(),
    bytes: v.number(),
    bytesPerHour: v.number(),
  }),
  /** What would be done if there were room for it. */
  heldBack: v.array(
    v.object({
      kind: v.picklist(decisionKinds),
      microshards: v.array(v.string()),
      reason: v.string(),
      because: v.string(),
    }),
  ),
  /** The newest first. */
  decisions: v.array(takenDecisionSchema),
})

export type TakenDecision = v.InferOutput<typeof takenDecisionSchema>
export type Explanation = v.InferOutput<typeof explanationSchema>
