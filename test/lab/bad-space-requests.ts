/** Of the malformed and impossible requests those that are of address space: shards, migrations, policies, addresses. Pure. */

import type { BadRequest } from './bad-requests.ts'

type Expected = readonly [status: number, code: string, field: string | null]

const ask = (
  method: string,
  path: string,
  what: string,
  body: unknown,
  [status, code, field]: Expected,
): BadRequest => ({
  what,
  method,
  path: `/v1/${path}`,
  ...(body !== undefined && { body }),
  status,
  code,
  field,
})
const shard = (what: string, changed: object, expected: Expected) =>
  ask('POST', 'shards', what, { poolId: '$poolId', ...changed }, expected)
const migrate = (what: string, body: object, expected: Expected) =>
  ask('POST', 'shards/$shardId/migrate', what, body, expected)
const police = (what: string, addressPolicy: object, expected: Expected) =>
  ask('PATCH', 'networks/$networkId', what, { addressPolicy }, expected)
const defragment = (what: string, body: object, expected: Expected) =>
  ask('POST', 'pools/$poolId/defragment', what, body, expected)
const allocate = (what: string, body: object, expected: Expected) =>
  ask('POST', 'networks/$networkId/addresses', what, { holder: 'printer', ...body }, expected)

const none = (prefix: string) => `${prefix}_${'0'.repeat(25)}`
const invalid = (field: string): Expected => [422, 'invalid', field]
const notFound: Expected = [404, 'not-found', 'id']
const noSpace: Expected = [409, 'no-space', 'id']

export const badSpaceRequests: readonly BadRequest[] = [
  shard('a shard with host bits', { cidr: '10.9.1.8/24' }, invalid('cidr')),
  shard('a shard of two sizes', { cidr: '10.9.1.0/24', sizeAddresses: 16 }, invalid('sizeAddresses')),
  shard('a shard for an unknown network', { networkId: none('net') }, invalid('networkId')),
  shard('a shard larger than what is left of its pool', { sizeAddresses: 4096 }, [409, 'no-space', 'sizeAddresses']),
  ask('GET', `shards/${none('shd')}`, 'an unknown shard', undefined, notFound),
  ask('GET', 'shards?status=lost', 'shards of no status', undefined, invalid('status')),
  ask('PATCH', 'shards/$shardId', 'a shard reserved by a word', { reserved: 'yes' }, invalid('reserved')),
  ask('POST', `networks/$networkId/shards/${none('shd')}`, 'the allocation of an unknown shard', undefined, notFound),
  ask('POST', `networks/${none('net')}/shards/$shardId`, 'the allocation to an unknown network', undefined, notFound),
  ask(
    'DELETE',
    `networks/${none('net')}/shards/$shardId`,
    'the deallocation from an unknown network',
    undefined,
    notFound,
  ),
  migrate('a migration whose holders have nowhere to go', {}, noSpace),
  migrate('the plan of such a migration', { dryRun: true }, noSpace),
  migrate('a migration to the network that the shard is on', { toNetworkId: '$networkId' }, invalid('toNetworkId')),
  migrate('a migration to an unknown network', { toNetworkId: none('net') }, invalid('toNetworkId')),
  migrate('a migration to what is no network', { toNetworkId: '$shardId' }, invalid('toNetworkId')),
  migrate('a migration in a mode that is none', { mode: 'teleport' }, invalid('mode')),
  migrate('a migration of nobody at a time', { parallelism: 0 }, invalid('parallelism')),
  migrate('a migration of 65 at a time', { parallelism: 65 }, invalid('parallelism')),
  migrate('a drain of minus one second', { drainSeconds: -1 }, invalid('drainSeconds')),
  migrate('a drain of two hours', { drainSeconds: 7200 }, invalid('drainSeconds')),
  ask('POST', `shards/${none('shd')}/migrate`, 'the migration of an unknown shard', {}, notFound),
  ask('GET', `migrations/${none('mig')}`, 'an unknown migration', undefined, notFound),
  ask('POST', `migrations/${none('mig')}/rollback`, 'the rollback of an unknown migration', undefined, notFound),
  ask('GET', 'migrations?status=lost', 'migrations of no status', undefined, invalid('status')),
  police('a policy of an unknown pool', { poolIds: [none('pol')] }, invalid('addressPolicy.poolIds[0]')),
  police('a policy of a pool twice', { poolIds: ['$poolId', '$poolId'] }, invalid('addressPolicy.poolIds[1]')),
  police('a policy of no shards', { maximumShards: 0 }, invalid('addressPolicy.maximumShards')),
  police('a policy that grows at once', { growAtUtilization: 0.1 }, invalid('addressPolicy.growAtUtilization')),
  police('a policy of no order', { allocationOrder: 'any' }, invalid('addressPolicy.allocationOrder')),
  police('a policy of no mode', { migrationMode: 'any' }, invalid('addressPolicy.migrationMode')),
  police(
    'a reserved range that ends before it begins',
    { reservedRanges: [{ first: '10.9.0.9', last: '10.9.0.8' }] },
    invalid('addressPolicy.reservedRanges[0]'),
  ),
  police(
    'an address pinned for two machines',
    { pinnedAddresses: ['a', 'b'].map((machineName) => ({ address: '10.9.0.9', machineName })) },
    invalid('addressPolicy.pinnedAddresses[1].address'),
  ),
  police(
    'an address pinned outside the pools',
    { pinnedAddresses: [{ address: '10.11.0.9', machineName: 'a' }] },
    invalid('addressPolicy.pinnedAddresses[0].address'),
  ),
  ask('POST', `networks/${none('net')}/preview-policy`, 'the preview of an unknown network', {}, notFound),
  defragment('a block of 100 addresses', { sizeAddresses: 100 }, invalid('sizeAddresses')),
  defragment('a block of another size than its CIDR', { sizeAddresses: 16, cidr: '10.9.0.0/24' }, invalid('cidr')),
  defragment('a block outside the pool', { sizeAddresses: 16, cidr: '10.11.0.0/28' }, invalid('cidr')),
  ask('POST', `networks/${none('net')}/compact`, 'the compaction of an unknown network', {}, notFound),
  allocate('no addresses', { count: 0 }, invalid('count')),
  allocate('an address twice', { addresses: ['10.9.0.9', '10.9.0.9'] }, invalid('addresses')),
  allocate('two of one address', { count: 2, addresses: ['10.9.0.9'] }, invalid('count')),
  ask('DELETE', `addresses/${none('adr')}`, 'the release of an unknown address', undefined, notFound),
  ask(
    'GET',
    'shards/$shardId/addresses/10.11.0.1/history',
    'the history of an address of another block',
    undefined,
    invalid('address'),
  ),
]
