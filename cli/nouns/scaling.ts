/** `sluice load-balancer explain`: why a balancer has as many instances as it has. */

import { Command } from 'commander'
import * as v from 'valibot'
import { type Scaling, scalingSchema } from '../../controller/contract/scaling.ts'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { idOf, jsonOption } from '../noun.ts'
import { json } from '../output.ts'
import { references } from '../resolve.ts'

const decisionsShown = 5

export function explainCommand(connect: () => Api): Command {
  const balancer = references['load-balancer']
  return jsonOption(new Command('explain').description('why it has as many instances as it has'))
    .argument('<name|id>')
    .option('--project <name|id>', 'whose it is')
    .action(async (nameOrId: string, options: Options) => {
      const api = connect()
      const id = await idOf(api, balancer, nameOrId, options)
      const answer = await api.call({ method: 'GET', path: `${balancer.path}/${id}/scaling` })
      console.log(options.json === true ? json(answer) : explainScaling(v.parse(scalingSchema, answer)))
    })
}

/** Pure. */
export function explainScaling(scaling: Scaling): string {
  const { name, desiredCount, servingCount, leavingCount, bounds, reasons, load, decisions } = scaling
  const within = bounds === null ? '' : `, of ${bounds.minimum} to ${bounds.maximum}`
  const leaving = leavingCount === 0 ? '' : `, ${leavingCount} on the way out`
  return [
    `${name} is to have ${count(desiredCount)}${within}: ${servingCount} serve${servingCount === 1 ? 's' : ''}${leaving}`,
    '',
    ...reasons.map(({ message }) => `  ${message}`),
    ...describeCooldowns(scaling),
    '',
    `load, of ${count(load.heardCount)}`,
    `  ${level(load.requestsPerSecond)} requests a second, ${level(load.connections)} connections, ${level(load.cpuPercent)} % CPU in all; ${level(load.latencyMilliseconds)} ms`,
    ...describeForecast(scaling),
    ...(decisions.length === 0 ? [] : ['', 'decided']),
    ...decisions
      .slice(0, decisionsShown)
      .flatMap(({ decidedAt, from, to, reasons: then }) => [
        `  ${decidedAt}  ${from} → ${to}`,
        ...then.map(({ message }) => `    ${message}`),
      ]),
  ].join('\n')
}

function describeCooldowns({ nextOutAt, nextInAt }: Scaling): readonly string[] {
  return [
    ...(nextOutAt === null ? [] : [`  More can come from ${nextOutAt} on.`]),
    ...(nextInAt === null ? [] : [`  Fewer can come from ${nextInAt} on.`]),
  ]
}

function describeForecast({ autoScaling, forecast }: Scaling): readonly string[] {
  if (forecast === null) return []
  const { at, requestsPerSecond, low, high, skill, measured, isUsed } = forecast
  const better = skill > 0 ? `${Math.round(100 * skill)} % less wrong than` : 'no better than'
  const off = autoScaling !== false && !autoScaling.predictive ? ' (predictive is off)' : ''
  return [
    '',
    `expected by ${at}`,
    `  ${requestsPerSecond} requests a second, ${low} to ${high}`,
    `  Of late such forecasts were ${better} going on as before, over ${measured} of them: this one ${isUsed ? 'counts' : `does not count${off}`}.`,
  ]
}

const count = (instances: number) => `${instances} instance${instances === 1 ? '' : 's'}`
const level = (value: number | null) => (value === null ? '?' : String(value))
