/** `sluice events`: what happened, and with --follow what happens; one CloudEvent a line. */

import { Command } from 'commander'
import * as v from 'valibot'
import { pageSchema } from '../../controller/contract/common.ts'
import { cloudEventSchema } from '../../controller/contract/events.ts'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { followEvents } from '../follow-events.ts'
import { resolveId } from '../resolve.ts'

export function eventCommand(connect: () => Api): Command {
  return new Command('events')
    .alias('event')
    .description('what happened, one CloudEvent a line')
    .option('--follow', 'what happens from now on, until it is ended', false)
    .option('--after <event id>', 'begin after this event')
    .option('--limit <number>', 'at most so many of what is kept; without --follow')
    .option('--project <name|id>', "only this project's")
    .option('--type <type>', 'only of these types, as shard.deallocated,load-balancer.*')
    .action(async (options: Options) => {
      const api = connect()
      const projectId =
        typeof options.project === 'string' ? await resolveId(api, 'project', options.project) : undefined
      const filter = { projectId, type: optionalText(options.type) }
      const after = optionalText(options.after)
      if (options.follow === true) {
        return await followEvents(api, { path: '/v1/events', query: filter, after }, ({ data }) => console.log(data))
      }
      await printKept(api, { ...filter, after }, optionalText(options.limit))
    })
}

type Filter = Readonly<Record<string, string | undefined>>

const optionalText = (value: unknown) => (typeof value === 'string' ? value : undefined)

async function printKept(api: Api, filter: Filter, limit: string | undefined): Promise<void> {
  const query = { ...filter, format: 'json', limit }
  const page = v.parse(pageSchema(cloudEventSchema), await api.call({ method: 'GET', path: '/v1/events', query }))
  for (const event of page.items) console.log(JSON.stringify(event))
}
