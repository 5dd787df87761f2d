/** The nouns of the API, each in one place: its words, schemas, service and kind. */

import * as space from '../contract/address-space.ts'
import { idSchema } from '../contract/common.ts'
import * as balancing from '../contract/load-balancer.ts'
import * as machines from '../contract/machine.ts'
import * as projects from '../contract/project.ts'
import {
  hostKind,
  loadBalancerKind,
  loadBalancerStatusKind,
  machineKind,
  machineStatusKind,
  networkKind,
  poolKind,
  projectKind,
  shardKind,
  tokenKind,
} from '../objects.ts'
import type { ControllerContext, Services } from '../services.ts'
import { createNounRoutes } from './noun-routes.ts'
import type { Route } from './route.ts'

const projectIdOf = ({ value }: { readonly value: { readonly projectId: string | null } }) => value.projectId
const bearer = { access: 'bearer', statusKind: null } as const

export function createAllNounRoutes(context: Pick<ControllerContext, 'store'>, services: Services): readonly Route[] {
  const shards = describeShards(services)
  return [
    ...createNounRoutes(context, describeProjects(services)),
    ...createNounRoutes(context, describeTokens(services)),
    ...createNounRoutes(context, describePools(services)),
    ...createNounRoutes(context, shards),
    ...createNounRoutes(context, shards, ''),
    ...createNounRoutes(context, describeNetworks(services)),
    ...createNounRoutes(context, describeMachines(services)),
    ...createNounRoutes(context, describeLoadBalancers(services)),
    ...createNounRoutes(context, describeHosts(services)),
  ]
}

const describeProjects = (services: Services) =>
  ({
    ...bearer,
    name: 'project',
    path: 'projects',
    typeName: 'Project',
    idSchema: idSchema('prj'),
    service: services.projects,
    kind: projectKind,
    projectIdOf: ({ id }: { readonly id: string }) => id,
    create: projects.projectCreateSchema,
    update: projects.projectUpdateSchema,
    view: projects.projectSchema,
    filters: [],
    isAllInVersion: true,
    createProblems: ['forbidden'],
    removeProblems: ['forbidden'],
  }) as const

const describeTokens = (services: Services) =>
  ({
    ...bearer,
    name: 'token',
    path: 'tokens',
    typeName: 'Token',
    idSchema: idSchema('tok'),
    service: services.tokens,
    kind: tokenKind,
    projectIdOf,
    create: projects.tokenCreateSchema,
    update: null,
    view: projects.tokenSchema,
    created: projects.tokenCreatedSchema,
    isCreatedWithSecret: true,
    filters: ['projectId'],
    isAllInVersion: true,
    hidden: ['secretHash'],
    createProblems: ['forbidden'],
    removeProblems: [],
  }) as const

const describePools = (services: Services) =>
  ({
    ...bearer,
    name: 'pool',
    path: 'pools',
    typeName: 'Pool',
    idSchema: idSchema('pol'),
    service: services.pools,
    kind: poolKind,
    projectIdOf,
    create: space.poolCreateSchema,
    update: space.poolUpdateSchema,
    view: space.poolSchema,
    filters: ['projectId'],
    createProblems: ['quota-exceeded', 'overlap'],
    removeProblems: [],
  }) as const

const describeShards = (services: Services) =>
  ({
    ...bearer,
    name: 'shard',
    path: 'shards',
    typeName: 'Shard',
    idSchema: idSchema('shd'),
    service: services.shards,
    kind: shardKind,
    projectIdOf,
    create: space.shardCreateSchema,
    update: space.shardUpdateSchema,
    view: space.shardSchema,
    statuses: space.shardStatuses,
    filters: ['projectId', 'networkId', 'poolId'],
    createProblems: ['quota-exceeded', 'overlap', 'no-space'],
    removeProblems: [],
  }) as const

const describeNetworks = (services: Services) =>
  ({
    ...bearer,
    name: 'network',
    path: 'networks',
    typeName: 'Network',
    idSchema: idSchema('net'),
    service: services.networks,
    kind: networkKind,
    projectIdOf,
    create: space.networkCreateSchema,
    update: space.networkUpdateSchema,
    view: space.networkSchema,
    filters: ['projectId'],
    createProblems: ['quota-exceeded'],
    removeProblems: [],
  }) as const

const describeMachines = (services: Services) =>
  ({
    ...bearer,
    name: 'machine',
    path: 'machines',
    typeName: 'Machine',
    idSchema: idSchema('mch'),
    service: services.machines,
    kind: machineKind,
    statusKind: machineStatusKind,
    projectIdOf,
    create: machines.machineCreateSchema,
    update: machines.machineUpdateSchema,
    view: machines.machineSchema,
    filters: ['projectId', 'networkId'],
    createProblems: ['quota-exceeded', 'no-space', 'no-host', 'conflict'],
    removeProblems: [],
  }) as const

const describeLoadBalancers = (services: Services) =>
  ({
    ...bearer,
    name: 'load balancer',
    path: 'load-balancers',
    typeName: 'LoadBalancer',
    idSchema: idSchema('lb'),
    service: services.loadBalancers,
    kind: loadBalancerKind,
    statusKind: loadBalancerStatusKind,
    projectIdOf,
    create: balancing.loadBalancerCreateSchema,
    update: balancing.loadBalancerUpdateSchema,
    view: balancing.loadBalancerSchema,
    filters: ['projectId', 'networkId'],
    createProblems: ['quota-exceeded', 'no-space', 'no-host'],
    removeProblems: [],
  }) as const

const describeHosts = (services: Services) =>
  ({
    ...bearer,
    access: 'admin',
    name: 'host',
    path: 'hosts',
    typeName: 'Host',
    idSchema: idSchema('hst'),
    service: services.hosts,
    kind: hostKind,
    projectIdOf: () => null,
    create: machines.hostCreateSchema,
    update: machines.hostUpdateSchema,
    view: machines.hostSchema,
    created: machines.hostCreatedSchema,
    isCreatedWithSecret: true,
    filters: [],
    createProblems: ['forbidden', 'conflict'],
    removeProblems: ['forbidden'],
  }) as const
