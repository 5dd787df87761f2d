/** Addresses, which are read here and never written: who holds them and who held them. And what a policy would do. */

import * as v from 'valibot'
import { previewPolicy } from '../address-space/preview-policy.ts'
import {
  type AddressQuery,
  listAddresses,
  showAddressHistory,
  showHistoryInShard,
} from '../address-space/show-addresses.ts'
import {
  addressHistorySchema,
  addressPolicySchema,
  addressSchema,
  policyPreviewSchema,
} from '../contract/address-space.ts'
import { idSchema, ipv4Schema, pageSchema } from '../contract/common.ts'
import { succeed } from '../contract/problem.ts'
import type { ControllerContext } from '../services.ts'
import { commonProblems, limitParameter, textParameter } from './noun-routes.ts'
import { defineRoute, type Route } from './route.ts'

type RouteContext = Pick<ControllerContext, 'store' | 'now'>

export const createAddressRoutes = (context: RouteContext): readonly Route[] => [
  createListRoute(context),
  ...createHistoryRoutes(context),
  createPreviewRoute(context),
]

const common = { tag: 'address', access: 'bearer' } as const

function createListRoute(context: RouteContext): Route {
  return defineRoute(
    {
      ...common,
      method: 'GET',
      path: '/v1/addresses',
      operationId: 'listAddresses',
      summary: 'List addresses that are held',
      description: 'In the order of ids, in pages: `next` is given as `after` for the page that follows.',
      query: v.strictObject({
        projectId: textParameter,
        networkId: textParameter,
        shardId: textParameter,
        ownerId: textParameter,
        address: textParameter,
        name: textParameter,
        status: textParameter,
        after: textParameter,
        limit: limitParameter,
      }),
      answers: [{ status: 200, description: 'A page', schema: pageSchema(addressSchema) }],
      problems: commonProblems,
    },
    async ({ query, request }) =>
      succeed({ status: 200, body: await listAddresses(context, query as AddressQuery, request) }),
  )
}

function createHistoryRoutes(context: RouteContext): readonly Route[] {
  const shared = {
    ...common,
    method: 'GET',
    answers: [{ status: 200, description: 'Its holders', schema: addressHistorySchema }],
    problems: [...commonProblems, 'not-found'],
  } as const
  return [
    defineRoute(
      {
        ...shared,
        path: '/v1/addresses/{id}/history',
        operationId: 'showAddressHistory',
        summary: 'Show who held an address',
        description: 'The last holders, oldest first; also when nobody holds it now.',
        parameters: { id: idSchema('adr') },
      },
      async ({ parameters: { id = '' }, request }) => {
        const history = await showAddressHistory(context, id, request)
        return history.ok ? succeed({ status: 200, body: history.value }) : history
      },
    ),
    defineRoute(
      {
        ...shared,
        path: '/v1/shards/{id}/addresses/{address}/history',
        operationId: 'showAddressHistoryInShard',
        summary: 'Show who held an address of a shard',
        description: 'The last holders, oldest first; none when nobody ever did.',
        parameters: { id: idSchema('shd'), address: ipv4Schema },
      },
      async ({ parameters: { id = '', address = '' }, request }) => {
        const history = await showHistoryInShard(context, { shardId: id, address }, request)
        return history.ok ? succeed({ status: 200, body: history.value }) : history
      },
    ),
  ]
}

function createPreviewRoute(context: RouteContext): Route {
  return defineRoute(
    {
      method: 'POST',
      path: '/v1/networks/{id}/preview-policy',
      operationId: 'previewAddressPolicy',
      tag: 'network',
      access: 'bearer',
      summary: 'Show what an address policy would do now',
      description:
        "As if it were the network's; what it leaves out is as the project's says. Nothing is changed: update the network to have it so.",
      parameters: { id: idSchema('net') },
      body: addressPolicySchema,
      answers: [{ status: 200, description: 'What it would do', schema: policyPreviewSchema }],
      problems: [...commonProblems, 'malformed', 'payload-too-large', 'not-found'],
    },
    async ({ parameters: { id = '' }, body, request }) => {
      const preview = await previewPolicy(context, id, body, request)
      return preview.ok ? succeed({ status: 200, body: preview.value }) : preview
    },
  )
}
