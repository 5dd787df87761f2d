/**
 * How a host joins: `POST <controller>/v1/hosts/{name}/join`. The join token is
 * `sluice-join.<host name>.<token id>.<secret>.<SHA-256 of the controller's CA certificate, hex>`; it is used once.
 * The secret itself never travels: the agent proves that it has it, over its own new public key, and the fingerprint in
 * the token proves the answer's CA, so that joining is safe even where the API is plain HTTP.
 */

import * as v from 'valibot'
import { hostNameSchema } from './host-instructions.ts'

export const joinRequestSchema = v.strictObject({
  tokenId: v.string(),
  /** The agent's nkey, public half (`U…`). */
  publicKey: v.pipe(v.string(), v.regex(/^U[A-Z2-7]{55}$/)),
  /** Hex HMAC-SHA256, keyed with the hex SHA-256 of the secret, over `<host name>\n<public key>\n<underlay address>`. */
  proof: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  underlayAddress: v.pipe(v.string(), v.ipv4()),
  agentVersion: v.string(),
})

export const joinAnswerSchema = v.object({
  hostId: v.string(),
  host: hostNameSchema,
  /** e.g. `tls://198.18.0.254:4222` */
  natsServers: v.array(v.string()),
  /** The user JWT that the account's key signed for the agent's public key. */
  userJwt: v.string(),
  caCertificate: v.string(),
})

export type JoinRequest = v.InferOutput<typeof joinRequestSchema>
export type JoinAnswer = v.InferOutput<typeof joinAnswerSchema>

/**
 * The agent's own settings, written by `sluice-agent join` to `<configuration folder>/agent.json` (mode 600; the seed of
 * its nkey beside it in `agent.nk`).
 */
export const agentSettingsSchema = v.object({
  format: v.literal(1),
  host: hostNameSchema,
  controllerUrl: v.string(),
  natsServers: v.array(v.string()),
  /** The device that instances' uplink legs are made over (macvlan): a NIC, bond, VLAN or bridge. */
  uplinkDevice: v.string(),
  /** VXLAN's outer address and its device. */
  underlayAddress: v.pipe(v.string(), v.ipv4()),
  underlayDevice: v.string(),
  /** Instructions, rendered configs and sockets. */
  stateFolder: v.string(),
  runFolder: v.string(),
})

export type AgentSettings = v.InferOutput<typeof agentSettingsSchema>
