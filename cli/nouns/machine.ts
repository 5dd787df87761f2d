/** `sluice machine`: workloads attached to a network. */

import { type Machine, machineSchema } from '../../controller/contract/machine.ts'
import { type BodyField, number, type ParseContext, projectField, reference, text } from '../body-fields.ts'
import type { Noun } from '../noun.ts'
import { references } from '../resolve.ts'

/** `web:80` or `echo:7000`. */
function workload(value: string, context: ParseContext): { kind: string; port: number } {
  const [kind = '', port = ''] = value.split(':')
  return { kind, port: number(port, context) }
}

const workloads: BodyField = {
  flags: '--workload <kind:port>',
  description: 'a built-in program that it runs: web:80, echo:7000',
  field: 'workloads',
  parse: workload,
  isList: true,
}

const network: BodyField = {
  flags: '--network <name|id>',
  description: 'the network that it is on',
  field: 'networkId',
  parse: reference('network'),
}

export const machineNoun: Noun<Machine> = {
  ...references.machine,
  description: 'workloads attached to a network',
  schema: machineSchema,
  columns: [
    { heading: 'name', of: ({ name }) => name },
    { heading: 'status', of: ({ status }) => status },
    { heading: 'host', of: ({ host }) => host ?? '-' },
    { heading: 'addresses', of: ({ addresses }) => addresses.join(', ') },
    { heading: 'id', of: ({ id }) => id },
  ],
  filters: [{ ...network, description: 'only of this network' }],
  create: {
    fields: [
      projectField,
      { ...network, isRequired: true },
      { flags: '--host <name|id>', description: 'the least loaded else', field: 'hostId', parse: reference('host') },
      { flags: '--address <address>', description: 'one of the network’s shards', field: 'address', parse: text },
      workloads,
    ],
  },
  update: {
    fields: [{ flags: '--new-name <name>', description: 'its new name', field: 'name', parse: text }, workloads],
  },
}
