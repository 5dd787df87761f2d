/** `sluice_pool`: a supernet that shards are cut from. */

import * as v from 'valibot'
import { type Pool, poolSchema } from '../../controller/contract/address-space.ts'
import { createObject, deleteObject, readObject, refreshObject, updateObject } from '../api/client.ts'
import { defineSchema, number, string } from '../plugin/index.ts'
import { aBlock, aName, createdAt, hostTimeouts, id, momentaryFields, projectId } from './attributes.ts'
import { createNounDataSources } from './data-sources.ts'
import { defineResource, keepPlanned, refuseImport } from './define.ts'

const path = '/v1/pools'
const ownSchema = v.object({ ...poolSchema.entries, projectId: v.string() })

const attributes = {
  id: id('pool'),
  name: string({ required: true, validators: [aName()], description: 'Free text, unique within the project.' }),
  projectId: projectId(),
  cidr: string({
    required: true,
    requiresReplace: true,
    validators: [
      aBlock('be an aligned block: IPv4 from /8 to /28 as 198.18.16.0/20, or IPv6 from /32 to /64 as fd00:20::/48', {
        4: [8, 28],
        6: [32, 64],
      }),
    ],
    description:
      'The block that shards are cut from: IPv4 from /8 to /28, IPv6 from /32 to /64. No two of a project overlap.',
  }),
  sizeAddresses: number({ computed: true, useStateForUnknown: true, description: 'How many addresses the block has.' }),
  createdAt: createdAt(),
}

const schema = defineSchema({
  description: 'A pool is a supernet that shards are cut from.',
  attributes,
  blocks: { timeouts: hostTimeouts() },
})

export const poolResource = defineResource({
  name: 'pool',
  schema,
  create: ({ desired: { name, projectId, cidr } }, context) =>
    createObject({ path, body: { name, projectId, cidr }, schema: ownSchema }, context),
  read: ({ state }, context) =>
    refreshObject({ path, id: state.id, among: { projectId: state.projectId } }, ownSchema, context),
  async update({ prior, desired }, context) {
    const view = await updateObject(`${path}/${prior.id}`, { name: desired.name }, ownSchema, context)
    return keepPlanned(schema, desired, view)
  },
  delete: ({ state }, context) => deleteObject(`${path}/${state.id}`, v.unknown(), context),
  importState({ id: given }, context) {
    if (!given.startsWith('pol_')) throw refuseImport(given, 'the id of a pool: pol_…')
    return readObject(`${path}/${given}`, ownSchema, context)
  },
})

export const poolDataSources = createNounDataSources<Pool>({
  name: 'pool',
  plural: 'pools',
  words: 'pool',
  path,
  idPrefix: 'pol',
  isOfProject: true,
  view: poolSchema,
  description: 'A pool is a supernet that shards are cut from.',
  fields: {
    ...attributes,
    ...momentaryFields,
    cutAddresses: number({ computed: true, description: 'How many of its addresses shards have taken.' }),
  },
})
