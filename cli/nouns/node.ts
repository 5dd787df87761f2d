/** `sluice node`: the NATS servers that the control plane's data is on, and which of them are to hold nothing. */

import { Command } from 'commander'
import * as v from 'valibot'
import { type NodeView, nodeSchema } from '../../controller/contract/microshard.ts'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { type Column, jsonOption, tableOf } from '../noun.ts'
import { json } from '../output.ts'

const path = '/v1/nodes'

const columns: readonly Column<NodeView>[] = [
  { heading: 'name', of: ({ name }) => name },
  { heading: 'status', of: ({ status }) => status },
  { heading: 'address', of: ({ address }) => address ?? '-' },
  { heading: 'location', of: ({ location }) => location ?? '-' },
  { heading: 'microshards', of: ({ microshards }) => String(microshards) },
  { heading: 'copies', of: ({ copies }) => String(copies) },
]

export function nodeCommand(connect: () => Api): Command {
  const list = jsonOption(new Command('list').alias('ls').description('all of them, with what each holds'))
  list.action(async (options: Options) => {
    const answer = await connect().call({ method: 'GET', path })
    const { items } = v.parse(v.object({ items: v.array(nodeSchema) }), answer)
    console.log(options.json === true ? json({ items }) : tableOf(columns, items))
  })
  return new Command('node')
    .description("the NATS servers that the control plane's data is on")
    .addCommand(list, { isDefault: true })
    .addCommand(changeVerb(connect, 'drain', 'move everything off a node, while it is in use'))
    .addCommand(changeVerb(connect, 'resume', 'let a node that was drained take microshards again'))
}

function changeVerb(connect: () => Api, verb: 'drain' | 'resume', description: string): Command {
  return jsonOption(new Command(verb).argument('<name>').description(description)).action(
    async (name: string, options: Options) => {
      const node = v.parse(nodeSchema, await connect().call({ method: 'POST', path: `${path}/${name}/${verb}` }))
      console.log(options.json === true ? json(node) : tableOf(columns, [node]))
    },
  )
}
