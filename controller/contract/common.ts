/** What every noun of the API shares: names, references, conditions, pages. Unknown fields are refused everywhere. */

import * as v from 'valibot'

/** Ids as they travel: `<prefix>_<25 characters of Crockford's base 32>`. */
export const idSchema = (prefix: string) =>
  v.pipe(
    v.string(),
    v.regex(new RegExp(`^${prefix}_[0-9a-hjkmnp-tv-z]{25}$`), `must be an id that begins with ${prefix}_`),
  )

/** Names are free text, unique per user (projects) or per project (the rest). */
export const nameSchema = v.pipe(
  v.string(),
  v.trim(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(128, 'must be at most 128 characters'),
  // Half a surrogate pair can't be written as UTF-8, and would come back as another character.
  v.regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must not hold control characters'),
)

/** Hosts and machines are named by one DNS label, since their names are looked up. */
export const labelSchema = v.pipe(
  v.string(),
  v.regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    'must be lower-case letters, digits and hyphens, at most 63, no hyphen at either end',
  ),
)

export const portSchema = v.pipe(
  v.number(),
  v.integer('must be a whole number'),
  v.minValue(1, 'must be 1 to 65535'),
  v.maxValue(65535, 'must be 1 to 65535'),
)

export const ipv4Schema = v.pipe(v.string(), v.ipv4('must be an IPv4 address'))

export const cidrSchema = v.pipe(
  v.string(),
  v.regex(/^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/, 'must be an IPv4 CIDR block, as 198.18.16.0/22'),
)

export const anyCidrSchema = v.pipe(
  v.string(),
  v.regex(
    /^(\d{1,3}(\.\d{1,3}){3}\/\d{1,2}|[0-9a-fA-F.]*:[0-9a-fA-F:.]*\/\d{1,3})$/,
    'must be a CIDR block, as 198.18.16.0/22 or fd00:20::/48',
  ),
)

export const anyAddressSchema = v.pipe(v.string(), v.ip('must be an IPv4 or IPv6 address'))

export const conditionSchema = v.object({
  type: v.string(),
  status: v.picklist(['true', 'false', 'unknown']),
  /** One word for programs. */
  reason: v.string(),
  /** A sentence for people. */
  message: v.string(),
  changedAt: v.string(),
})
export type Condition = v.InferOutput<typeof conditionSchema>

/** What every object shows. `version` is the ETag; `generation` is what hosts answer in their reports. */
export const objectEntries = {
  id: v.string(),
  name: v.string(),
  projectId: v.nullable(v.string()),
  shardKey: v.string(),
  version: v.number(),
  generation: v.number(),
  status: v.string(),
  conditions: v.array(conditionSchema),
  createdAt: v.string(),
  updatedAt: v.string(),
}

export const pageSchema = <Item extends v.GenericSchema>(item: Item) =>
  v.object({ items: v.array(item), next: v.nullable(v.string()) })

export interface Page<Item> {
  readonly items: readonly Item[]
  /** Give it as `after` to go on; null at the end. */
  readonly next: string | null
}
