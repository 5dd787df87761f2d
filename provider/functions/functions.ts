/** The functions of the provider: what can be told of blocks, addresses and ids without asking the controller. Pure. */

import { defineFunction, integer, list, map, object, ProviderError, string } from '../plugin/index.ts'
import { aShardSize } from '../resources/address-policy.ts'
import { containsAddress, cutBlock, formatBlock, parseAddress, parseBlock } from './blocks.ts'

const refuseArgument = (parameter: string, given: string, must: string) =>
  new ProviderError(`${parameter} must ${must}`, { detail: `It is ${JSON.stringify(given)}.`, path: [parameter] })

function admitBlock(parameter: string, text: string) {
  const block = parseBlock(text)
  if (block === null) throw refuseArgument(parameter, text, 'be an aligned block, as 198.18.16.0/20')
  return block
}

export const cidrShards = defineFunction({
  name: 'cidr_shards',
  summary: 'The shards that a pool can be cut into',
  description:
    'From the first address of the block on, as `sluice_shard` cuts them one after the other: for the `cidr` of several shards that are declared at once. Of an IPv6 block every shard is a /64.',
  parameters: {
    pool: string({ description: 'The block of the pool, as 198.18.16.0/20.' }),
    size: integer({
      validators: [aShardSize()],
      description: 'How many addresses each shard has: a power of two from 16 to 4096.',
    }),
  },
  returns: list(string()),
  call({ pool, size }) {
    if (!aShardSize().holds(size)) throw refuseArgument('size', String(size), aShardSize().must)
    const cuts = cutBlock(admitBlock('pool', pool), size)
    if ('message' in cuts) throw new ProviderError(`pool can not be cut: ${cuts.message}`, { path: ['pool'] })
    return cuts.map(formatBlock)
  },
})

export const shardOf = defineFunction({
  name: 'shard_of',
  summary: 'The shard that an address belongs to',
  description:
    'Of the blocks that are given, by any names, the name of the one that has the address: a shard id, for one.',
  parameters: {
    address: string({ description: 'The address.' }),
    shards: map(string(), {
      description: 'Blocks by name: `{ for shard in data.sluice_shards.all.items : shard.id => shard.cidr }`.',
    }),
  },
  returns: string(),
  call({ address, shards }) {
    const parsed = parseAddress(address)
    if (parsed === null) throw refuseArgument('address', address, 'be an IPv4 or IPv6 address')
    const found = Object.entries(shards).find(([, cidr]) => containsAddress(admitBlock('shards', cidr), parsed))
    if (found !== undefined) return found[0]
    throw refuseArgument('address', address, `be in one of ${Object.values(shards).join(', ') || 'no shards at all'}`)
  },
})

const kinds: Readonly<Record<string, string>> = {
  prj: 'project',
  tok: 'token',
  pol: 'pool',
  shd: 'shard',
  net: 'network',
  mch: 'machine',
  lb: 'load_balancer',
  mbr: 'load_balancer_member',
  hst: 'host',
  mig: 'migration',
  adr: 'address',
}
const idPattern = /^([a-z]{2,4})_([0-9a-hjkmnp-tv-z]{25})$/

export const parseId = defineFunction({
  name: 'parse_id',
  summary: 'What an id says',
  description: 'The kind of the object that an id names, and the id of its client: those of one project have the same.',
  parameters: { id: string({ description: 'An id, as net_….' }) },
  returns: object({
    kind: string({ computed: true, description: 'The kind, as resources are named: `load_balancer`.' }),
    prefix: string({ computed: true, description: 'What it begins with.' }),
    client: string({ computed: true, description: 'What the ids of all objects of one project share.' }),
  }),
  call({ id }) {
    const [, prefix = '', rest = ''] = idPattern.exec(id) ?? []
    const kind = kinds[prefix]
    if (kind === undefined)
      throw refuseArgument('id', id, `be an id that begins with one of ${Object.keys(kinds).join('_, ')}_`)
    return { kind, prefix, client: rest.slice(0, 7) }
  },
})

export const functions = [cidrShards, shardOf, parseId]
