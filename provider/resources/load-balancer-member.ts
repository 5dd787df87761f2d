/** `sluice_load_balancer_member`: a member that is managed on its own, of a balancer that leaves its members out. */

import * as v from 'valibot'
import { pageSchema } from '../../controller/contract/common.ts'
import {
  type LoadBalancer,
  loadBalancerSchema,
  memberSchema,
  memberStatuses,
} from '../../controller/contract/load-balancer.ts'
import type { Client } from '../api/client.ts'
import { createObject, deleteObject, findObject, updateObject } from '../api/client.ts'
import { type CallContext, defineSchema, exactlyOneOf, list, object, ProviderError, string } from '../plugin/index.ts'
import { anId, asComputed, hostTimeouts } from './attributes.ts'
import { defineDataSource, defineResource, refuseImport } from './define.ts'
import { describeGiven, type GivenMember, memberBody, memberFields, memberTargets } from './members.ts'

const balancersPath = '/v1/load-balancers'
const balancerPath = (id: string) => `${balancersPath}/${id}`
const pathOf = ({ loadBalancerId, id }: MemberKey) => `${balancerPath(loadBalancerId)}/members/${id}`

const loadBalancerId = {
  required: true,
  validators: [anId('lb')],
} as const

const attributes = {
  id: string({
    computed: true,
    useStateForUnknown: true,
    description: 'The id of the member, within its load balancer.',
  }),
  loadBalancerId: string({
    ...loadBalancerId,
    requiresReplace: true,
    description: 'The load balancer, which leaves its `members` out.',
  }),
  ...memberFields,
}

const schema = defineSchema({
  description:
    'A member of a load balancer that is managed on its own: by whoever runs the machine, for one. The load balancer leaves its `members` out then. It is drained when it goes.',
  attributes,
  blocks: { timeouts: hostTimeouts() },
  rules: [exactlyOneOf(...memberTargets)],
})

type Context = Pick<CallContext, 'signal' | 'log'> & { readonly client: Client }

interface MemberKey {
  readonly loadBalancerId: string
  readonly id: string
}

async function find(key: MemberKey, given: readonly GivenMember[], context: Context) {
  const balancer = await findObject(balancerPath(key.loadBalancerId), loadBalancerSchema, context)
  return describe(balancer, key, given, context)
}

/** In a refresh the balancer as it was shown for another of its members will do, where it has this one. */
async function refresh(state: MemberKey & GivenMember, context: Context) {
  const listed = { path: balancersPath, id: state.loadBalancerId, among: null }
  const balancer = await context.client.views.read(listed, loadBalancerSchema, context.signal)
  return describe(balancer, state, [state], context) ?? (await find(state, [state], context))
}

/** The member as it was given, which only its balancer's listeners tell. */
function describe(
  balancer: LoadBalancer | null,
  { loadBalancerId, id }: MemberKey,
  given: readonly GivenMember[],
  context: Context,
) {
  const key = { loadBalancerId, id }
  const member = balancer?.members.find((one) => one.id === id)
  if (balancer === null || member === undefined) return null
  context.client.creations.found(key.id)
  return { ...key, ...describeGiven(member, balancer.listeners, given) }
}

async function findAgain(key: MemberKey, given: GivenMember, context: Context) {
  const found = await find(key, [given], context)
  if (found !== null) return found
  throw new ProviderError('The member is gone', {
    detail: `The member ${key.id} of ${key.loadBalancerId} was removed by somebody else meanwhile. Apply again: it is added anew.`,
  })
}

export const loadBalancerMemberResource = defineResource({
  name: 'load_balancer_member',
  schema,
  async create({ desired }, context) {
    const { loadBalancerId } = desired
    const path = `${balancerPath(loadBalancerId)}/members`
    const made = await createObject({ path, body: memberBody(desired), schema: memberSchema }, context)
    const key = { loadBalancerId, id: made.id }
    context.keep({ ...desired, ...key })
    await updateObject(pathOf(key), {}, memberSchema, context)
    return findAgain(key, desired, context)
  },
  read: ({ state }, context) => refresh(state, context),
  async update({ prior, desired }, context) {
    const { address, port, weight, draining } = desired
    const body = { weight, draining, ...(address !== null && { address }), ...(port !== null && { port }) }
    await updateObject(pathOf(prior), body, memberSchema, context)
    const key = { loadBalancerId: prior.loadBalancerId, id: prior.id }
    return findAgain(key, desired, context)
  },
  delete: ({ state }, context) => deleteObject(pathOf(state), v.unknown(), context),
  importState({ id: given }, context) {
    const [balancer, member, ...rest] = given.split('/')
    if (!balancer?.startsWith('lb_') || !member?.startsWith('mbr_') || rest.length > 0) {
      throw refuseImport(given, 'the ids of the load balancer and the member: lb_…/mbr_…')
    }
    return find({ loadBalancerId: balancer, id: member }, [], context)
  },
  /** A member is changed where it stays what it was given by; a port that is left out again, and another machine or URL, are another member. */
  modifyPlan({ prior, planned }) {
    if (prior === null || planned === null) return undefined
    const changed = (['host', 'url', 'machineId'] as const).filter((name) => planned[name] !== prior[name])
    const isOtherKind = (planned.address === null) !== (prior.address === null)
    const isPortLeftOut = prior.port !== null && planned.port === null
    const names = [...changed, ...(isOtherKind ? ['address'] : []), ...(isPortLeftOut ? ['port'] : [])]
    return names.length === 0 ? undefined : { requiresReplace: names.map((name) => [name]) }
  },
})

const shown = {
  ...asComputed(memberFields),
  id: string({ computed: true, description: 'The id of the member.' }),
  status: string({
    computed: true,
    description: 'How it is: `healthy`, `unhealthy`, `unresolved`, `draining`, `drained` or `unknown`.',
  }),
}

const memberSource = defineDataSource({
  name: 'load_balancer_member',
  schema: defineSchema({
    description: 'A member of a load balancer: where its traffic goes, and how it is.',
    attributes: {
      ...shown,
      loadBalancerId: string({ ...loadBalancerId, description: 'The load balancer.' }),
      id: string({ required: true, description: 'The id of the member.' }),
    },
  }),
  async read({ config }, context) {
    const { loadBalancerId, id } = config as MemberKey
    const found = await findObject(pathOf({ loadBalancerId, id }), memberSchema, context)
    if (found !== null) return { ...found, loadBalancerId }
    throw new ProviderError('There is no such member', {
      detail: `The load balancer ${loadBalancerId} has no member ${id}.`,
      path: ['id'],
    })
  },
})

const membersSource = defineDataSource({
  name: 'load_balancer_members',
  schema: defineSchema({
    description: 'The members of a load balancer, each with where its traffic goes and how it is.',
    attributes: {
      loadBalancerId: string({ ...loadBalancerId, description: 'The load balancer.' }),
      status: string({
        optional: true,
        oneOf: memberStatuses,
        description: 'Only members of this health.',
      }),
      items: list(object(shown), { computed: true, description: 'The members.' }),
      ids: list(string(), { computed: true, description: 'Their ids, in the same order.' }),
    },
  }),
  async read({ config }, { client, signal }) {
    const { loadBalancerId, status } = config
    // All of them are one page.
    const request = { method: 'GET', path: `${balancerPath(loadBalancerId)}/members` } as const
    const { body } = await client.api.call(request, pageSchema(memberSchema), signal)
    const items = body.items.filter((member) => status === null || member.status === status)
    return { loadBalancerId, status, items, ids: items.map(({ id }) => id) }
  },
})

export const loadBalancerMemberDataSources = [memberSource, membersSource]
