/** What `GET /v1/status` answers, and `sluice status --json` prints. */

import * as v from 'valibot'

export const statusSchema = v.object({
  controller: v.object({ url: v.string(), version: v.string() }),
  store: v.object({
    mode: v.string(),
    status: v.string(),
    serverVersion: v.nullable(v.string()),
    microshards: v.array(
      v.object({
        id: v.string(),
        from: v.string(),
        to: v.string(),
        epoch: v.number(),
        messages: v.number(),
        bytes: v.number(),
      }),
    ),
  }),
  /** Empty for a project's token. */
  hosts: v.array(v.object({ name: v.string(), status: v.string() })),
  /** Of the caller's balancers; null where no names are kept. */
  names: v.nullable(
    v.object({
      zone: v.string(),
      ttlSeconds: v.number(),
      /** How many names list what they should. */
      published: v.number(),
      /** How many do not, as the name server could not be told, or somebody else has the name. */
      queued: v.number(),
      /** Why the first of these is. */
      reason: v.nullable(v.string()),
    }),
  ),
  loadBalancers: v.array(
    v.object({
      id: v.string(),
      name: v.string(),
      projectId: v.nullable(v.string()),
      url: v.nullable(v.string()),
      status: v.string(),
      vips: v.array(v.string()),
      instances: v.array(
        v.object({ id: v.string(), host: v.nullable(v.string()), driver: v.string(), status: v.string() }),
      ),
      members: v.array(v.object({ address: v.nullable(v.string()), port: v.nullable(v.number()), status: v.string() })),
    }),
  ),
})
export type Status = v.InferOutput<typeof statusSchema>

export const callerSchema = v.object({
  tokenId: v.string(),
  scope: v.picklist(['admin', 'project']),
  projectId: v.nullable(v.string()),
  /** For callers to tell whether they know this controller. */
  controllerVersion: v.string(),
})
