/** Who carries the control plane: controllers with what they lead, NATS servers, and how the store lies on these. */

import * as v from 'valibot'

export const controllerSchema = v.object({
  name: v.string(),
  address: v.string(),
  version: v.string(),
  status: v.picklist(['present', 'absent']),
  /** RFC 3339: since when it runs, or has been away. */
  since: v.string(),
  /** The kinds of work that it does for all. */
  leads: v.array(v.string()),
  /** The controller that answers. */
  isSelf: v.boolean(),
})
export type ControllerView = v.InferOutput<typeof controllerSchema>

const replicaSchema = v.object({
  node: v.string(),
  /** `current`: it has all that is committed. `lagging`: it has less. `offline`: its server does not answer. */
  status: v.picklist(['current', 'lagging', 'offline']),
  /** How many writes it has yet to take in. */
  lag: v.number(),
})

export const storeStatusSchema = v.object({
  mode: v.picklist(['embedded', 'distributed']),
  status: v.picklist(['available', 'unavailable']),
  /** How many servers keep each thing. */
  replicas: v.number(),
  nodes: v.array(
    v.object({
      name: v.string(),
      address: v.string(),
      version: v.string(),
      status: v.picklist(['present', 'absent']),
      /** How many streams it leads. */
      leads: v.number(),
    }),
  ),
  streams: v.array(
    v.object({
      name: v.string(),
      messages: v.number(),
      bytes: v.number(),
      /** Null: it has none just now, and takes no writes. */
      leader: v.nullable(v.string()),
      replicas: v.array(replicaSchema),
    }),
  ),
})
export type StoreStatusView = v.InferOutput<typeof storeStatusSchema>
