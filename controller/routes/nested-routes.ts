/** What lies under a noun: a shard of a network, a balancer's members, a host's joining. */

import * as v from 'valibot'
import { joinAnswerSchema, joinRequestSchema } from '../../agent/contract/enrolment.ts'
import { shardSchema } from '../contract/address-space.ts'
import { idSchema, labelSchema, pageSchema } from '../contract/common.ts'
import { memberCreateSchema, memberSchema, memberUpdateSchema } from '../contract/load-balancer.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import { scalingSchema } from '../contract/scaling.ts'
import { loadBalancerKind, loadBalancerStatusKind } from '../objects.ts'
import type { Services } from '../services.ts'
import { commonProblems, waitEntries } from './parameters.ts'
import { type Answer, defineRoute, type Route, type Settling } from './route.ts'

const waitQuery = v.strictObject(waitEntries)
const bodyProblems = ['malformed', 'payload-too-large'] as const
const changeProblems = ['not-found', 'precondition-failed', 'idempotency-key-reused', 'timeout'] as const

export function createNestedRoutes(services: Services): readonly Route[] {
  return [
    createAttachmentRoute(services, '/v1'),
    createAttachmentRoute(services, ''),
    createScalingRoute(services),
    ...createMemberReadRoutes(services),
    ...createMemberChangeRoutes(services),
    createJoinRoute(services),
  ]
}

/** A network takes a shard. */
function createAttachmentRoute({ shards }: Services, prefix: string): Route {
  return defineRoute(
    {
      method: 'POST',
      path: `${prefix}/networks/{networkId}/shards/{shardId}`,
      operationId: `allocateShard${prefix === '/v1' ? '' : 'WithoutVersion'}`,
      tag: 'shard',
      access: 'bearer',
      summary: 'Allocate a shard to a network',
      description: 'Its addresses can be given to machines and instances of the network from then on.',
      parameters: { networkId: idSchema('net'), shardId: idSchema('shd') },
      takesIfMatch: true,
      takesIdempotencyKey: true,
      answers: [{ status: 200, description: 'The shard', schema: shardSchema }],
      problems: [...commonProblems, ...changeProblems, 'in-use', 'conflict', 'overlap'],
    },
    async ({ parameters: { networkId = '', shardId = '' }, request }) => {
      const shard = await shards.allocate(networkId, shardId, request)
      if (!shard.ok) return shard
      return succeed({ status: 200, body: shard.value, version: shard.value.version })
    },
  )
}

const memberCommon = { tag: 'load balancer', access: 'bearer' } as const
const membersPath = '/v1/load-balancers/{id}/members'
const memberPath = `${membersPath}/{memberId}`
const balancerParameter = { id: idSchema('lb') }
/** A member's id is made by its balancer and told from others there: any word that is none of them is not found. */
const memberParameters = { ...balancerParameter, memberId: v.pipe(v.string(), v.maxLength(64)) }

function createScalingRoute({ loadBalancers }: Services): Route {
  return defineRoute(
    {
      method: 'GET',
      path: '/v1/load-balancers/{id}/scaling',
      operationId: 'showScaling',
      tag: 'load balancer',
      access: 'bearer',
      summary: 'Tell why a load balancer has as many instances as it has',
      description: 'What would be decided now with its reasons and figures, and what was decided last.',
      parameters: balancerParameter,
      answers: [{ status: 200, description: 'What scaling decides, and why', schema: scalingSchema }],
      problems: [...commonProblems, 'not-found'],
    },
    async ({ parameters: { id = '' }, request }) => {
      const scaling = await loadBalancers.showScaling(id, request)
      return scaling.ok ? succeed({ status: 200, body: scaling.value }) : scaling
    },
  )
}

function createMemberReadRoutes({ loadBalancers }: Services): readonly Route[] {
  return [
    defineRoute(
      {
        ...memberCommon,
        method: 'GET',
        path: membersPath,
        operationId: 'listMembers',
        summary: 'List the members of a load balancer',
        parameters: balancerParameter,
        answers: [{ status: 200, description: 'All members, with their health', schema: pageSchema(memberSchema) }],
        problems: [...commonProblems, 'not-found'],
      },
      async ({ parameters: { id = '' }, request }) => {
        const page = await loadBalancers.listMembers(id, request)
        return page.ok ? succeed({ status: 200, body: page.value }) : page
      },
    ),
    defineRoute(
      {
        ...memberCommon,
        method: 'GET',
        path: memberPath,
        operationId: 'showMember',
        summary: 'Show a member',
        parameters: memberParameters,
        answers: [{ status: 200, description: 'The member', schema: memberSchema }],
        problems: [...commonProblems, 'not-found'],
      },
      async ({ parameters: { id = '', memberId = '' }, request }) => {
        const member = await loadBalancers.showMember(id, memberId, request)
        return member.ok ? succeed({ status: 200, body: member.value }) : member
      },
    ),
  ]
}

function createMemberChangeRoutes({ loadBalancers }: Services): readonly Route[] {
  const common = { ...memberCommon, query: waitQuery, takesIfMatch: true, takesIdempotencyKey: true } as const
  const problems = [...commonProblems, ...changeProblems, 'conflict'] as const
  return [
    defineRoute(
      {
        ...common,
        method: 'POST',
        path: membersPath,
        operationId: 'addMember',
        summary: 'Add a member',
        description:
          'Traffic goes to it as soon as its health check passes. If-Match names the version of the balancer.',
        parameters: balancerParameter,
        body: memberCreateSchema,
        answers: [{ status: 201, description: 'The member', schema: memberSchema }],
        problems: [...problems, ...bodyProblems],
      },
      async ({ parameters: { id = '' }, body, request }) => {
        const added = await loadBalancers.addMember(id, body, request)
        if (!added.ok) return added
        const memberId = added.value.id
        const describe = (member: typeof added.value): Answer => ({
          status: 201,
          body: member,
          headers: { location: `/v1/load-balancers/${id}/members/${memberId}` },
        })
        const settles = settleBalancer(id, async () => {
          const member = await loadBalancers.showMember(id, memberId, request)
          return member.ok ? succeed(describe(member.value)) : member
        })
        return succeed({ ...describe(added.value), settles })
      },
    ),
    defineRoute(
      {
        ...common,
        method: 'PATCH',
        path: memberPath,
        operationId: 'updateMember',
        summary: 'Update a member',
        description: 'At a new address the old one is drained. If-Match names the version of the balancer.',
        parameters: memberParameters,
        body: memberUpdateSchema,
        answers: [{ status: 200, description: 'The member', schema: memberSchema }],
        problems: [...problems, ...bodyProblems],
      },
      async ({ parameters: { id = '', memberId = '' }, body, request }) => {
        const updated = await loadBalancers.updateMember(id, memberId, body, request)
        if (!updated.ok) return updated
        const settles = settleBalancer(id, async () => {
          const member = await loadBalancers.showMember(id, memberId, request)
          return member.ok ? succeed({ status: 200, body: member.value }) : member
        })
        return succeed({ status: 200, body: updated.value, settles })
      },
    ),
    defineRoute(
      {
        ...common,
        method: 'DELETE',
        path: memberPath,
        operationId: 'removeMember',
        summary: 'Remove a member',
        description: 'It is drained first. If-Match names the version of the balancer.',
        parameters: memberParameters,
        answers: [{ status: 204, description: 'No new request goes to it' }],
        problems: [...problems, 'in-use'],
      },
      async ({ parameters: { id = '', memberId = '' }, request }) => {
        const removed = await loadBalancers.removeMember(id, memberId, request)
        if (!removed.ok) return removed
        return succeed({ status: 204, settles: settleBalancer(id, async () => succeed({ status: 204 })) })
      },
    ),
  ]
}

const settleBalancer = (id: string, answer: () => Promise<Outcome<Answer>>): Settling => ({
  kind: loadBalancerKind,
  id,
  until: 'active',
  statusKind: loadBalancerStatusKind,
  answer,
})

function createJoinRoute({ hosts }: Services): Route {
  return defineRoute(
    {
      method: 'POST',
      path: '/v1/hosts/{name}/join',
      operationId: 'joinHost',
      tag: 'host',
      summary: 'Join a host',
      description:
        'Called by `sluice-agent join` with a join token; the proof stands for the caller, no bearer is needed.',
      access: 'open',
      parameters: { name: labelSchema },
      body: joinRequestSchema,
      answers: [{ status: 200, description: 'What the agent needs to reach the bus', schema: joinAnswerSchema }],
      problems: [
        'invalid',
        'malformed',
        'payload-too-large',
        'unauthenticated',
        'not-found',
        'unavailable',
        'internal',
      ],
    },
    async ({ parameters: { name = '' }, body, request }) => {
      const joined = await hosts.join(name, body, request.traceparent)
      return joined.ok ? succeed({ status: 200, body: joined.value }) : joined
    },
  )
}
