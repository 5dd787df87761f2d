/** `sluice load-balancer logs`: what a balancer's instances say, one line an entry. */

import { Command } from 'commander'
import * as v from 'valibot'
import { pageSchema } from '../../controller/contract/common.ts'
import { type LogEntry, logEntrySchema } from '../../controller/contract/logs.ts'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { followEvents } from '../follow-events.ts'
import { idOf } from '../noun.ts'
import { references } from '../resolve.ts'
import { describeEntry } from './describe-entry.ts'
import { parseSince } from './since.ts'

/** Of what is kept, where nothing is said. */
const newestShown = 100
const newestShownBeforeFollowing = 10
const pageMaximum = 1000

export function logsCommand(connect: () => Api): Command {
  const balancer = references['load-balancer']
  return new Command('logs')
    .description(
      'what its instances say: requests, where its access log is on, and the words of haproxy and keepalived',
    )
    .argument('<name|id>')
    .option('--follow', 'what is said from now on, until it is ended', false)
    .option('--since <time>', 'from then on: 30s, 10m, 2h, 1d ago, or 2026-01-31T12:00:00Z')
    .option('--instance <id>', 'of this instance only; one that is gone as well')
    .option('--kind <kinds>', 'only access, haproxy, keepalived; several with commas')
    .option('--limit <number>', 'at most so many; without --follow')
    .option('--json', 'one JSON object a line, for programs', false)
    .option('--project <name|id>', 'whose it is')
    .action(async (nameOrId: string, options: Options) => {
      const text = (name: string) => (typeof options[name] === 'string' ? options[name] : undefined)
      const since = text('since') === undefined ? undefined : parseSince(text('since') ?? '', Date.now())
      const api = connect()
      const path = `${balancer.path}/${await idOf(api, balancer, nameOrId, options)}/logs`
      const query = { instance: text('instance'), kind: text('kind'), since }
      const print = (entry: LogEntry) =>
        console.log(options.json === true ? printable(entry) : describeEntry(entry, new Date().toISOString()))
      if (options.follow === true) await follow(api, path, query, print)
      else await printKept(api, path, { ...query, limit: text('limit') }, print)
    })
}

type Query = Readonly<Record<string, string | undefined>>

/** The last ones there are, and then those that come. */
async function follow(api: Api, path: string, query: Query, print: (entry: LogEntry) => void): Promise<never> {
  const before =
    query.since === undefined ? await readPage(api, path, { ...query, limit: `${newestShownBeforeFollowing}` }) : null
  for (const entry of before?.items ?? []) print(entry)
  const after = before?.items.at(-1)?.id
  return await followEvents(api, { path, query, after }, ({ data }) => print(v.parse(logEntrySchema, JSON.parse(data))))
}

/** With `since` all there is, else the newest. */
async function printKept(api: Api, path: string, query: Query, print: (entry: LogEntry) => void): Promise<void> {
  const isAll = query.since !== undefined && query.limit === undefined
  const limit = query.limit ?? `${isAll ? pageMaximum : newestShown}`
  let after: string | undefined
  do {
    const page = await readPage(api, path, { ...query, limit, after })
    for (const entry of page.items) print(entry)
    after = isAll ? (page.next ?? undefined) : undefined
  } while (after !== undefined)
}

const readPage = async (api: Api, path: string, query: Query) =>
  v.parse(pageSchema(logEntrySchema), await api.call({ method: 'GET', path, query: { ...query, format: 'json' } }))

/** JSON lets the control characters beyond ASCII through, which some terminals obey. */
const printable = (entry: LogEntry) =>
  JSON.stringify(entry).replaceAll(/[\u007f-\u009f]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)
