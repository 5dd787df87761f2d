/** The address policy of a network or a project as an attribute. What it leaves out is null here and absent in the API. */

import * as v from 'valibot'
import {
  type AddressPolicy,
  addressPolicySchema,
  allocationOrders,
  shardSizes,
} from '../../controller/contract/address-space.ts'
import { anyAddressSchema, labelSchema } from '../../controller/contract/common.ts'
import { migrationModes } from '../../controller/contract/migration.ts'
import { between, integer, list, number, object, sizeBetween, string, validator } from '../plugin/index.ts'
import { admittedBy, anId } from './attributes.ts'
import { withoutNull } from './define.ts'

export const anAddress = () => admittedBy(anyAddressSchema, 'be an IPv4 or IPv6 address')

/** As the contract lists them. */
export const aShardSize = () =>
  validator<number>('be a power of two from 16 (/28) to 4096 (/20)', (size) =>
    (shardSizes as readonly number[]).includes(size),
  )

export const addressPolicy = (description: string) =>
  object(
    {
      maximumShards: integer({
        optional: true,
        validators: [between(1, 1024)],
        description: 'No more shards than this are allocated to it; left out: as many as the quota lets.',
      }),
      poolIds: list(string({ validators: [anId('pol')] }), {
        optional: true,
        validators: [sizeBetween(1, 64)],
        description: 'Shards come from these pools alone; left out: from all of the project.',
      }),
      growAtUtilization: number({
        optional: true,
        validators: [between(0.5, 1)],
        description:
          'From this utilization on (0.5 to 1) another shard is cut and allocated; left out: never by itself.',
      }),
      growSizeAddresses: integer({
        optional: true,
        validators: [aShardSize()],
        description:
          'The size of that shard; left out: as many addresses as the network has, within the sizes of shards.',
      }),
      giveBackAfterSeconds: integer({
        optional: true,
        validators: [validator('be at least 60', (seconds: number) => seconds >= 60)],
        description:
          'A shard that has been empty for so long is given back and deleted, unless it is the last; left out: never.',
      }),
      allocationOrder: string({
        optional: true,
        oneOf: allocationOrders,
        description:
          'Where an address is taken: `pack`: from the fullest shard that has one; `spread`: from the emptiest; `sequential`: the next after the last one given; `random`: any. Left out: the lowest of the oldest shard that has one.',
      }),
      quarantineSeconds: integer({
        optional: true,
        validators: [between(0, 86_400)],
        description: 'How long an address that was given back is not given again, unless it is chosen; left out: 0.',
      }),
      reservedRanges: list(
        object({
          first: string({ required: true, validators: [anAddress()], description: 'The first address of the range.' }),
          last: string({ required: true, validators: [anAddress()], description: 'The last address of the range.' }),
        }),
        {
          optional: true,
          validators: [sizeBetween(0, 64)],
          description: 'Addresses that are given only when they are chosen.',
        },
      ),
      pinnedAddresses: list(
        object({
          address: string({ required: true, validators: [anAddress()], description: 'The address.' }),
          machineName: string({
            required: true,
            validators: [admittedBy(labelSchema, 'be the name of a machine')],
            description: 'The machine that gets it.',
          }),
        }),
        {
          optional: true,
          validators: [sizeBetween(0, 1024)],
          description: 'Addresses that are kept for the machine of this name, and that it gets.',
        },
      ),
      migrationMode: string({
        optional: true,
        oneOf: migrationModes,
        description: 'How holders of its shards move where a migration does not say; left out: `overlap`.',
      }),
    },
    { optional: true, description },
  )

/** `{}` leaves all to what is above it. */
export const policyBody = (policy: object | null | undefined): AddressPolicy =>
  v.parse(addressPolicySchema, withoutNull(policy ?? {}))

/** An empty policy is none, unless somebody wrote an empty one. */
export function describePolicy(policy: AddressPolicy, before: object | null | undefined): AddressPolicy | null {
  const isEmpty = Object.keys(policy).length === 0
  return isEmpty && (before === null || before === undefined) ? null : keepEmptyLists(policy, before)
}

/** A list that is empty and one that is left out are the same to the API. */
function keepEmptyLists(policy: AddressPolicy, before: object | null | undefined): AddressPolicy {
  const lists = Object.entries(before ?? {}).filter(([, value]) => Array.isArray(value) && value.length === 0)
  return { ...Object.fromEntries(lists), ...policy }
}
