/** `sluice_host`: a machine of the rack; and the token with which it joins, which is never in a state. */

import * as v from 'valibot'
import { type Host, hostCreatedSchema, hostSchema, hostUpdateSchema } from '../../controller/contract/machine.ts'
import { createObject, deleteObject, readObject, refreshObject, updateObject } from '../api/client.ts'
import { between, bool, defineSchema, integer, map, string, validator } from '../plugin/index.ts'
import { aLabel, createdAt, hostTimeouts, id, momentaryFields } from './attributes.ts'
import { createNounDataSources } from './data-sources.ts'
import { defineEphemeralResource, defineResource, keepPlanned, refuseImport } from './define.ts'

const path = '/v1/hosts'
const labelsSchema = v.unwrap(hostUpdateSchema.entries.labels)

const attributes = {
  id: id('host'),
  name: string({
    required: true,
    requiresReplace: true,
    validators: [aLabel()],
    description: 'Its name, unique in the rack. One that is there already is taken over as it is.',
  }),
  maintenance: bool({
    default: false,
    description: 'In maintenance nothing new is placed on it, and what runs there goes on.',
  }),
  labels: map(string(), {
    default: {},
    validators: [
      validator('have keys and values of at most 63 characters', (labels) => v.safeParse(labelsSchema, labels).success),
    ],
    description: 'Free words about it.',
  }),
  createdAt: createdAt(),
}

const schema = defineSchema({
  description:
    'A host is a bare-metal machine that runs the agent. It is named here and joins with a token: see the ephemeral resource `sluice_host_join_token`. Destroying it throws its agent out, and is refused while anything runs on it. Needs an admin token.',
  attributes,
  blocks: { timeouts: hostTimeouts() },
})

export const hostResource = defineResource({
  name: 'host',
  schema,
  async create({ desired }, context) {
    const { name, maintenance, labels } = desired
    const made = await createObject({ path, body: { name }, schema: hostSchema }, context)
    context.keep({ ...made, maintenance, labels })
    return updateObject(`${path}/${made.id}`, { maintenance, labels }, hostSchema, context)
  },
  read: ({ state }, context) => refreshObject({ path, id: state.id, among: {} }, hostSchema, context),
  async update({ prior, desired }, context) {
    const { maintenance, labels } = desired
    const view = await updateObject(`${path}/${prior.id}`, { maintenance, labels }, hostSchema, context)
    return keepPlanned(schema, desired, view)
  },
  delete: ({ state }, context) => deleteObject(`${path}/${state.id}`, v.unknown(), context),
  importState({ id: given }, context) {
    if (!given.startsWith('hst_')) throw refuseImport(given, 'the id of a host: hst_…')
    return readObject(`${path}/${given}`, hostSchema, context)
  },
})

export const hostDataSources = createNounDataSources<Host>({
  name: 'host',
  plural: 'hosts',
  words: 'host',
  path,
  idPrefix: 'hst',
  isOfProject: false,
  view: hostSchema,
  description: 'A host is a bare-metal machine that runs the agent. Needs an admin token.',
  fields: {
    ...attributes,
    ...momentaryFields,
    underlayAddress: string({ computed: true, description: 'Its address on the underlay; null until it has joined.' }),
    agentVersion: string({ computed: true, description: 'The version of its agent; null: nothing was heard of it.' }),
    lastReportAt: string({ computed: true, description: 'When it was last heard of, RFC 3339; null: never.' }),
  },
})

export const hostJoinToken = defineEphemeralResource({
  name: 'host_join_token',
  schema: defineSchema({
    description:
      'The token with which a host joins, for one use: `sluice-agent join`. A host of this name is made when there is none; the token before it is not valid any more.',
    attributes: {
      name: string({ required: true, validators: [aLabel()], description: 'The name of the host.' }),
      joinTokenLifetimeSeconds: integer({
        default: 900,
        validators: [between(10, 86_400)],
        description: 'How long it may be used, in seconds.',
      }),
      hostId: string({ computed: true, description: 'The id of the host.' }),
      joinToken: string({ computed: true, sensitive: true, description: 'The token.' }),
      joinTokenExpiresAt: string({ computed: true, description: 'Until when it may be used, RFC 3339.' }),
    },
  }),
  async open({ config }, { client, signal }) {
    const { name, joinTokenLifetimeSeconds } = config
    const request = { method: 'POST', path, body: { name, joinTokenLifetimeSeconds } } as const
    const { body } = await client.api.call(
      { ...request, idempotencyKey: client.createKey() },
      hostCreatedSchema,
      signal,
    )
    const { joinToken, joinTokenExpiresAt } = body
    return { result: { name, joinTokenLifetimeSeconds, hostId: body.id, joinToken, joinTokenExpiresAt } }
  },
})
