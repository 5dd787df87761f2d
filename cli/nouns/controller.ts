/** `sluice controller`: the controllers of the rack, and what each of them does for all. */

import { Command } from 'commander'
import * as v from 'valibot'
import { type ControllerView, controllerSchema } from '../../controller/contract/control-plane.ts'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { type Column, jsonOption, tableOf } from '../noun.ts'
import { json } from '../output.ts'

const columns: readonly Column<ControllerView>[] = [
  { heading: 'name', of: ({ name, isSelf }) => (isSelf ? `${name} (answers)` : name) },
  { heading: 'status', of: ({ status }) => status },
  { heading: 'address', of: ({ address }) => address },
  { heading: 'version', of: ({ version }) => version },
  { heading: 'since', of: ({ since }) => since.slice(0, 19) },
]

export function controllerCommand(connect: () => Api): Command {
  const list = jsonOption(new Command('list').alias('ls').description('all of them, with what each leads'))
  list.action(async (options: Options) => {
    const answer = await connect().call({ method: 'GET', path: '/v1/controllers' })
    const { items } = v.parse(v.object({ items: v.array(controllerSchema) }), answer)
    console.log(options.json === true ? json({ items }) : describeControllers(items))
  })
  return new Command('controller')
    .description('the controllers, which divide the work')
    .addCommand(list, { isDefault: true })
}

export function describeControllers(items: readonly ControllerView[]): string {
  const leading = items.filter(({ leads }) => leads.length > 0)
  return [
    tableOf(columns, items),
    '',
    ...leading.map(({ name, leads }) => `${name} leads ${leads.join(', ')}`),
    ...(leading.length === 0 ? ['no work has a leader just now; one takes it within seconds'] : []),
  ].join('\n')
}
