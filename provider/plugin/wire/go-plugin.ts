/** What go-plugin asks of every plugin beside its own service: to end, to say that it lives, and two streams that stay silent. */

import { message, one } from './protobuf.ts'

export const empty = message({})
export const healthResponse = message({ status: one(1, 'integer') })
export const serving = 1

/** The cookie keeps a user from starting the plugin by hand by mistake; it is no secret. */
export const magicCookie = {
  name: 'TF_PLUGIN_MAGIC_COOKIE',
  value: 'd602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2',
} as const
export const coreProtocolVersion = 1
export const pluginProtocolVersion = 6
