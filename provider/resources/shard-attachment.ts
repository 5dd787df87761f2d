/** `sluice_shard_attachment`: a shard in a network. Taking it away moves those that hold its addresses first. */

import * as v from 'valibot'
import { shardSchema } from '../../controller/contract/address-space.ts'
import { migrationModes } from '../../controller/contract/migration.ts'
import { findObject, refreshObject } from '../api/client.ts'
import { detachShard, type MigrationOptions, moveShard } from '../api/migrations.ts'
import { between, defineSchema, integer, number, object, string, timeouts } from '../plugin/index.ts'
import { anId } from './attributes.ts'
import { defineResource, refuseImport, withoutNull } from './define.ts'

const attributes = {
  id: string({
    computed: true,
    useStateForUnknown: true,
    description: 'The id of the shard, of which there is one attachment at most.',
  }),
  shardId: string({
    required: true,
    requiresReplace: true,
    validators: [anId('shd')],
    description: 'The shard.',
  }),
  networkId: string({
    required: true,
    validators: [anId('net')],
    description:
      'The network that has it. Another one takes it once its holders have moved to the other shards of the one before. Refer to this attribute where machines and load balancers need addresses of the network: then they are made after the attachment.',
  }),
  migration: object(
    {
      mode: string({
        optional: true,
        oneOf: migrationModes,
        description:
          "`overlap`: both addresses live until the old one's connections have ended; `restart`: the interface comes up with the new one. Left out: as the network's address policy says, or else `overlap`.",
      }),
      parallelism: integer({
        optional: true,
        validators: [between(1, 64)],
        description: 'How many holders move at the same time; 8 when left out.',
      }),
      drainSeconds: number({
        optional: true,
        validators: [between(0, 3600)],
        description: 'How long old connections may go on; 30 when left out.',
      }),
    },
    { optional: true, description: 'How those that hold its addresses move when it is taken away.' },
  ),
  cidr: string({ computed: true, useStateForUnknown: true, description: 'The block of the shard.' }),
  gateway: string({
    computed: true,
    useStateForUnknown: true,
    description: 'Its first address, which the gateway of the network has on every host.',
  }),
}

const schema = defineSchema({
  description:
    'A shard in a network, whose addresses machines and load balancers on it get. Destroying it empties the shard while they run: they move to the other shards of the network, and no connection is lost in the mode `overlap`. It fails, with nothing left half done, where the others have no room.',
  attributes,
  blocks: { timeouts: timeouts({ createSeconds: 60, updateSeconds: 3600, deleteSeconds: 3600 }) },
})

const optionsOf = (migration: object | null) => withoutNull(migration ?? {}) as MigrationOptions
const attachedSchema = v.object({ ...shardSchema.entries, networkId: v.string() })

export const shardAttachmentResource = defineResource({
  name: 'shard_attachment',
  schema,
  async create({ desired }, { client, signal }) {
    const { networkId, shardId, migration } = desired
    const request = { method: 'POST', path: `/v1/networks/${networkId}/shards/${shardId}` } as const
    const idempotencyKey = client.createKey()
    const { body } = await client.api.call({ ...request, idempotencyKey }, attachedSchema, signal)
    return { id: body.id, shardId: body.id, networkId, migration, cidr: body.cidr, gateway: body.gateway }
  },
  async read({ state }, context) {
    const shard = await refreshObject({ path: '/v1/shards', id: state.shardId, among: null }, shardSchema, context)
    if (shard === null || shard.networkId === null) return null
    const { cidr, gateway, networkId } = shard
    return { ...state, networkId, cidr, gateway }
  },
  async update({ prior, desired }, context) {
    const { networkId, migration } = desired
    if (networkId !== prior.networkId) {
      await moveShard({ shardId: prior.shardId, toNetworkId: networkId, options: optionsOf(migration) }, context)
    }
    return { ...prior, networkId, migration }
  },
  delete: ({ state: { networkId, shardId, migration } }, context) =>
    detachShard({ networkId, shardId, options: optionsOf(migration) }, context),
  async importState({ id }, context) {
    if (!id.startsWith('shd_')) throw refuseImport(id, 'the id of the shard: shd_…')
    const shard = await findObject(`/v1/shards/${id}`, shardSchema, context)
    if (shard === null || shard.networkId === null) return null
    const { cidr, gateway, networkId } = shard
    return { id, shardId: id, networkId, migration: null, cidr, gateway }
  },
})
