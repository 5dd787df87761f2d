/** `sluice_project`: a tenant, and what it may have. */

import * as v from 'valibot'
import { nameSchema } from '../../controller/contract/common.ts'
import { type Project, projectCreateSchema, projectSchema, quotaSchema } from '../../controller/contract/project.ts'
import { createObject, deleteObject, readObject, refreshObject, updateObject } from '../api/client.ts'
import { between, defineSchema, integer, object, string } from '../plugin/index.ts'
import { addressPolicy, describePolicy, policyBody } from './address-policy.ts'
import { admittedBy, aName, createdAt, hostTimeouts, id, momentaryFields } from './attributes.ts'
import { createNounDataSources } from './data-sources.ts'
import { defineResource, keepPlanned, refuseImport } from './define.ts'

const path = '/v1/projects'
const quotaDefault = v.getDefaults(quotaSchema) as { readonly [Noun in keyof Project['quota']]: number }

const limit = (noun: keyof typeof quotaDefault, words: string) =>
  integer({
    default: quotaDefault[noun],
    validators: [between(0, 100_000)],
    description: `How many ${words} it may have.`,
  })

const attributes = {
  id: id('project'),
  name: string({ required: true, validators: [aName()], description: 'Free text, unique among those of its user.' }),
  user: string({
    required: true,
    requiresReplace: true,
    validators: [admittedBy(nameSchema, 'be 1 to 128 characters')],
    description: 'Its owner.',
  }),
  slug: string({
    optional: true,
    computed: true,
    requiresReplace: true,
    useStateForUnknown: true,
    validators: [
      admittedBy(
        v.unwrap(projectCreateSchema.entries.slug),
        'be lower-case letters, digits and hyphens, at most 40, with no hyphen at either end',
      ),
    ],
    description: 'Its name in the DNS, unique among all projects; made from the name when left out.',
  }),
  quota: object(
    {
      pools: limit('pools', 'pools'),
      shards: limit('shards', 'shards'),
      networks: limit('networks', 'networks'),
      machines: limit('machines', 'machines'),
      loadBalancers: limit('loadBalancers', 'load balancers'),
    },
    { default: quotaDefault, description: 'How many objects of each kind it may have.' },
  ),
  addressPolicy: addressPolicy("What the project's networks leave out of their address policies."),
  createdAt: createdAt(),
}

const schema = defineSchema({
  description:
    'A project is a tenant: it has an owner and a quota, and everything else belongs to one. Needs an admin token.',
  attributes,
  blocks: { timeouts: hostTimeouts() },
})

const describe = (view: Project, before: object | null | undefined) => ({
  ...view,
  addressPolicy: describePolicy(view.addressPolicy, before),
})

export const projectResource = defineResource({
  name: 'project',
  schema,
  async create({ desired }, context) {
    const { name, user, slug, quota } = desired
    const body = {
      name,
      user,
      quota,
      ...(slug !== undefined && { slug }),
      addressPolicy: policyBody(desired.addressPolicy),
    }
    return describe(await createObject({ path, body, schema: projectSchema }, context), desired.addressPolicy)
  },
  async read({ state }, context) {
    const view = await refreshObject({ path, id: state.id, among: {} }, projectSchema, context)
    return view === null ? null : describe(view, state.addressPolicy)
  },
  async update({ prior, desired }, context) {
    const { name, quota } = desired
    const body = { name, quota, addressPolicy: policyBody(desired.addressPolicy) }
    const view = await updateObject(`${path}/${prior.id}`, body, projectSchema, context)
    return keepPlanned(schema, desired, describe(view, desired.addressPolicy))
  },
  delete: ({ state }, context) => deleteObject(`${path}/${state.id}`, v.unknown(), context),
  async importState({ id: given }, context) {
    if (!given.startsWith('prj_')) throw refuseImport(given, 'the id of a project: prj_…')
    const view = await readObject(`${path}/${given}`, projectSchema, context)
    return view === null ? null : describe(view, null)
  },
})

export const projectDataSources = createNounDataSources<Project>({
  name: 'project',
  plural: 'projects',
  words: 'project',
  path,
  idPrefix: 'prj',
  isOfProject: false,
  view: projectSchema,
  description: 'A project is a tenant.',
  fields: { ...attributes, ...momentaryFields },
})
