/** `sluice address`: who holds an address and who held it, and those that are held for what Sluice does not run. */

import { Command } from 'commander'
import * as v from 'valibot'
import {
  type Address,
  type AddressHistory,
  addressesAllocatedSchema,
  addressHistorySchema,
  addressSchema,
  shardSchema,
} from '../../controller/contract/address-space.ts'
import { compareAddresses, hasAddress } from '../address-order.ts'
import type { Api } from '../api.ts'
import { type BodyField, buildBody, declareFields, number, type Options, reference, text } from '../body-fields.ts'
import { type Column, idOf, jsonOption, listAll, printObject, tableOf } from '../noun.ts'
import { json } from '../output.ts'
import { references, resolveId } from '../resolve.ts'

type Connect = () => Api

const path = '/v1/addresses'

const columns: readonly Column<Address>[] = [
  { heading: 'address', of: ({ address }) => address },
  { heading: 'kind', of: ({ ownerKind }) => ownerKind },
  { heading: 'holder', of: ({ owner }) => owner },
  { heading: 'since', of: ({ allocatedAt }) => allocatedAt },
]

const historyColumns: readonly Column<AddressHistory['holders'][number]>[] = [
  { heading: 'from', of: ({ heldFrom }) => heldFrom },
  { heading: 'until', of: ({ heldUntil }) => heldUntil ?? '-' },
  { heading: 'kind', of: ({ ownerKind }) => ownerKind },
  { heading: 'holder', of: ({ owner }) => owner },
]

export function addressCommand(connect: Connect): Command {
  const command = new Command('address').description('addresses of networks, and who holds them')
  const verbs = [listVerb, showVerb, historyVerb, allocateVerb, releaseVerb]
  for (const verb of verbs) command.addCommand(verb(connect))
  return command
}

const projectOption = (command: Command) => command.option('--project <name|id>', 'whose it is')

const projectOf = async (api: Api, options: Options) =>
  typeof options.project === 'string' ? await resolveId(api, 'project', options.project) : undefined

function listVerb(connect: Connect): Command {
  const filters: readonly BodyField[] = [
    {
      flags: '--network <name|id>',
      description: 'only of this network',
      field: 'networkId',
      parse: reference('network'),
    },
    { flags: '--shard <name|id>', description: 'only of this shard', field: 'shardId', parse: reference('shard') },
    { flags: '--owner <id>', description: 'only of this machine or instance', field: 'ownerId', parse: text },
  ]
  const command = projectOption(jsonOption(new Command('list').alias('ls').description('all that are held')))
  declareFields(command, filters)
  return command.action(async (options: Options) => {
    const api = connect()
    const projectId = await projectOf(api, options)
    const query = v.parse(v.record(v.string(), v.string()), await buildBody(api, filters, options, projectId))
    const items = await listAll(api, path, addressSchema, { ...query, projectId })
    const sorted = items.toSorted((a, b) => compareAddresses(a.address, b.address))
    if (options.json === true) console.log(json({ items: sorted }))
    else console.log(sorted.length === 0 ? 'no address' : tableOf(columns, sorted))
  })
}

const oneAddress = (name: string, description: string) =>
  projectOption(jsonOption(new Command(name).description(description).argument('<address|id>')))

const showVerb = (connect: Connect) =>
  oneAddress('show', 'who holds it').action(async (address: string, options: Options) => {
    const api = connect()
    const id = await findHeld(api, address, options)
    if (id === null) throw new Error(describeNotHeld(address))
    printObject(options, await api.call({ method: 'GET', path: `${path}/${id}` }))
  })

const historyVerb = (connect: Connect) =>
  oneAddress('history', 'who held it, also when nobody does now')
    .option('--shard <name|id>', 'which one, where several networks have it')
    .action(async (address: string, options: Options) => {
      const api = connect()
      const answer = await api.call({ method: 'GET', path: await historyPathOf(api, address, options) })
      const history = v.parse(addressHistorySchema, answer)
      if (options.json === true) console.log(json(history))
      else if (history.holders.length === 0) console.log(`nobody has ever held ${history.address}`)
      else console.log(tableOf(historyColumns, history.holders))
    })

const allocateFields: readonly BodyField[] = [
  {
    flags: '--holder <name>',
    description: 'what they are for: something that Sluice does not run',
    field: 'holder',
    parse: text,
    isRequired: true,
  },
  { flags: '--count <number>', description: 'how many; 1 when nothing is said', field: 'count', parse: number },
  {
    flags: '--shard <name|id>',
    description: 'out of this one of its shards; IPv6 is given so, or by the address',
    field: 'shardId',
    parse: reference('shard'),
  },
  { flags: '--address <address>', description: 'this very one', field: 'addresses', parse: text, isList: true },
]

function allocateVerb(connect: Connect): Command {
  const command = new Command('allocate').description('hold addresses of a network for what Sluice does not run')
  declareFields(projectOption(jsonOption(command)), allocateFields)
  return command
    .requiredOption('--network <name|id>', 'the network')
    .option('--idempotency-key <key>', 'the same for every repetition of this request')
    .action(async (options: Options) => {
      const api = connect()
      const networkId = await idOf(api, references.network, String(options.network), options)
      const key = options.idempotencyKey
      const answer = await api.call({
        method: 'POST',
        path: `${references.network.path}/${networkId}/addresses`,
        body: await buildBody(api, allocateFields, options),
        headers: typeof key === 'string' ? { 'idempotency-key': key } : {},
      })
      const { items } = v.parse(addressesAllocatedSchema, answer)
      console.log(options.json === true ? json({ items }) : items.map(({ address }) => address).join('\n'))
    })
}

const releaseVerb = (connect: Connect) =>
  projectOption(jsonOption(new Command('release').description('give back what was allocated by hand')))
    .argument('<address|id...>')
    .action(async (addresses: readonly string[], options: Options) => {
      const api = connect()
      const released: string[] = []
      for (const address of addresses) {
        const id = await findHeld(api, address, options)
        // One that nobody holds is as it should be.
        if (id !== null) await api.call({ method: 'DELETE', path: `${path}/${id}` })
        released.push(address)
      }
      if (options.json === true) console.log(json({ released }))
      else console.log(`released ${released.join(', ')}`)
    })

/** The id of an address that is held, or null; throws where several have that one. */
async function findHeld(api: Api, addressOrId: string, options: Options): Promise<string | null> {
  if (addressOrId.startsWith('adr_')) return addressOrId
  const projectId = await projectOf(api, options)
  const items = await listAll(api, path, addressSchema, { address: addressOrId, projectId })
  if (items.length > 1) throw new Error(`several projects have ${addressOrId}; give --project, or its id`)
  return items[0]?.id ?? null
}

const describeNotHeld = (address: string) =>
  `nobody holds ${address}; \`sluice address history ${address}\` tells who did`

async function historyPathOf(api: Api, address: string, options: Options): Promise<string> {
  if (address.startsWith('adr_')) return `${path}/${address}/history`
  const shardId =
    typeof options.shard === 'string'
      ? await idOf(api, references.shard, options.shard, options)
      : await findShardOf(api, address, options)
  return `${references.shard.path}/${shardId}/addresses/${address}/history`
}

async function findShardOf(api: Api, address: string, options: Options): Promise<string> {
  const shards = await listAll(api, references.shard.path, shardSchema, { projectId: await projectOf(api, options) })
  const [first, second] = shards.filter(({ cidr }) => hasAddress(cidr, address))
  if (first === undefined) throw new Error(`${address} is in no shard; \`sluice shard list\` shows what there is`)
  if (second !== undefined) throw new Error(`several shards have ${address}; give --shard, or --project`)
  return first.id
}
