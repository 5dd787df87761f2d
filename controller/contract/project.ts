/** Projects, and the tokens that speak for them. */

import * as v from 'valibot'
import { addressPolicySchema } from './address-space.ts'
import { idSchema, nameSchema, objectEntries } from './common.ts'

const quotaEntry = (most: number) =>
  v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(100_000)), most)

export const quotaSchema = v.strictObject({
  pools: quotaEntry(20),
  shards: quotaEntry(200),
  networks: quotaEntry(50),
  machines: quotaEntry(500),
  loadBalancers: quotaEntry(100),
})
export type Quota = v.InferOutput<typeof quotaSchema>
export type QuotaNoun = keyof Quota

export const projectCreateSchema = v.strictObject({
  name: nameSchema,
  /** The owner; names are unique per user. */
  user: nameSchema,
  /** A DNS label, unique in all; made from the name when left out. */
  slug: v.optional(
    v.pipe(v.string(), v.regex(/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/, 'must be a DNS label of at most 40')),
  ),
  quota: v.optional(quotaSchema, {}),
  /** What the project's networks leave out of theirs. */
  addressPolicy: v.optional(addressPolicySchema),
})
export const projectUpdateSchema = v.partial(
  v.strictObject({ name: nameSchema, quota: v.partial(quotaSchema), addressPolicy: addressPolicySchema }),
)
export const projectSchema = v.object({
  ...objectEntries,
  user: v.string(),
  slug: v.string(),
  quota: quotaSchema,
  addressPolicy: addressPolicySchema,
})
export type ProjectCreate = v.InferOutput<typeof projectCreateSchema>
export type ProjectUpdate = v.InferOutput<typeof projectUpdateSchema>
export type Project = v.InferOutput<typeof projectSchema>

export const tokenCreateSchema = v.strictObject({
  name: nameSchema,
  /** Left out: an admin token, which only an admin may make. */
  projectId: v.optional(idSchema('prj')),
  /** Also make read-only NATS credentials for the project's own events. */
  nats: v.optional(v.boolean(), false),
  expiresAt: v.optional(v.pipe(v.string(), v.isoTimestamp('must be an RFC 3339 time'))),
  /** Chosen by whoever must not be told it; made when left out. The bearer is `slt_<25 characters of the id>_<secret>`. */
  secret: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits'))),
})
export const tokenSchema = v.object({
  ...objectEntries,
  scope: v.picklist(['admin', 'project']),
  expiresAt: v.nullable(v.string()),
  nats: v.boolean(),
})
/** The one answer that shows the secret. */
export const tokenCreatedSchema = v.object({
  ...tokenSchema.entries,
  token: v.string(),
  /** A NATS credentials file, the servers and the consumer to pull the events from; it gives those of `subject`. */
  natsCredentials: v.nullable(
    v.object({
      credentials: v.string(),
      servers: v.array(v.string()),
      caCertificate: v.string(),
      stream: v.string(),
      consumer: v.string(),
      subject: v.string(),
      /** The only prefix under which answers may be received: the client library's option of that name. */
      inboxPrefix: v.string(),
      /** The JetStream domain to name to the client library, as the stream is not in the reader's own account. */
      domain: v.string(),
    }),
  ),
})
export type TokenCreate = v.InferOutput<typeof tokenCreateSchema>
export type Token = v.InferOutput<typeof tokenSchema>
export type TokenCreated = v.InferOutput<typeof tokenCreatedSchema>
