/** `sluice pool`, `sluice shard` and `sluice network`: address space, and the segments that it serves. */

import {
  type Network,
  networkSchema,
  type Pool,
  poolSchema,
  type Shard,
  shardSchema,
} from '../../controller/contract/address-space.ts'
import { type BodyField, number, projectField, reference, text, trueOrFalse } from '../body-fields.ts'
import type { Noun } from '../noun.ts'
import { references } from '../resolve.ts'

const newName: BodyField = { flags: '--new-name <name>', description: 'its new name', field: 'name', parse: text }

export const poolNoun: Noun<Pool> = {
  ...references.pool,
  description: 'supernets that shards are cut from',
  schema: poolSchema,
  columns: [
    { heading: 'name', of: ({ name }) => name },
    { heading: 'cidr', of: ({ cidr }) => cidr },
    { heading: 'cut', of: ({ cutAddresses, sizeAddresses }) => `${cutAddresses}/${sizeAddresses}` },
    { heading: 'id', of: ({ id }) => id },
  ],
  create: {
    fields: [
      projectField,
      { flags: '--cidr <cidr>', description: 'as 198.18.16.0/20', field: 'cidr', parse: text, isRequired: true },
    ],
  },
  update: { fields: [newName] },
}

export const shardNoun: Noun<Shard> = {
  ...references.shard,
  description: 'CIDR blocks that networks take their addresses from',
  schema: shardSchema,
  columns: [
    { heading: 'cidr', of: ({ cidr }) => cidr },
    { heading: 'status', of: ({ status }) => status },
    { heading: 'resources', of: ({ resourceCount }) => String(resourceCount) },
    { heading: 'used', of: ({ utilization }) => `${(100 * utilization).toFixed(1)} %` },
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
      { flags: '--size <addresses>', description: 'a power of two, 16 to 4096', field: 'sizeAddresses', parse: number },
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
