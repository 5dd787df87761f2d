/**
 * Addresses: who holds them and who held them, and those that are taken and given back by hand. And what a policy of
 * address space would do.
 */

import * as v from 'valibot'
import { previewPolicy, previewProjectPolicy } from '../address-space/preview-policy.ts'
import {
  type AddressQuery,
  listAddresses,
  showAddress,
  showAddressHistory,
  showHistoryInShard,
} from '../address-space/show-addresses.ts'
import {
  addressAllocateSchema,
  addressesAllocatedSchema,
  addressHistorySchema,
  addressPolicySchema,
  addressSchema,
  policyPreviewSchema,
  projectPolicyPreviewSchema,
} from '../contract/address-space.ts'
import { anyAddressSchema, idSchema, pageSchema } from '../contract/common.ts'
import { succeed } from '../contract/problem.ts'
import type { StoredObject } from '../control-plane/store.ts'
import { type AddressValue, addressKind } from '../objects.ts'
import type { ControllerContext, Services } from '../services.ts'
import { commonProblems, limitParameter, textParameter } from './parameters.ts'
import { defineRoute, type Route } from './route.ts'
import { readKeptVersion, showEntries, shownOrKept } from './version-routes.ts'

type RouteContext = Pick<ControllerContext, 'store' | 'now'>

export const createAddressRoutes = (context: RouteContext, services: Pick<Services, 'addresses'>): readonly Route[] => [
  createListRoute(context),
  createShowRoute(context),
  createAllocateRoute(services),
  createReleaseRoute(services),
  ...createHistoryRoutes(context),
  createNetworkPreviewRoute(context),
  createProjectPreviewRoute(context),
]

const common = { tag: 'address', access: 'bearer' } as const
const versioned = {
  name: 'address',
  kind: addressKind,
  projectIdOf: ({ value }: StoredObject<AddressValue>) => value.projectId,
}

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

function createShowRoute(context: RouteContext): Route {
  return defineRoute(
    {
      ...common,
      method: 'GET',
      path: '/v1/addresses/{id}',
      operationId: 'showAddress',
      summary: 'Show an address that is held',
      description: 'With who holds it, and since when.',
      parameters: { id: idSchema('adr') },
      query: v.strictObject(showEntries),
      answers: [{ status: 200, description: 'The address, or a version of it', schema: shownOrKept(addressSchema) }],
      problems: [...commonProblems, 'not-found'],
    },
    async ({ parameters: { id = '' }, query: { version }, request }) => {
      if (version !== undefined) return readKeptVersion(context, versioned, { id, version }, request)
      const shown = await showAddress(context, id, request)
      return shown.ok ? succeed({ status: 200, body: shown.value, version: shown.value.version }) : shown
    },
  )
}

function createAllocateRoute({ addresses }: Pick<Services, 'addresses'>): Route {
  return defineRoute(
    {
      ...common,
      method: 'POST',
      path: '/v1/networks/{id}/addresses',
      operationId: 'allocateAddresses',
      summary: 'Allocate addresses of a network',
      description:
        'For what is on the network and not run by Sluice: machines and load balancers get theirs by themselves. ' +
        'All that are asked for are given, or none.',
      parameters: { id: idSchema('net') },
      body: addressAllocateSchema,
      takesIdempotencyKey: true,
      answers: [{ status: 201, description: 'The addresses', schema: addressesAllocatedSchema }],
      problems: [
        ...commonProblems,
        'malformed',
        'payload-too-large',
        'not-found',
        'no-space',
        'in-use',
        'conflict',
        'idempotency-key-reused',
      ],
    },
    async ({ parameters: { id = '' }, body, request }) => {
      const allocated = await addresses.allocate(id, body, request)
      return allocated.ok ? succeed({ status: 201, body: { items: allocated.value } }) : allocated
    },
  )
}

function createReleaseRoute({ addresses }: Pick<Services, 'addresses'>): Route {
  return defineRoute(
    {
      ...common,
      method: 'DELETE',
      path: '/v1/addresses/{id}',
      operationId: 'releaseAddress',
      summary: 'Release an address',
      description: 'One that was allocated by hand. Released twice it is released.',
      parameters: { id: idSchema('adr') },
      takesIdempotencyKey: true,
      answers: [{ status: 204, description: 'Nobody holds it' }],
      problems: [...commonProblems, 'not-found', 'in-use', 'idempotency-key-reused'],
    },
    async ({ parameters: { id = '' }, request }) => {
      const released = await addresses.release(id, request)
      return released.ok ? succeed({ status: 204 }) : released
    },
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
        parameters: { id: idSchema('shd'), address: anyAddressSchema },
      },
      async ({ parameters: { id = '', address = '' }, request }) => {
        const history = await showHistoryInShard(context, { shardId: id, address }, request)
        return history.ok ? succeed({ status: 200, body: history.value }) : history
      },
    ),
  ]
}

const previewProblems = [...commonProblems, 'malformed', 'payload-too-large', 'not-found'] as const

function createNetworkPreviewRoute(context: RouteContext): Route {
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
      problems: previewProblems,
    },
    async ({ parameters: { id = '' }, body, request }) => {
      const preview = await previewPolicy(context, id, body, request)
      return preview.ok ? succeed({ status: 200, body: preview.value }) : preview
    },
  )
}

function createProjectPreviewRoute(context: RouteContext): Route {
  return defineRoute(
    {
      method: 'POST',
      path: '/v1/projects/{id}/preview-policy',
      operationId: 'previewProjectAddressPolicy',
      tag: 'project',
      access: 'bearer',
      summary: "Show what a project's address policy would do now",
      description:
        "As if it were the project's, with each network's own over it. Nothing is changed: update the project to have it so.",
      parameters: { id: idSchema('prj') },
      body: addressPolicySchema,
      answers: [{ status: 200, description: 'What it would do in each network', schema: projectPolicyPreviewSchema }],
      problems: [...previewProblems, 'conflict'],
    },
    async ({ parameters: { id = '' }, body, request }) => {
      const preview = await previewProjectPolicy(context, id, body, request)
      return preview.ok ? succeed({ status: 200, body: preview.value }) : preview
    },
  )
}
