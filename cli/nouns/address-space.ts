/** `sluice pool`, `sluice shard` and `sluice network`: address space, and the segments that it serves. */

import { Command } from 'commander'
import * as v from 'valibot'
import {
  type Network,
  networkSchema,
  type Pool,
  poolSchema,
  type Shard,
  shardSchema,
} from '../../controller/contract/address-space.ts'
import { migrationSchema } from '../../controller/contract/migration.ts'
import { isIpv6, networkAddresses } from '../address-order.ts'
import type { Api } from '../api.ts'
import { type BodyField, number, type Options, projectField, reference, text, trueOrFalse } from '../body-fields.ts'
import { followQuery, idOf, jsonOption, type Noun, printObject, waitOption, waitQuery } from '../noun.ts'
import { references } from '../resolve.ts'
import { followMigration, printStanding } from './migration.ts'

/** Of a /64 a share would say nothing; how many are held does. */
const describeUse = ({ cidr, utilization }: Shard) => (isIpv6(cidr) ? '-' : `${Math.round(100 * utilization)} %`)

const describeCut = ({ cidr, cutAddresses, sizeAddresses }: Pool) =>
  isIpv6(cidr)
    ? `${cutAddresses / networkAddresses}/${sizeAddresses / networkAddresses} /64s`
    : `${cutAddresses}/${sizeAddresses}`

const newName: BodyField = { flags: '--new-name <name>', description: 'its new name', field: 'name', parse: text }

export const poolNoun: Noun<Pool> = {
  ...references.pool,
  description: 'supernets that shards are cut from',
  schema: poolSchema,
  columns: [
    { heading: 'name', of: ({ name }) => name },
    { heading: 'cidr', of: ({ cidr }) => cidr },
    { heading: 'cut', of: describeCut },
    { heading: 'id', of: ({ id }) => id },
  ],
  create: {
    fields: [
      projectField,
      {
        flags: '--cidr <cidr>',
        description: 'as 198.18.16.0/20, or fd00:20::/48',
        field: 'cidr',
        parse: text,
        isRequired: true,
      },
    ],
  },
  update: { fields: [newName] },
}

export const shardNoun: Noun<Shard> = {
  ...references.shard,
  description: 'CIDR blocks that networks take their addresses from',
  schema: shardSchema,
  columns: [
    { heading: 'name', of: ({ name }) => name },
    { heading: 'cidr', of: ({ cidr }) => cidr },
    { heading: 'status', of: ({ status }) => status },
    { heading: 'held', of: ({ resourceCount }) => String(resourceCount) },
    { heading: 'used', of: describeUse },
    { heading: 'id', of: ({ id }) => id },
  ],
  filters: [
    { flags: '--pool <name|id>', description: 'only of this pool', field: 'poolId', parse: reference('pool') },
    {
      flags: '--network <name|id>',
      description: 'only of this network',
      field: 'networkId',
      parse: reference('network'),
    },
    { flags: '--status <status>', description: 'only these', field: 'status', parse: text },
  ],
  create: {
    isNameRequired: false,
    fields: [
      {
        flags: '--pool <name|id>',
        description: 'the pool to cut it from',
        field: 'poolId',
        parse: reference('pool'),
        isRequired: true,
      },
      {
        flags: '--size <addresses>',
        description: 'a power of two, 16 to 4096; none for IPv6',
        field: 'sizeAddresses',
        parse: number,
      },
      { flags: '--cidr <cidr>', description: 'this very block', field: 'cidr', parse: text },
      {
        flags: '--network <name|id>',
        description: 'attach it to this network at once',
        field: 'networkId',
        parse: reference('network'),
      },
    ],
  },
  update: {
    fields: [
      newName,
      { flags: '--reserved <true|false>', description: 'keep it from use', field: 'reserved', parse: trueOrFalse },
    ],
  },
}

/** `sluice shard allocate|deallocate SHARD --network NETWORK`: a network takes it and gives it back. */
export function attachmentCommands(connect: () => Api): Command[] {
  const verbs = [
    { verb: 'allocate', method: 'POST', description: 'let a network take its addresses from it' },
    { verb: 'deallocate', method: 'DELETE', description: 'take it from its network; its holders move first' },
  ] as const
  return verbs.map(({ verb, method, description }) => {
    const command = new Command(verb)
      .description(description)
      .argument('<name|id>')
      .requiredOption('--network <name|id>', 'the network')
      .option('--project <name|id>', 'whose both are')
      .option('--json', 'the answer of the API, for programs', false)
    if (verb === 'deallocate') waitOption(command).option('--watch', 'follow it until its holders have moved', false)
    return command.action(async (shard: string, options: Options) => {
      const api = connect()
      const shardId = await idOf(api, references.shard, shard, options)
      const networkId = await idOf(api, references.network, String(options.network), options)
      const path = `${references.network.path}/${networkId}/shards/${shardId}`
      const answer = await api.call({ method, path, query: waitQuery(options), ...followQuery(options) })
      // In use, it is a migration that empties it first.
      const migration = v.safeParse(migrationSchema, answer)
      if (!migration.success) printObject(options, answer)
      else if (options.watch === true) await followMigration(api, migration.output.id, options)
      else printStanding(options, migration.output)
    })
  })
}

/** `sluice shard reserve|release SHARD`: whether it gives addresses. */
export function reservationCommands(connect: () => Api): Command[] {
  const verbs = [
    { verb: 'reserve', reserved: true, description: 'keep it from giving addresses' },
    { verb: 'release', reserved: false, description: 'let it give addresses again' },
  ]
  return verbs.map(({ verb, reserved, description }) =>
    jsonOption(new Command(verb).description(description).argument('<name|id>'))
      .option('--project <name|id>', 'whose it is')
      .action(async (shard: string, options: Options) => {
        const api = connect()
        const path = `${references.shard.path}/${await idOf(api, references.shard, shard, options)}`
        printObject(options, await api.call({ method: 'PATCH', path, body: { reserved } }))
      }),
  )
}

export const networkNoun: Noun<Network> = {
  ...references.network,
  description: 'private segments of a project',
  schema: networkSchema,
  columns: [
    { heading: 'name', of: ({ name }) => name },
    { heading: 'vni', of: ({ vni }) => String(vni) },
    { heading: 'mtu', of: ({ mtu }) => String(mtu) },
    { heading: 'shards', of: ({ shardIds }) => String(shardIds.length) },
    { heading: 'id', of: ({ id }) => id },
  ],
  create: {
    fields: [projectField, { flags: '--mtu <bytes>', description: '1280 to 8950', field: 'mtu', parse: number }],
  },
  update: { fields: [newName] },
}
