/** `sluice_network`: one private segment of a project, and how its address space is kept. */

import * as v from 'valibot'
import { type Network, networkCreateSchema, networkSchema } from '../../controller/contract/address-space.ts'
import { createObject, deleteObject, readObject, refreshObject, updateObject } from '../api/client.ts'
import { between, defineSchema, integer, list, string } from '../plugin/index.ts'
import { addressPolicy, describePolicy, policyBody } from './address-policy.ts'
import { aName, createdAt, hostTimeouts, id, momentaryFields, projectId } from './attributes.ts'
import { createNounDataSources } from './data-sources.ts'
import { defineResource, keepPlanned, refuseImport } from './define.ts'

const path = '/v1/networks'
const ownSchema = v.object({ ...networkSchema.entries, projectId: v.string() })
type OwnNetwork = v.InferOutput<typeof ownSchema>

const attributes = {
  id: id('network'),
  name: string({ required: true, validators: [aName()], description: 'Free text, unique within the project.' }),
  projectId: projectId(),
  mtu: integer({
    default: networkCreateSchema.entries.mtu.default,
    requiresReplace: true,
    validators: [between(1280, 8950)],
    description: 'The largest packet within it, in bytes: what the underlay carries less 50.',
  }),
  addressPolicy: addressPolicy("How its address space is kept. What it leaves out is as the project's policy says."),
  vni: integer({
    computed: true,
    useStateForUnknown: true,
    description: 'The number by which VXLAN tells it from others, unique in the rack.',
  }),
  domain: string({
    computed: true,
    useStateForUnknown: true,
    description: 'The domain in which its machines have their names.',
  }),
  createdAt: createdAt(),
}

const schema = defineSchema({
  description:
    'A network is one private segment of a project. Its addresses come from the shards that are attached to it by `sluice_shard_attachment`, or that its address policy cuts.',
  attributes,
  blocks: { timeouts: hostTimeouts() },
})

const describe = (view: OwnNetwork, before: object | null | undefined) => ({
  ...view,
  addressPolicy: describePolicy(view.addressPolicy, before),
})

export const networkResource = defineResource({
  name: 'network',
  schema,
  async create({ desired }, context) {
    const { name, projectId, mtu } = desired
    const body = { name, projectId, mtu, addressPolicy: policyBody(desired.addressPolicy) }
    return describe(await createObject({ path, body, schema: ownSchema }, context), desired.addressPolicy)
  },
  async read({ state }, context) {
    const view = await refreshObject({ path, id: state.id, among: { projectId: state.projectId } }, ownSchema, context)
    return view === null ? null : describe(view, state.addressPolicy)
  },
  async update({ prior, desired }, context) {
    const body = { name: desired.name, addressPolicy: policyBody(desired.addressPolicy) }
    const view = await updateObject(`${path}/${prior.id}`, body, ownSchema, context)
    return keepPlanned(schema, desired, describe(view, desired.addressPolicy))
  },
  delete: ({ state }, context) => deleteObject(`${path}/${state.id}`, v.unknown(), context),
  async importState({ id: given }, context) {
    if (!given.startsWith('net_')) throw refuseImport(given, 'the id of a network: net_…')
    const view = await readObject(`${path}/${given}`, ownSchema, context)
    return view === null ? null : describe(view, null)
  },
})

export const networkDataSources = createNounDataSources<Network>({
  name: 'network',
  plural: 'networks',
  words: 'network',
  path,
  idPrefix: 'net',
  isOfProject: true,
  view: networkSchema,
  description: 'A network is one private segment of a project.',
  fields: {
    ...attributes,
    ...momentaryFields,
    shardIds: list(string(), { computed: true, description: 'The shards that are attached to it.' }),
    effectiveAddressPolicy: addressPolicy("Its own address policy over its project's."),
  },
})
