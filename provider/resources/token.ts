/** `sluice_token`: who may ask. As a resource it is given its secret and keeps none; as an ephemeral one it lasts a run. */

import * as v from 'valibot'
import { type Token, tokenCreatedSchema, tokenCreateSchema, tokenSchema } from '../../controller/contract/project.ts'
import { type Client, createObject, deleteObject, readObject, refreshObject } from '../api/client.ts'
import { bool, type CallContext, defineSchema, integer, matches, string, timeouts, validator } from '../plugin/index.ts'
import { admittedBy, aName, anId, createdAt, id, momentaryFields } from './attributes.ts'
import { createNounDataSources } from './data-sources.ts'
import { defineEphemeralResource, defineResource, refuseImport } from './define.ts'

const path = '/v1/tokens'

const shown = {
  id: id('token'),
  name: string({
    required: true,
    requiresReplace: true,
    validators: [aName()],
    description: 'Free text, unique within the project, or among the admin tokens.',
  }),
  projectId: string({
    optional: true,
    requiresReplace: true,
    validators: [anId('prj')],
    description:
      'The project that it is for, and sees nothing else; left out: an admin token, which only an admin may make.',
  }),
  expiresAt: string({
    optional: true,
    requiresReplace: true,
    validators: [
      admittedBy(v.unwrap(tokenCreateSchema.entries.expiresAt), 'be an RFC 3339 time, as 2030-01-31T00:00:00.000Z'),
    ],
    description: 'When it ends, RFC 3339; left out: never.',
  }),
  scope: string({ computed: true, useStateForUnknown: true, description: '`admin` or `project`.' }),
  createdAt: createdAt(),
}

const schema = defineSchema({
  description:
    'A token that lasts. Its secret is chosen by you and given as a write-only attribute, so that neither plan nor state hold it: the bearer is `bearer_prefix` followed by the secret. For a token of one run, see the ephemeral resource of this name.',
  attributes: {
    ...shown,
    secretWo: string({
      required: true,
      writeOnly: true,
      sensitive: true,
      validators: [matches(/^[0-9a-f]{64}$/, 'be 64 lower-case hexadecimal digits, as sha256(…) gives them')],
      description:
        'The secret: 64 hexadecimal digits, as sha256() makes of an ephemeral random password. It is never shown again.',
    }),
    secretWoVersion: integer({
      default: 1,
      requiresReplace: true,
      description: 'Change it to give the token another secret: it is replaced then.',
    }),
    bearerPrefix: string({
      computed: true,
      useStateForUnknown: true,
      description: 'What comes before the secret in the bearer: `slt_…_`.',
    }),
  },
  blocks: { timeouts: timeouts({ createSeconds: 60, deleteSeconds: 60 }) },
})

const describe = (view: Token, secretWoVersion: number) => ({
  ...view,
  secretWoVersion,
  bearerPrefix: `slt_${view.id.slice(view.id.indexOf('_') + 1)}_`,
})

/** A token that an earlier run made has another secret, which nobody knows any more. */
async function deleteByName(
  { name, projectId }: { readonly name: string; readonly projectId?: string },
  context: Pick<CallContext, 'signal' | 'log'> & { readonly client: Client },
): Promise<void> {
  const all = await context.client.api.listAll(path, tokenSchema, { name, projectId }, context.signal)
  const own = all.filter((token) => token.name === name && token.projectId === (projectId ?? null))
  for (const token of own) await deleteObject(`${path}/${token.id}`, v.unknown(), context)
}

export const tokenResource = defineResource({
  name: 'token',
  schema,
  async create({ desired }, context) {
    const { name, projectId, expiresAt, secretWo, secretWoVersion } = desired
    const body = {
      name,
      secret: secretWo,
      ...(projectId !== null && { projectId }),
      ...(expiresAt !== null && { expiresAt }),
    }
    const { secret: _, ...remembered } = body
    const discard = () => deleteByName(remembered, context)
    return describe(
      await createObject({ path, body, remembered, discard, schema: tokenSchema }, context),
      secretWoVersion,
    )
  },
  async read({ state }, context) {
    const view = await refreshObject(
      { path, id: state.id, among: { projectId: state.projectId ?? undefined } },
      tokenSchema,
      context,
    )
    return view === null ? null : describe(view, state.secretWoVersion)
  },
  delete: ({ state }, context) => deleteObject(`${path}/${state.id}`, v.unknown(), context),
  async importState({ id: given }, context) {
    if (!given.startsWith('tok_')) throw refuseImport(given, 'the id of a token: tok_…')
    const view = await readObject(`${path}/${given}`, tokenSchema, context)
    return view === null ? null : describe(view, 1)
  },
})

export const tokenDataSources = createNounDataSources<Token>({
  name: 'token',
  plural: 'tokens',
  words: 'token',
  path,
  idPrefix: 'tok',
  isOfProject: true,
  view: tokenSchema,
  description: 'A token says who may ask. Its secret is shown to nobody.',
  fields: {
    ...shown,
    ...momentaryFields,
    nats: bool({ computed: true, description: 'Whether it has NATS credentials for the events of its project.' }),
  },
})

export const ephemeralToken = defineEphemeralResource({
  name: 'token',
  schema: defineSchema({
    description:
      'A token that lasts as long as the run does, at most an hour: it is made when it is needed, and deleted at the end.',
    attributes: {
      name: string({
        required: true,
        validators: [aName()],
        description: 'What its name begins with; the rest tells it from those of other runs.',
      }),
      projectId: string({
        optional: true,
        validators: [anId('prj')],
        description: 'The project that it is for; left out: an admin token.',
      }),
      lifetimeSeconds: integer({
        default: 3600,
        validators: [validator('be between 60 and 86400', (seconds: number) => seconds >= 60 && seconds <= 86_400)],
        description: 'When it ends by itself, should the run never do so.',
      }),
      id: string({ computed: true, description: 'Its id.' }),
      token: string({ computed: true, sensitive: true, description: 'The bearer.' }),
      expiresAt: string({ computed: true, description: 'When it ends by itself, RFC 3339.' }),
    },
  }),
  async open({ config }, { client, signal }) {
    const { name, projectId, lifetimeSeconds } = config
    const expiresAt = new Date(client.now() + lifetimeSeconds * 1000).toISOString()
    const idempotencyKey = client.createKey()
    const body = { name: `${name} ${idempotencyKey.slice(-12)}`, expiresAt, ...(projectId !== null && { projectId }) }
    const made = await client.api.call({ method: 'POST', path, body, idempotencyKey }, tokenCreatedSchema, signal)
    const { id: tokenId, token } = made.body
    return {
      result: { name, projectId, lifetimeSeconds, id: tokenId, token, expiresAt },
      handle: { id: tokenId },
    }
  },
  close: ({ handle }, context) => deleteObject(`${path}/${String(handle.id)}`, v.unknown(), context),
})
