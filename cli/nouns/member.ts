/** `sluice member`: the members of one load balancer. */

import { Command } from 'commander'
import { type Member, memberSchema } from '../../controller/contract/load-balancer.ts'
import type { Api } from '../api.ts'
import { type BodyField, buildBody, declareFields, number, type Options, text, trueOrFalse } from '../body-fields.ts'
import { type Column, followQuery, idOf, listAll, printObject, tableOf, waitOption, waitQuery } from '../noun.ts'
import { json } from '../output.ts'
import { references } from '../resolve.ts'
import { member, memberForms } from './load-balancer.ts'

const columns: readonly Column<Member>[] = [
  { heading: 'address', of: ({ address, host, url }) => address ?? host ?? url ?? '-' },
  { heading: 'port', of: ({ port }) => (port === null ? '-' : String(port)) },
  { heading: 'weight', of: ({ weight }) => String(weight) },
  { heading: 'status', of: ({ status }) => status },
  { heading: 'id', of: ({ id }) => id },
]

const draining: BodyField = {
  flags: '--draining <true|false>',
  description: 'nobody new; it is drained once what it has begun is over',
  field: 'draining',
  parse: trueOrFalse,
}
const weight: BodyField = { flags: '--weight <number>', description: '0 to 256', field: 'weight', parse: number }

export function memberCommand(connect: () => Api): Command {
  return new Command('member')
    .description('members of a load balancer')
    .addCommand(list(connect))
    .addCommand(show(connect))
    .addCommand(create(connect))
    .addCommand(update(connect))
    .addCommand(remove(connect))
}

const verb = (name: string, description: string) =>
  new Command(name)
    .description(description)
    .argument('<load-balancer>', 'its name or id')
    .option('--project <name|id>', 'whose the load balancer is')
    .option('--json', 'the answer of the API, for programs', false)

async function membersPath(api: Api, balancer: string, options: Options): Promise<string> {
  const id = await idOf(api, references['load-balancer'], balancer, options)
  return `${references['load-balancer'].path}/${id}/members`
}

const list = (connect: () => Api) =>
  verb('list', 'all of them')
    .alias('ls')
    .action(async (balancer: string, options: Options) => {
      const api = connect()
      const items = await listAll(api, await membersPath(api, balancer, options), memberSchema)
      console.log(options.json === true ? json({ items }) : tableOf(columns, items))
    })

const show = (connect: () => Api) =>
  verb('show', 'one of them')
    .argument('<member id>')
    .action(async (balancer: string, id: string, options: Options) => {
      const api = connect()
      const path = `${await membersPath(api, balancer, options)}/${id}`
      printObject(options, await api.call({ method: 'GET', path }))
    })

function create(connect: () => Api): Command {
  const command = verb('create', 'add one').alias('add').argument('<member>', memberForms)
  declareFields(waitOption(command), [weight])
  return command.action(async (balancer: string, which: string, options: Options) => {
    const api = connect()
    const path = await membersPath(api, balancer, options)
    const place = await member(which, { api, flag: 'the member', projectId: undefined })
    const body = { ...(await buildBody(api, [weight], options)), ...place }
    printObject(
      options,
      await api.call({ method: 'POST', path, query: waitQuery(options), ...followQuery(options), body }),
    )
  })
}

function update(connect: () => Api): Command {
  const fields: readonly BodyField[] = [
    {
      flags: '--address <address>',
      description: 'its new address; the old one is drained',
      field: 'address',
      parse: text,
    },
    { flags: '--port <port>', description: 'its own port', field: 'port', parse: number },
    weight,
    draining,
  ]
  const command = verb('update', 'change what is given').argument('<member id>')
  declareFields(waitOption(command), fields)
  return command.action(async (balancer: string, id: string, options: Options) => {
    const api = connect()
    const path = `${await membersPath(api, balancer, options)}/${id}`
    const body = await buildBody(api, fields, options)
    printObject(
      options,
      await api.call({ method: 'PATCH', path, query: waitQuery(options), ...followQuery(options), body }),
    )
  })
}

const remove = (connect: () => Api) =>
  waitOption(verb('delete', 'drain it and take it out').alias('rm').argument('<member id>')).action(
    async (balancer: string, id: string, options: Options) => {
      const api = connect()
      const path = `${await membersPath(api, balancer, options)}/${id}`
      const answer = await api.call({ method: 'DELETE', path, query: waitQuery(options), ...followQuery(options) })
      if (options.json === true) console.log(json(answer ?? { id, status: 'deleted' }))
      else console.log(answer === undefined ? `member ${id} is deleted` : `member ${id} is deleting`)
    },
  )
