/** `sluice network policy` and `sluice project policy`: how address space is kept. */

import { Command } from 'commander'
import * as v from 'valibot'
import {
  type AddressPolicy,
  addressPolicySchema,
  type PolicyPreview,
  policyPreviewSchema,
  projectPolicyPreviewSchema,
} from '../../controller/contract/address-space.ts'
import type { Api } from '../api.ts'
import {
  type BodyField,
  buildBody,
  declareFields,
  number,
  type Options,
  type ParseContext,
  reference,
  text,
  wholeBodyOption,
} from '../body-fields.ts'
import { idOf, jsonOption } from '../noun.ts'
import { describeObject, indent, json } from '../output.ts'
import { references } from '../resolve.ts'

type Connect = () => Api

/** `10.0.0.10-10.0.0.20`, or one address. */
function range(value: string): { first: string; last: string } {
  const [first = '', last = first] = value.split('-')
  return { first: first.trim(), last: last.trim() }
}

/** `10.0.0.5=db-1`. */
function pin(value: string, { flag }: ParseContext): { address: string; machineName: string } {
  const [address = '', machineName] = value.split('=')
  if (machineName === undefined) throw new Error(`${flag} takes <address>=<machine>; "${value}" names no machine`)
  return { address, machineName }
}

const fields: readonly BodyField[] = [
  { flags: '--maximum-shards <number>', description: 'of the network', field: 'maximumShards', parse: number },
  {
    flags: '--pool <name|id>',
    description: 'where its shards may come from',
    field: 'poolIds',
    parse: reference('pool'),
    isList: true,
  },
  {
    flags: '--grow-at <share>',
    description: 'another shard from this utilization on, 0.5 to 1',
    field: 'growAtUtilization',
    parse: number,
  },
  { flags: '--grow-size <addresses>', description: 'of that shard', field: 'growSizeAddresses', parse: number },
  {
    flags: '--give-back-after <seconds>',
    description: 'shards that were empty for so long',
    field: 'giveBackAfterSeconds',
    parse: number,
  },
  { flags: '--order <order>', description: 'pack, spread, sequential, random', field: 'allocationOrder', parse: text },
  {
    flags: '--quarantine <seconds>',
    description: 'before an address is given again',
    field: 'quarantineSeconds',
    parse: number,
  },
  {
    flags: '--reserve <first-last>',
    description: 'addresses that are given only when chosen',
    field: 'reservedRanges',
    parse: range,
    isList: true,
  },
  {
    flags: '--pin <address=machine>',
    description: 'an address kept for a machine',
    field: 'pinnedAddresses',
    parse: pin,
    isList: true,
  },
  {
    flags: '--migration-mode <mode>',
    description: 'overlap or restart, where a migration does not say',
    field: 'migrationMode',
    parse: text,
  },
]

const policedSchema = v.object({
  version: v.number(),
  projectId: v.nullable(v.string()),
  addressPolicy: addressPolicySchema,
  effectiveAddressPolicy: v.optional(addressPolicySchema),
})
type Policed = v.InferOutput<typeof policedSchema>

export function policyCommand(connect: Connect, noun: 'network' | 'project'): Command {
  const command = wholeBodyOption(jsonOption(new Command('policy'))).argument('<name|id>')
  command.description('show how its address space is kept, or change what is given and leave the rest')
  command.option('--reset', 'begin with none: what is not given is forgotten', false)
  command.option('--dry-run', 'only show what it would do now', false)
  if (noun === 'network') command.option('--project <name|id>', 'whose it is')
  declareFields(command, fields)
  return command.action(async (nameOrId: string, options: Options) => {
    const api = connect()
    const id = await idOf(api, references[noun], nameOrId, options)
    const path = `${references[noun].path}/${id}`
    const before = v.parse(policedSchema, await api.call({ method: 'GET', path }))
    const given = await buildBody(api, fields, options, before.projectId ?? id)
    const addressPolicy = { ...(options.reset === true ? {} : before.addressPolicy), ...given }
    if (options.dryRun === true) {
      const preview = await api.call({ method: 'POST', path: `${path}/preview-policy`, body: addressPolicy })
      console.log(options.json === true ? json(preview) : describePreviews(noun, preview))
      return
    }
    const isChange = Object.keys(given).length > 0 || options.reset === true
    const after = isChange ? await replacePolicy(api, path, before, addressPolicy) : before
    console.log(options.json === true ? json(pickPolicies(after)) : describePolicies(after))
  })
}

/** On the version that was read, so that what somebody else has changed meanwhile is not undone. */
async function replacePolicy(api: Api, path: string, { version }: Policed, addressPolicy: object): Promise<Policed> {
  const headers = { 'if-match': `"${version}"` }
  return v.parse(policedSchema, await api.call({ method: 'PATCH', path, body: { addressPolicy }, headers }))
}

const pickPolicies = ({ addressPolicy, effectiveAddressPolicy }: Policed) => ({ addressPolicy, effectiveAddressPolicy })

/** Where its own leaves something to the project's, both. */
export function describePolicies({
  addressPolicy,
  effectiveAddressPolicy = addressPolicy,
}: Omit<Policed, 'version' | 'projectId'>): string {
  const own = describePolicy(addressPolicy)
  if (Bun.deepEquals(addressPolicy, effectiveAddressPolicy)) return own
  return `${own}\n\nwith what its project's says:\n${describePolicy(effectiveAddressPolicy)}`
}

const describePolicy = (policy: AddressPolicy) =>
  Object.keys(policy).length === 0 ? 'no policy of its own' : describeObject(policy)

function describePreviews(noun: 'network' | 'project', preview: unknown): string {
  if (noun === 'network') return describePreview(v.parse(policyPreviewSchema, preview))
  const { networks } = v.parse(projectPolicyPreviewSchema, preview)
  if (networks.length === 0) return 'it has no network'
  return networks.map((one) => `${one.networkId}\n${indent(describePreview(one))}`).join('\n')
}

export function describePreview({ operations }: PolicyPreview): string {
  return operations.length === 0 ? 'it would do nothing now' : operations.map(describeOperation).join('\n')
}

function describeOperation(operation: PolicyPreview['operations'][number]): string {
  switch (operation.kind) {
    case 'grow':
      return `it would cut a shard of ${operation.sizeAddresses} addresses from the pool ${operation.poolId}: ${percent(operation.utilization)} are used`
    case 'giveBack':
      return `it would give back ${operation.cidr} (${operation.shardId}), empty since ${operation.emptySince}`
    case 'reportNoRoom':
      return `it should grow, as ${percent(operation.utilization)} are used, and no pool has room`
    default:
      return operation satisfies never
  }
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`
