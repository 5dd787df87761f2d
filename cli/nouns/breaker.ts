/** `sluice breaker`: whether failures of many hosts hold replacements back, and the way to let them go on. */

import { Command } from 'commander'
import * as v from 'valibot'
import { type Breaker, breakerSchema } from '../../controller/contract/breaker.ts'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { jsonOption, tableOf } from '../noun.ts'
import { json } from '../output.ts'

export function breakerCommand(connect: () => Api): Command {
  const verb = (name: string, description: string, method: 'GET' | 'POST', path: string) =>
    jsonOption(new Command(name).description(description)).action(async (options: Options) => {
      const breaker = v.parse(breakerSchema, await connect().call({ method, path }))
      console.log(options.json === true ? json(breaker) : describeBreaker(breaker))
    })
  return new Command('breaker')
    .description('holds replacements back while many hosts fail together')
    .addCommand(verb('show', 'whether it is open, and what it holds back', 'GET', '/v1/breaker'), { isDefault: true })
    .addCommand(verb('reset', 'close it: what has failed by now is replaced', 'POST', '/v1/breaker/reset'))
}

export function describeBreaker({ status, reason, since, heldBack }: Breaker): string {
  const head = `${status}${since === null ? '' : ` since ${since}`}: ${reason}`
  if (heldBack.length === 0) return head
  const columns = [
    { heading: 'load balancer', of: ({ loadBalancer }: Breaker['heldBack'][number]) => loadBalancer },
    { heading: 'slot', of: ({ slot }: Breaker['heldBack'][number]) => String(slot) },
    { heading: 'host', of: ({ host }: Breaker['heldBack'][number]) => host ?? '-' },
    { heading: 'why it is to be replaced', of: (one: Breaker['heldBack'][number]) => one.reason },
  ]
  const words = status === 'open' ? 'it holds back' : 'to be replaced'
  return `${head}\n\n${words}\n${tableOf(columns, heldBack)}`
}
