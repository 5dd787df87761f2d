/** `sluice_shard`: a block of addresses, cut from a pool. `sluice_shard_attachment` gives it to a network. */

import * as v from 'valibot'
import { type Shard, shardSchema } from '../../controller/contract/address-space.ts'
import { createObject, deleteObject, readObject, refreshObject, updateObject } from '../api/client.ts'
import { bool, defineSchema, number, string } from '../plugin/index.ts'
import { aShardSize } from './address-policy.ts'
import { aBlock, aName, anId, createdAt, hostTimeouts, id, momentaryFields } from './attributes.ts'
import { createNounDataSources } from './data-sources.ts'
import { defineResource, keepPlanned, refuseImport } from './define.ts'

const path = '/v1/shards'
const ownSchema = v.object({ ...shardSchema.entries, projectId: v.string() })
type OwnShard = v.InferOutput<typeof ownSchema>

const attributes = {
  id: id('shard'),
  name: string({
    optional: true,
    computed: true,
    useStateForUnknown: true,
    validators: [aName()],
    description: 'Free text, unique within the project; its block when left out.',
  }),
  poolId: string({
    required: true,
    requiresReplace: true,
    validators: [anId('pol')],
    description: 'The pool to cut it from, whose project is its own.',
  }),
  sizeAddresses: number({
    optional: true,
    computed: true,
    requiresReplace: true,
    useStateForUnknown: true,
    validators: [aShardSize()],
    description:
      'How many addresses it has: a power of two from 16 (/28) to 4096 (/20); 1024 when neither this nor `cidr` is given. Of an IPv6 pool every shard is a /64, and this is left out.',
  }),
  cidr: string({
    optional: true,
    computed: true,
    requiresReplace: true,
    useStateForUnknown: true,
    validators: [
      aBlock('be an aligned block: IPv4 from /20 to /28 as 198.18.16.0/22, or an IPv6 /64', {
        4: [20, 28],
        6: [64, 64],
      }),
    ],
    description: 'This very block of the pool; left out: the first that is free.',
  }),
  reserved: bool({
    default: false,
    description: 'Reserved: it is attached to no network, and an attached one gives no address, until it is released.',
  }),
  projectId: string({ computed: true, useStateForUnknown: true, description: 'The project of its pool.' }),
  gateway: string({
    computed: true,
    useStateForUnknown: true,
    description: "Its first address, which the network's gateway has on every host.",
  }),
  createdAt: createdAt(),
}

const schema = defineSchema({
  description: 'A shard is a block of addresses, cut from a pool, which `sluice_shard_attachment` gives to a network.',
  attributes,
  blocks: { timeouts: hostTimeouts() },
})

/** A shard that migrates shows that instead: then it is as it was. */
const describe = (view: OwnShard, before: boolean) => ({
  ...view,
  reserved: view.status === 'migrating' ? before : view.status === 'reserved',
})

export const shardResource = defineResource({
  name: 'shard',
  schema,
  async create({ desired }, context) {
    const { name, poolId, sizeAddresses, cidr, reserved } = desired
    const body = {
      poolId,
      ...(name !== undefined && { name }),
      ...(sizeAddresses !== undefined && { sizeAddresses }),
      ...(cidr !== undefined && { cidr }),
    }
    const made = await createObject({ path, body, schema: ownSchema }, context)
    context.keep({ ...describe(made, false), reserved })
    if (!reserved) return describe(made, false)
    return describe(await updateObject(`${path}/${made.id}`, { reserved }, ownSchema, context), reserved)
  },
  async read({ state }, context) {
    const view = await refreshObject({ path, id: state.id, among: { projectId: state.projectId } }, ownSchema, context)
    return view === null ? null : describe(view, state.reserved)
  },
  async update({ prior, desired }, context) {
    const { name, reserved } = desired
    const body = { reserved, ...(name !== undefined && { name }) }
    const view = await updateObject(`${path}/${prior.id}`, body, ownSchema, context)
    return keepPlanned(schema, desired, describe(view, reserved))
  },
  delete: ({ state }, context) => deleteObject(`${path}/${state.id}`, v.unknown(), context),
  async importState({ id: given }, context) {
    if (!given.startsWith('shd_')) throw refuseImport(given, 'the id of a shard: shd_…')
    const view = await readObject(`${path}/${given}`, ownSchema, context)
    return view === null ? null : describe(view, false)
  },
})

export const shardDataSources = createNounDataSources<Shard>({
  name: 'shard',
  plural: 'shards',
  words: 'shard',
  path,
  idPrefix: 'shd',
  isOfProject: true,
  view: shardSchema,
  description: 'A shard is a block of addresses, cut from a pool.',
  fields: {
    ...attributes,
    ...momentaryFields,
    networkId: string({ computed: true, description: 'The network that it is attached to; null: none.' }),
    resourceCount: number({
      computed: true,
      description: 'Machines and instances that hold an address of it; never gateways.',
    }),
    lastAccessedAt: string({
      computed: true,
      description: 'The last allocation or release, RFC 3339; null: none yet.',
    }),
    utilization: number({ computed: true, description: 'Addresses held over addresses that can be, 0 to 1.' }),
  },
  filters: {
    networkId: string({ optional: true, validators: [anId('net')], description: 'Only shards of this network.' }),
    poolId: string({ optional: true, validators: [anId('pol')], description: 'Only shards of this pool.' }),
  },
  describe: (view) => ({ ...view, reserved: view.status === 'reserved' }),
})
