/** `sluice escalation`: changes that could not be made and wait for a person, with the ways to decide. */

import { Command } from 'commander'
import * as v from 'valibot'
import { type Escalation, escalationSchema, escalationStatuses } from '../../controller/contract/escalation.ts'
import type { Api } from '../api.ts'
import { type Options, readBody } from '../body-fields.ts'
import { type Column, jsonOption, listAll, tableOf } from '../noun.ts'
import { json, table } from '../output.ts'
import { references, resolveId } from '../resolve.ts'

type Connect = () => Api

const path = '/v1/escalations'

const columns: readonly Column<Escalation>[] = [
  { heading: 'action', of: ({ action }) => action.actionType },
  { heading: 'object', of: ({ clash }) => clash.kind },
  { heading: 'reason', of: ({ clash }) => clash.reason },
  { heading: 'status', of: ({ status, resolution }) => resolution?.kind ?? status },
  { heading: 'raised', of: ({ raisedAt }) => raisedAt.slice(0, 16) },
  { heading: 'id', of: ({ id }) => id },
]

export function escalationCommand(connect: Connect): Command {
  const command = new Command('escalation').description('changes that could not be made, and wait for a person')
  const verbs = [
    listVerb(connect),
    verb(connect, 'show', 'what clashes with what, field by field', 'GET', ''),
    verb(connect, 'retry', 'make the change after all, on what is there now', 'POST', '/retry'),
    editVerb(connect),
    verb(connect, 'discard', 'give the change up', 'POST', '/discard'),
  ]
  for (const one of verbs) command.addCommand(one)
  return command
}

function listVerb(connect: Connect): Command {
  return jsonOption(new Command('list').alias('ls').description('those that are open'))
    .option('--project <name|id>', 'whose they are')
    .option('--status <status>', `${escalationStatuses.join(' or ')}; open when left out`, 'open')
    .action(async (options: Options) => {
      const api = connect()
      const { project, status } = options
      const projectId = typeof project === 'string' ? await resolveId(api, references.project.noun, project) : undefined
      const items = await listAll(api, path, escalationSchema, { projectId, status: String(status) })
      if (options.json === true) console.log(json({ items }))
      else console.log(items.length === 0 ? `no escalation is ${status}` : tableOf(columns, items))
    })
}

function verb(connect: Connect, name: string, description: string, method: 'GET' | 'POST', suffix: string): Command {
  return jsonOption(new Command(name).description(description).argument('<id>')).action(
    async (id: string, options: Options) => {
      printEscalation(options, await connect().call({ method, path: `${path}/${id}${suffix}` }))
    },
  )
}

function editVerb(connect: Connect): Command {
  return jsonOption(new Command('edit').description('make the change with other values').argument('<id>'))
    .requiredOption('--from <file>', 'the fields that are to be others as JSON, - for standard input')
    .action(async (id: string, options: Options) => {
      const body = { body: readBody(String(options.from)) }
      printEscalation(options, await connect().call({ method: 'POST', path: `${path}/${id}/edit`, body }))
    })
}

function printEscalation(options: Options, answer: unknown): void {
  const escalation = v.parse(escalationSchema, answer)
  console.log(options.json === true ? json(escalation) : describeEscalation(escalation))
}

const reasons: Readonly<Record<Escalation['clash']['reason'], string>> = {
  contended: 'others were faster each time that it was tried',
  sameField: 'somebody else changed the same',
  forgotten: 'the version that it was decided on is not kept any more',
  untold: 'so much was written since that it can not be told whether it is made',
  notAskedFor: 'it would destroy or replace what nobody has asked for',
}

export function describeEscalation({ action, clash, raisedBy, raisedAt, resolution }: Escalation): string {
  const version = (number: number | null) => (number === null ? 'none' : `version ${number}`)
  const lines = [
    `${action.actionType} of ${clash.kind} ${clash.id}`,
    `asked for by ${raisedBy} at ${raisedAt}: ${reasons[clash.reason]}`,
    resolution === null
      ? 'it waits for a decision: retry, edit or discard it'
      : `${resolution.kind} by ${resolution.by} at ${resolution.at}${resolution.version === null ? '' : `, which made version ${resolution.version}`}`,
  ]
  const headings = [
    'field',
    `decided on (${version(clash.baseVersion)})`,
    'wanted',
    `now (${version(clash.latestVersion)})`,
  ]
  const rows = clash.differences.map(({ field, base, wanted, latest }) => [
    field,
    plain(base),
    plain(wanted),
    plain(latest),
  ])
  return rows.length === 0 ? lines.join('\n') : `${lines.join('\n')}\n\n${table(headings, rows)}`
}

const plain = (value: unknown) =>
  value === null || value === undefined ? '-' : JSON.stringify(value).replaceAll('"', '')
