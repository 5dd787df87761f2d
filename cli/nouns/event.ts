/** `sluice events`: what happened, and with --follow what happens; one CloudEvent a line. */

import { Command } from 'commander'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { resolveId } from '../resolve.ts'
import { parseServerSentEvents } from '../server-sent-events.ts'

/** Without --follow: the stream is read until nothing has come for so long. */
const quietMilliseconds = 300
/** After the controller went away, the stream is taken up where it broke off. */
const retryMilliseconds = 500

export function eventCommand(connect: () => Api): Command {
  return new Command('events')
    .alias('event')
    .description('what happened, one CloudEvent a line')
    .option('--follow', 'go on with what happens', false)
    .option('--after <event id>', 'begin after this event')
    .option('--project <name|id>', "only this project's")
    .option('--type <type>', 'only of this type, as load-balancer.activated')
    .action(async (options: Options) => {
      const api = connect()
      const projectId =
        typeof options.project === 'string' ? await resolveId(api, 'project', options.project) : undefined
      const filter = { projectId, type: typeof options.type === 'string' ? options.type : undefined }
      const after = typeof options.after === 'string' ? options.after : undefined
      if (options.follow === true) await follow(api, filter, after)
      else await readOnce(api, filter, after)
    })
}

type Filter = { readonly projectId: string | undefined; readonly type: string | undefined }

async function readOnce(api: Api, filter: Filter, after: string | undefined): Promise<void> {
  const ended = new AbortController()
  let timer = setTimeout(() => ended.abort(), quietMilliseconds)
  const onEvent = () => {
    clearTimeout(timer)
    timer = setTimeout(() => ended.abort(), quietMilliseconds)
  }
  // Without an id the stream begins now: `0` is before the first.
  await printEvents(api, filter, after ?? '0', ended.signal, onEvent).catch((error: unknown) => {
    if (!ended.signal.aborted) throw error
  })
  clearTimeout(timer)
}

async function follow(api: Api, filter: Filter, after: string | undefined): Promise<void> {
  let last = after
  const never = new AbortController().signal
  for (;;) {
    const isFirst = last === after
    try {
      await printEvents(api, filter, last, never, (id) => {
        last = id
      })
    } catch (error) {
      if (isFirst && last === after) throw error
      process.stderr.write(`the stream broke off; taking it up again\n`)
    }
    await Bun.sleep(retryMilliseconds)
  }
}

async function printEvents(
  api: Api,
  filter: Filter,
  after: string | undefined,
  signal: AbortSignal,
  onEvent: (id: string) => void,
): Promise<void> {
  const headers = { accept: 'text/event-stream', ...(after === undefined ? {} : { 'last-event-id': after }) }
  const request = { method: 'GET', path: '/v1/events', query: filter, headers } as const
  const response = await api.open(request, signal)
  if (response.body === null) return
  for await (const { id, data } of parseServerSentEvents(response.body)) {
    if (data !== '') console.log(JSON.stringify(JSON.parse(data)))
    onEvent(id)
  }
}
