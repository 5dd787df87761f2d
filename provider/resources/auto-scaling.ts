/** Auto-scaling of a load balancer as an attribute. Left out here is `false` in the API. Pure. */

import * as v from 'valibot'
import { autoScalingSchema, instanceCountMaximum, scalingMetrics, weekdays } from '../../controller/contract/scaling.ts'
import { between, bool, integer, list, matches, number, object, sizeBetween, string } from '../plugin/index.ts'
import { withoutNull } from './define.ts'

const instances = () => [between(1, instanceCountMaximum)]
const usual = v.getDefaults(autoScalingSchema)
const cooldownUsual = v.getDefaults(v.unwrap(autoScalingSchema.entries.cooldown))

const targets = object(
  {
    requestsPerSecond: number({
      optional: true,
      validators: [between(0.1, 1_000_000)],
      description: 'Requests a second of one instance; of tcp, connections begun a second.',
    }),
    connections: number({
      optional: true,
      validators: [between(1, 1_000_000)],
      description: 'Connections of one instance that are open at a time.',
    }),
    cpuPercent: number({
      optional: true,
      validators: [between(1, 100)],
      description: 'The share of the processors that the haproxy of an instance may use.',
    }),
    latencyMilliseconds: number({
      optional: true,
      validators: [between(1, 600_000)],
      description: 'The mean time until a member has answered.',
    }),
  },
  { default: {}, description: 'Instances are added until each has no more than this.' },
)

const steps = list(
  object({
    metric: string({
      required: true,
      oneOf: scalingMetrics,
      description: 'What is followed, named as the API names the targets: `requestsPerSecond`, for one.',
    }),
    over: number({ optional: true, description: 'While an instance has more than this on average, `add` so many.' }),
    add: integer({ optional: true, description: 'How many are added.' }),
    under: number({ optional: true, description: 'While an instance has less than this, `remove` so many.' }),
    remove: integer({ optional: true, description: 'How many are taken away.' }),
  }),
  {
    default: [],
    validators: [sizeBetween(0, 16)],
    description: 'Each gives `over` with `add`, or `under` with `remove`; up to 16.',
  },
)

const timeOfDay = /^(([01]\d|2[0-3]):[0-5]\d|24:00)$/
const schedules = list(
  object({
    days: list(string({ oneOf: weekdays }), {
      default: [...weekdays],
      description: 'The days on which it begins; every day when left out.',
    }),
    from: string({
      required: true,
      validators: [matches(timeOfDay, 'be a time from 00:00 to 23:59')],
      description: 'When it begins, UTC, as 08:00.',
    }),
    until: string({
      required: true,
      validators: [matches(timeOfDay, 'be a time from 00:00 to 24:00')],
      description: 'When it ends, UTC; before it begins: past midnight.',
    }),
    timeZone: string({ default: 'UTC', oneOf: ['UTC'], description: 'UTC.' }),
    minimum: integer({ optional: true, validators: instances(), description: 'At least so many; left out: as ever.' }),
    maximum: integer({ optional: true, validators: instances(), description: 'At most so many; left out: as ever.' }),
  }),
  {
    default: [],
    validators: [sizeBetween(0, 32)],
    description: 'Other bounds in a window of each week; up to 32.',
  },
)

export const autoScalingAttribute = object(
  {
    minimum: integer({
      default: usual.minimum ?? 2,
      validators: instances(),
      description: 'At least so many instances.',
    }),
    maximum: integer({
      default: usual.maximum ?? instanceCountMaximum,
      validators: instances(),
      description: 'At most so many instances.',
    }),
    targets,
    steps,
    schedules,
    cooldown: object(
      {
        outSeconds: number({
          default: cooldownUsual.outSeconds ?? 15,
          validators: [between(1, 3600)],
          description: 'After adding, nothing is added for so long.',
        }),
        inSeconds: number({
          default: cooldownUsual.inSeconds ?? 300,
          validators: [between(1, 3600)],
          description: 'Only what was too many for so long is taken away, and nothing for so long after any change.',
        }),
      },
      {
        default: { outSeconds: cooldownUsual.outSeconds, inSeconds: cooldownUsual.inSeconds },
        description: 'How fast it follows.',
      },
    ),
    hysteresisPercent: number({
      default: usual.hysteresisPercent ?? 10,
      validators: [between(0, 50)],
      description: 'So far below its targets must the load stay with fewer instances before any is taken away.',
    }),
    predictive: bool({
      default: usual.predictive ?? true,
      description: 'Whether load that is expected counts as well, once forecasts of it have been good.',
    }),
  },
  {
    optional: true,
    description:
      'How many instances it has by its load: give targets, steps or schedules. Left out: `instance_count` of them.',
  },
)

export const autoScalingBody = (given: object | null) => (given === null ? false : withoutNull(given))
