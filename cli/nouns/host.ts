/** `sluice host`: the bare-metal machines that run the agent. */

import * as v from 'valibot'
import { type Host, hostCreatedSchema, hostSchema } from '../../controller/contract/machine.ts'
import type { Api } from '../api.ts'
import { number, trueOrFalse } from '../body-fields.ts'
import type { Noun } from '../noun.ts'
import { references } from '../resolve.ts'

export const hostNoun: Noun<Host> = {
  ...references.host,
  description: 'bare-metal machines that run the agent',
  schema: hostSchema,
  columns: [
    { heading: 'name', of: ({ name }) => name },
    { heading: 'status', of: ({ status }) => status },
    { heading: 'underlay', of: ({ underlayAddress }) => underlayAddress ?? '-' },
    { heading: 'agent', of: ({ agentVersion }) => agentVersion ?? '-' },
    { heading: 'id', of: ({ id }) => id },
  ],
  create: {
    aliases: ['add'],
    fields: [
      {
        flags: '--lifetime <seconds>',
        description: 'how long the join token may be used',
        field: 'joinTokenLifetimeSeconds',
        parse: number,
      },
    ],
    describe: describeJoin,
  },
  update: {
    fields: [
      {
        flags: '--maintenance <true|false>',
        description: 'place nothing new on it',
        field: 'maintenance',
        parse: trueOrFalse,
      },
    ],
  },
}

/** The token alone on its line. From another machine a controller on loopback has another address. */
function describeJoin(answer: unknown, api: Api): string {
  const url = /\/\/(127\.|localhost|\[::1\])/.test(api.address) ? 'CONTROLLER-URL' : api.address
  const { joinToken, joinTokenExpiresAt } = v.parse(hostCreatedSchema, answer)
  return [
    joinToken,
    `It is for one use, until ${joinTokenExpiresAt}. On the host:`,
    `  sluice-agent join ${url} TOKEN --uplink DEVICE --underlay DEVICE`,
  ].join('\n')
}
