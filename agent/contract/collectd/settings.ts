/**
 * What a host or a controller is told of the collectds that may send to it: where to listen, what packets must be protected
 * by, whose passwords are whose. Pure.
 */

import * as v from 'valibot'
import { hostNameSchema, idPattern } from '../host-instructions.ts'
import { protections } from './protect-packet.ts'

const portMaximum = 65_535

export interface ListenAddress {
  readonly address: string
  readonly port: number
}

/** `127.0.0.1:25826`. */
export const listenSchema = v.pipe(
  v.string(),
  v.transform((text): ListenAddress => {
    const colon = text.lastIndexOf(':')
    return { address: text.slice(0, colon), port: Number(text.slice(colon + 1)) }
  }),
  v.check(({ address, port }) => {
    const isPort = Number.isInteger(port) && port > 0 && port <= portMaximum
    return isPort && v.is(v.pipe(v.string(), v.ipv4()), address)
  }, 'must be an IPv4 address and a port, as 127.0.0.1:25826'),
)

const seriesMaximumSchema = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000_000))
const passwordSchema = v.pipe(v.string(), v.minLength(1, 'must not be empty'), v.maxLength(256))
const userNameSchema = v.pipe(v.string(), v.minLength(1), v.maxLength(64))
const filesSchema = v.optional(v.array(v.string()), [])

const isLoopback = ({ address }: ListenAddress) => address.startsWith('127.')

/** Of an agent: `collectd.json` beside its `agent.json`. Without the file nothing listens. */
export const agentCollectdSchema = v.pipe(
  v.strictObject({
    /** Where packets of the network plugin come in. */
    listen: v.optional(v.array(listenSchema), []),
    /** Where `write_http` posts to, and `sluice-agent collectd-exec` reads from. On loopback alone: it asks for no password. */
    httpListen: v.optional(
      v.pipe(
        listenSchema,
        v.check(isLoopback, 'must be a loopback address, as 127.0.0.1:25827: it asks for no password'),
      ),
    ),
    protection: v.optional(v.picklist(protections), 'none'),
    /** Passwords by user. */
    users: v.optional(v.record(userNameSchema, passwordSchema), {}),
    seriesMaximum: v.optional(seriesMaximumSchema, 5000),
    /** Files like collectd's `types.db`, besides its own where it is there. */
    typesDb: filesSchema,
  }),
  v.check(
    ({ listen, protection }) => protection !== 'none' || listen.every(isLoopback),
    '`protection` must be `signed` or `encrypted` where `listen` is more than loopback: else anybody could speak for this host',
  ),
)
export type AgentCollectdSettings = v.InferOutput<typeof agentCollectdSchema>

/** Of a controller. Each user speaks for a host or for the hosts of a project, and packets are always protected. */
export const controllerCollectdSchema = v.strictObject({
  listen: v.pipe(v.array(listenSchema), v.minLength(1)),
  protection: v.optional(v.picklist(['signed', 'encrypted']), 'signed'),
  users: v.record(
    userNameSchema,
    v.union([
      v.strictObject({ password: passwordSchema, host: hostNameSchema }),
      v.strictObject({ password: passwordSchema, projectId: v.pipe(v.string(), v.regex(idPattern)) }),
    ]),
  ),
  seriesMaximum: v.optional(seriesMaximumSchema, 5000),
  typesDb: filesSchema,
})
export type ControllerCollectdSettings = v.InferOutput<typeof controllerCollectdSchema>
