/** `sluice host libvirt`: the libvirt of a host, its capacity, what is on it, and how far its stack is as it should be. */

import { Command } from 'commander'
import * as v from 'valibot'
import { type Hypervisor, hypervisorSchema } from '../../controller/contract/hypervisor.ts'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { jsonOption, tableOf } from '../noun.ts'
import { json } from '../output.ts'
import { references, resolveId } from '../resolve.ts'

type Connect = () => Api
type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'

/** Below `sluice host`. */
export function hypervisorCommand(connect: Connect): Command {
  const verb = (name: string, description: string) =>
    jsonOption(new Command(name).description(description).argument('<host>'))
  const call = async (host: string, options: Options, method: Method, suffix = '', body?: unknown) => {
    const api = connect()
    const path = `/v1/hosts/${await resolveId(api, references.host.noun, host)}/hypervisor${suffix}`
    const answer = v.parse(hypervisorSchema, await api.call({ method, path, ...(body === undefined ? {} : { body }) }))
    console.log(options.json === true ? json(answer) : describeHypervisor(answer))
  }
  return new Command('libvirt')
    .description('the libvirt of a host, which domains are made on')
    .addCommand(
      verb('show', 'what it has, and whether it is as it should be').action((host, options) =>
        call(host, options, 'GET'),
      ),
    )
    .addCommand(
      verb('set', 'how it is reached; from then on the host is synced')
        .argument('<uri>', 'qemu:///system, qemu+ssh://root@host-1/system, qemu+tls://host-1/system')
        .option('--pool-path <folder>', 'where our volumes lie on the host')
        .option('--domain-type <kvm|qemu>', 'where the host should not be asked')
        .action((host: string, uri: string, options: Options) => {
          const { poolPath, domainType } = options
          return call(host, options, 'PUT', '', {
            uri,
            ...(poolPath ? { poolPath } : {}),
            ...(domainType ? { domainType } : {}),
          })
        }),
    )
    .addCommand(verb('release', 'give up what is ours on it').action((host, options) => call(host, options, 'DELETE')))
    .addCommand(
      verb('allow', 'let a plan destroy or replace what it was refused for')
        .argument('<address...>', 'as `show` has them')
        .action((host: string, addresses: string[], options: Options) =>
          call(host, options, 'POST', '/allow', { addresses }),
        ),
    )
}

export function describeHypervisor({
  host,
  uri,
  status,
  trouble,
  capacity,
  pools,
  networks,
  domains,
  syncedAt,
}: Hypervisor): string {
  const lines = [
    `${host} by ${uri}: ${status}${syncedAt === null ? '' : `, looked at ${syncedAt.slice(0, 19)}`}`,
    ...(trouble === null ? [] : [`${trouble.reason}: ${trouble.message}`, `remedy: ${trouble.remedy}`]),
    ...(capacity === null ? [] : [`${capacity.vcpus} vCPUs, ${capacity.memoryMiB} MiB of memory`]),
    `pools: ${pools.join(', ') || 'none'}; networks of others: ${networks.join(', ') || 'none'}`,
  ]
  if (domains.length === 0) return lines.join('\n')
  const columns = [
    { heading: 'domain', of: ({ name }: Hypervisor['domains'][number]) => name },
    { heading: 'status', of: ({ isRunning }: Hypervisor['domains'][number]) => (isRunning ? 'running' : 'off') },
    {
      heading: 'whose',
      of: ({ isOurs }: Hypervisor['domains'][number]) => (isOurs ? 'ours' : "somebody's; it is left alone"),
    },
  ]
  return `${lines.join('\n')}\n\n${tableOf(columns, domains)}`
}
