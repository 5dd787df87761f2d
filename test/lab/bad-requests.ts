/** Every malformed or impossible request that is tried, with the problem that it must be refused by. Pure. */

import { badSpaceRequests } from './bad-space-requests.ts'
import { badTraffic } from './bad-traffic-requests.ts'

/** What is there already. A request names it by its role, as `$projectId`. */
export interface GroundIds {
  readonly projectId: string
  readonly otherId: string
  readonly networkId: string
  readonly poolId: string
  readonly shardId: string
  readonly machineId: string
  readonly balancerId: string
}

export interface BadRequest {
  readonly what: string
  readonly method: string
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly token?: string
  readonly status: number
  readonly code: string
  readonly field: string | null
}

export const goodBalancer = ({ projectId, networkId }: Pick<GroundIds, 'projectId' | 'networkId'>) => ({
  name: 'web',
  projectId,
  networkId,
  trafficType: 'http',
  listeners: [{ port: 80 }],
  members: [{ address: '10.9.0.2' }],
})

/** A project whose quota of machines is used up, and another with nothing in it; `create` answers with the id. */
export async function declareGround(create: (noun: string, body: object) => Promise<string>): Promise<GroundIds> {
  const projectId = await create('projects', { name: 'ground', user: 'john', quota: { machines: 1 } })
  const otherId = await create('projects', { name: 'other', user: 'john' })
  const networkId = await create('networks', { name: 'web', projectId })
  const poolId = await create('pools', { name: 'web', projectId, cidr: '10.9.0.0/20' })
  const shardId = await create('shards', { name: 'web', poolId, networkId, cidr: '10.9.0.0/28' })
  const machineId = await create('machines', { name: 'web-1', projectId, networkId, address: '10.9.0.2' })
  const balancerId = await create('load-balancers', { ...goodBalancer({ projectId, networkId }), instanceCount: 1 })
  return { projectId, otherId, networkId, poolId, shardId, machineId, balancerId }
}

/** Puts the ids of what is there in the place of their roles. */
export const fillRoles = (ids: GroundIds, text: string) =>
  Object.entries(ids).reduce((filled, [role, id]) => filled.replaceAll(`$${role}`, id), text)

const post = (noun: string, what: string, body: unknown, [status, code, field]: Expected): BadRequest => ({
  what,
  method: 'POST',
  path: `/v1/${noun}`,
  body,
  status,
  code,
  field,
})
type Expected = readonly [status: number, code: string, field: string | null]

const balancer = (what: string, changed: object, expected: Expected) =>
  post(
    'load-balancers',
    what,
    { ...goodBalancer({ projectId: '$projectId', networkId: '$networkId' }), name: 'bad', ...changed },
    expected,
  )
const machine = (what: string, changed: object, expected: Expected) =>
  post('machines', what, { name: 'bad', projectId: '$projectId', networkId: '$networkId', ...changed }, expected)
const pool = (what: string, changed: object, expected: Expected) =>
  post('pools', what, { name: 'bad', projectId: '$projectId', cidr: '10.10.0.0/20', ...changed }, expected)
const shard = (what: string, changed: object, expected: Expected) =>
  post('shards', what, { poolId: '$poolId', ...changed }, expected)

const unknownId = (prefix: string) => `${prefix}_${'0'.repeat(25)}`

export const badRequests: readonly BadRequest[] = [
  post('projects', 'text that is no JSON', '{"name": ', [400, 'malformed', 'body']),
  post('projects', 'no body', undefined, [400, 'malformed', 'body']),
  post('projects', 'a list instead of an object', [], [422, 'invalid', 'body']),
  post('projects', 'a number for a name', { name: 7, user: 'john' }, [422, 'invalid', 'name']),
  post('projects', 'an empty name', { name: ' ', user: 'john' }, [422, 'invalid', 'name']),
  post('projects', 'no user', { name: 'bad' }, [422, 'invalid', 'user']),
  post('projects', 'an unknown field', { name: 'bad', user: 'john', colour: 'red' }, [422, 'invalid', 'colour']),
  post('projects', 'a name that is taken', { name: 'ground', user: 'john' }, [409, 'name-taken', 'name']),
  post('projects', 'a quota below zero', { name: 'bad', user: 'john', quota: { machines: -1 } }, [
    422,
    'invalid',
    'quota.machines',
  ]),
  post('networks', 'an MTU of 100', { name: 'bad', projectId: '$projectId', mtu: 100 }, [422, 'invalid', 'mtu']),
  post('networks', 'an unknown project', { name: 'bad', projectId: unknownId('prj') }, [422, 'invalid', 'projectId']),
  post('networks', 'an id of another kind', { name: 'bad', projectId: unknownId('net') }, [
    422,
    'invalid',
    'projectId',
  ]),
  pool('a CIDR that overlaps within the project', { cidr: '10.9.8.0/21' }, [409, 'overlap', 'cidr']),
  pool('a CIDR with host bits', { cidr: '10.10.0.1/20' }, [422, 'invalid', 'cidr']),
  pool('a CIDR that is none', { cidr: '10.10.0.0' }, [422, 'invalid', 'cidr']),
  pool('an octet of 300', { cidr: '10.300.0.0/20' }, [422, 'invalid', 'cidr']),
  pool("a CIDR that overlaps the rack's uplink", { cidr: '198.18.32.0/24' }, [422, 'invalid', 'cidr']),
  shard('a size outside /28 to /20: /29', { cidr: '10.9.4.0/29' }, [422, 'invalid', 'cidr']),
  shard('a size outside /28 to /20: /19', { cidr: '10.9.0.0/19' }, [422, 'invalid', 'cidr']),
  shard('a size that is no power of two', { sizeAddresses: 100 }, [422, 'invalid', 'sizeAddresses']),
  shard('a block that another shard has', { cidr: '10.9.0.0/28' }, [409, 'overlap', 'cidr']),
  shard('a block outside its pool', { cidr: '10.11.0.0/24' }, [422, 'invalid', 'cidr']),
  shard('an unknown pool', { poolId: unknownId('pol') }, [422, 'invalid', 'poolId']),
  ...badSpaceRequests,
  machine('the quota passed', {}, [409, 'quota-exceeded', 'projectId']),
  machine('a name that is no DNS label', { name: 'Web_1' }, [422, 'invalid', 'name']),
  machine('an unknown network', { networkId: unknownId('net') }, [422, 'invalid', 'networkId']),
  machine('an unknown host', { hostId: unknownId('hst') }, [422, 'invalid', 'hostId']),
  machine('an unknown workload', { workloads: [{ kind: 'mail', port: 25 }] }, [422, 'invalid', 'workloads[0].kind']),
  machine("another project's network", { projectId: '$otherId' }, [422, 'invalid', 'networkId']),
  balancer('no members', { members: [] }, [422, 'invalid', 'members']),
  balancer('no listeners', { listeners: [] }, [422, 'invalid', 'listeners']),
  balancer('port 0', { listeners: [{ port: 0 }] }, [422, 'invalid', 'listeners[0].port']),
  balancer('port 65536', { listeners: [{ port: 65536 }] }, [422, 'invalid', 'listeners[0].port']),
  balancer('a port twice', { listeners: [{ port: 80 }, { port: 80 }] }, [422, 'invalid', 'listeners[1].port']),
  balancer(
    'a check whose timeout is longer than its interval',
    {
      healthCheck: { protocol: 'http', intervalSeconds: 2, timeoutSeconds: 3 },
    },
    [422, 'invalid', 'healthCheck.timeoutSeconds'],
  ),
  balancer('a check of an unknown protocol', { healthCheck: { protocol: 'icmp' } }, [
    422,
    'invalid',
    'healthCheck.protocol',
  ]),
  balancer('a member that is neither address, URL nor machine', { members: [{ port: 80 }] }, [
    422,
    'invalid',
    'members[0]',
  ]),
  balancer('a member that is two of them', { members: [{ address: '10.9.0.2', machineId: '$machineId' }] }, [
    422,
    'invalid',
    'members[0]',
  ]),
  balancer('a member that is no IPv4 address', { members: [{ address: '10.9.0.256' }] }, [
    422,
    'invalid',
    'members[0].address',
  ]),
  balancer('a member that is an unknown machine', { members: [{ machineId: unknownId('mch') }] }, [
    422,
    'invalid',
    'members[0].machineId',
  ]),
  balancer('an unknown traffic type', { trafficType: 'udp' }, [422, 'invalid', 'trafficType']),
  balancer('nine instances', { instanceCount: 9 }, [422, 'invalid', 'instanceCount']),
  balancer('scaling from more to less', { autoScaling: { minimum: 4, maximum: 2, targets: { cpuPercent: 50 } } }, [
    422,
    'invalid',
    'autoScaling.minimum',
  ]),
  balancer('scaling to nine instances', { autoScaling: { maximum: 9, targets: { cpuPercent: 50 } } }, [
    422,
    'invalid',
    'autoScaling.maximum',
  ]),
  balancer('scaling without a metric', { autoScaling: { targets: {} } }, [422, 'invalid', 'autoScaling.targets']),
  balancer('scaling by an unknown metric', { autoScaling: { targets: { moonPhase: 1 } } }, [
    422,
    'invalid',
    'autoScaling.targets.moonPhase',
  ]),
  balancer('scaling to a target of nothing', { autoScaling: { targets: { connections: 0 } } }, [
    422,
    'invalid',
    'autoScaling.targets.connections',
  ]),
  balancer('a step without a metric', { autoScaling: { steps: [{ over: 5, add: 1 }] } }, [
    422,
    'invalid',
    'autoScaling.steps[0].metric',
  ]),
  balancer(
    'a step that adds and removes',
    { autoScaling: { steps: [{ metric: 'connections', over: 5, remove: 1 }] } },
    [422, 'invalid', 'autoScaling.steps[0]'],
  ),
  balancer(
    'steps that cross',
    {
      autoScaling: {
        steps: [
          { metric: 'connections', over: 5, add: 1 },
          { metric: 'connections', under: 9, remove: 1 },
        ],
      },
    },
    [422, 'invalid', 'autoScaling.steps[1].under'],
  ),
  balancer(
    'schedules that contradict each other',
    {
      autoScaling: {
        schedules: [
          { from: '08:00', until: '18:00', minimum: 4 },
          { from: '12:00', until: '13:00', maximum: 3 },
        ],
      },
    },
    [422, 'invalid', 'autoScaling.schedules[0]'],
  ),
  balancer('a schedule at no time', { autoScaling: { schedules: [{ from: '25:00', until: '06:00', minimum: 2 }] } }, [
    422,
    'invalid',
    'autoScaling.schedules[0].from',
  ]),
  balancer(
    'more instances than scaling allows',
    { instanceCount: 5, autoScaling: { maximum: 3, targets: { cpuPercent: 50 } } },
    [422, 'invalid', 'instanceCount'],
  ),
  ...badTraffic.map(([what, changed, field]) => balancer(what, changed, [422, 'invalid', field])),
  balancer('a name that is taken', { name: 'web' }, [409, 'name-taken', 'name']),
  balancer('an unknown project', { projectId: unknownId('prj') }, [422, 'invalid', 'projectId']),
  {
    what: 'a stale If-Match',
    method: 'PATCH',
    path: '/v1/networks/$networkId',
    body: { name: 'bad' },
    headers: { 'if-match': '"99"' },
    status: 412,
    code: 'precondition-failed',
    field: 'If-Match',
  },
  {
    what: 'an If-Match that is no ETag',
    method: 'PATCH',
    path: '/v1/networks/$networkId',
    body: { name: 'bad' },
    headers: { 'if-match': 'yesterday' },
    status: 422,
    code: 'invalid',
    field: 'If-Match',
  },
  {
    what: 'the deletion of a project in use',
    method: 'DELETE',
    path: '/v1/projects/$projectId',
    status: 409,
    code: 'in-use',
    field: 'id',
  },
  {
    what: 'the deletion of a network in use',
    method: 'DELETE',
    path: '/v1/networks/$networkId',
    status: 409,
    code: 'in-use',
    field: 'id',
  },
  {
    what: 'the deletion of a pool in use',
    method: 'DELETE',
    path: '/v1/pools/$poolId',
    status: 409,
    code: 'in-use',
    field: 'id',
  },
  {
    what: 'the deletion of a shard in use',
    method: 'DELETE',
    path: '/v1/shards/$shardId',
    status: 409,
    code: 'in-use',
    field: 'id',
  },
  {
    what: 'the deallocation of a shard in use whose holders have nowhere to go',
    method: 'DELETE',
    path: '/v1/networks/$networkId/shards/$shardId',
    status: 409,
    code: 'no-space',
    field: 'id',
  },
  {
    what: 'an update of an unknown field',
    method: 'PATCH',
    path: '/v1/load-balancers/$balancerId',
    body: { vips: [] },
    status: 422,
    code: 'invalid',
    field: 'vips',
  },
  {
    what: 'an update to no members',
    method: 'PATCH',
    path: '/v1/load-balancers/$balancerId',
    body: { members: [] },
    status: 422,
    code: 'invalid',
    field: 'members',
  },
  {
    what: 'an unknown load balancer',
    method: 'GET',
    path: `/v1/load-balancers/${unknownId('lb')}`,
    status: 404,
    code: 'not-found',
    field: null,
  },
  {
    what: 'an unknown member',
    method: 'DELETE',
    path: '/v1/load-balancers/$balancerId/members/none',
    status: 404,
    code: 'not-found',
    field: null,
  },
  {
    what: 'an unknown query parameter',
    method: 'GET',
    path: '/v1/networks?colour=red',
    status: 422,
    code: 'invalid',
    field: 'colour',
  },
  {
    what: 'a wait that is no time',
    method: 'POST',
    path: '/v1/networks?wait=true&timeout=soon',
    body: { name: 'bad', projectId: '$projectId' },
    status: 422,
    code: 'invalid',
    field: 'timeout',
  },
  { what: 'an unknown path', method: 'GET', path: '/v1/cats', status: 404, code: 'not-found', field: null },
  {
    what: 'a method that is not there',
    method: 'DELETE',
    path: '/v1/networks',
    status: 405,
    code: 'method-not-allowed',
    field: null,
  },
  {
    what: 'an unknown token',
    method: 'GET',
    path: '/v1/networks',
    token: 'slt_none',
    status: 401,
    code: 'unauthenticated',
    field: 'Authorization',
  },
]
