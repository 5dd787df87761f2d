/** `sluice status`: hosts, load balancers with their VIPs and health, and how the controller and its store are. */

import { Command } from 'commander'
import * as v from 'valibot'
import { type Status, statusSchema } from '../../controller/contract/status.ts'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { tableOf } from '../noun.ts'
import { json } from '../output.ts'
import { healthyOfAll } from './load-balancer.ts'

export function statusCommand(connect: () => Api): Command {
  return new Command('status')
    .description('hosts, load balancers with VIPs and health, the controller and its store')
    .option('--json', 'for programs', false)
    .action(async (options: Options) => {
      const status = v.parse(statusSchema, await connect().call({ method: 'GET', path: '/v1/status' }))
      console.log(options.json === true ? json(status) : describeStatus(status))
    })
}

export function describeStatus({ controller, store, names, hosts, loadBalancers }: Status): string {
  const blocks = [
    `controller  ${controller.url}, version ${controller.version}\nstore       ${describeStore(store)}\nnames       ${describeNames(names)}`,
    hosts.length === 0
      ? 'no hosts'
      : tableOf(
          [
            { heading: 'host', of: ({ name }) => name },
            { heading: 'status', of: ({ status }) => status },
          ],
          hosts.toSorted((one, other) => one.name.localeCompare(other.name, 'en', { numeric: true })),
        ),
    loadBalancers.length === 0
      ? 'no load balancers'
      : tableOf(
          [
            { heading: 'load balancer', of: ({ name }) => name },
            { heading: 'status', of: ({ status }) => status },
            { heading: 'url', of: ({ url }) => url ?? '-' },
            { heading: 'instances', of: ({ instances }) => activeOfAll(instances) },
            { heading: 'members', of: ({ members }) => healthyOfAll(members) },
          ],
          loadBalancers,
        ),
    ...loadBalancers.map(describeBalancer),
  ]
  return blocks.join('\n\n')
}

function describeNames(names: Status['names']): string {
  if (names === null) return 'none are kept'
  const { zone, published, queued, reason } = names
  return `in ${zone}, ${published} published${reason === null ? '' : `, ${queued} queued: ${reason}`}`
}

const activeOfAll = (instances: Status['loadBalancers'][number]['instances']) =>
  `${instances.filter(({ status }) => status === 'active').length}/${instances.length}`

function describeBalancer({ name, vips, instances, members }: Status['loadBalancers'][number]): string {
  const on = instances.map(({ host, driver, status }) => `${host ?? 'no host yet'} (${driver}) ${status}`)
  const at = members.map(({ address, status }) => `${address ?? 'no address yet'} ${status}`)
  return [
    name,
    `  VIPs       ${vips.join(', ') || '-'}`,
    `  instances  ${on.join(', ') || '-'}`,
    `  members    ${at.join(', ') || '-'}`,
  ].join('\n')
}

/** The store's own words, but for its microshards, which are counted. */
function describeStore(store: Status['store']): string {
  return Object.entries(store)
    .map(([key, value]) => (Array.isArray(value) ? `${value.length} ${key}` : `${key} ${String(value)}`))
    .join(', ')
}
