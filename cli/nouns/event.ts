/** `sluice events`: what happened, and with --follow what happens; one CloudEvent a line. */

import { Command } from 'commander'
import * as v from 'valibot'
import { pageSchema } from '../../controller/contract/common.ts'
import { cloudEventSchema } from '../../controller/contract/events.ts'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { resolveId } from '../resolve.ts'
import { parseServerSentEvents } from '../server-sent-events.ts'

/** After the controller went away, the stream is taken up where it broke off. */
const retryMilliseconds = 500

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
      if (options.follow === true) await follow(api, filter, after)
      else await printKept(api, { ...filter, after }, optionalText(options.limit))
    })
}

type Filter = Readonly<Record<string, string | undefined>>

const optionalText = (value: unknown) => (typeof value === 'string' ? value : undefined)

async function printKept(api: Api, filter: Filter, limit: string | undefined): Promise<void> {
  const query = { ...filter, format: 'json', limit }
  const page = v.parse(pageSchema(cloudEventSchema), await api.call({ method: 'GET', path: '/v1/events', query }))
  for (const event of page.items) console.log(JSON.stringify(event))
}

/** Goes on through the controller's restarts: each time after the last event that was printed. */
async function follow(api: Api, filter: Filter, after: string | undefined): Promise<void> {
  let last = after
  for (let isFirst = true; ; isFirst = false) {
    try {
      await printStream(api, filter, last, (id) => {
        last = id
      })
      process.stderr.write('the stream has ended; taking it up again\n')
    } catch (error) {
      if (isFirst && last === after) throw error
    }
    await Bun.sleep(retryMilliseconds)
  }
}

async function printStream(
  api: Api,
  filter: Filter,
  after: string | undefined,
  onEvent: (id: string) => void,
): Promise<void> {
  const headers = { accept: 'text/event-stream', ...(after === undefined ? {} : { 'last-event-id': after }) }
  const request = { method: 'GET', path: '/v1/events', query: filter, headers } as const
  const response = await api.open(request, new AbortController().signal)
  if (response.body === null) return
  for await (const { id, data } of parseServerSentEvents(response.body)) {
    console.log(data)
    onEvent(id)
  }
}
