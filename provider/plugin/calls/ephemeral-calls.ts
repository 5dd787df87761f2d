/** Ephemeral resources: opened, renewed and closed within a run, and kept nowhere. */

import type { JsonObject } from '../context.ts'
import type { EphemeralResource } from '../define.ts'
import { settleObject } from '../values/settle.ts'
import { fromTyped, toTyped } from '../values/typed.ts'
import { decodeObject, encodeObject } from '../values/wire.ts'
import type { RequestOf } from '../wire/tfplugin6.ts'
import { wholeConfig } from './configured-calls.ts'
import { type Call, clientContext, jsonBytes, parseJsonObject } from './session.ts'

type Open = RequestOf<'OpenEphemeralResource'>
type Renew = RequestOf<'RenewEphemeralResource'>
type Close = RequestOf<'CloseEphemeralResource'>

export async function openEphemeral<Client>(resource: EphemeralResource<Client>, request: Open, call: Call<Client>) {
  const { fields } = resource.schema
  const config = wholeConfig(fields, decodeObject(fields, request.config))
  const configured = toTyped(fields, config, 'config')
  const opened = await resource.open({ config: configured as never }, clientContext(call))
  const result = settleObject(fields, config, fromTyped(fields, { ...configured, ...opened.result }))
  return { result: encodeObject(fields, result), ...lasting(opened) }
}

export async function renewEphemeral<Client>(resource: EphemeralResource<Client>, request: Renew, call: Call<Client>) {
  const handle = parseJsonObject(request.private)
  if (resource.renew === undefined) return lasting({ handle })
  const renewed = await resource.renew({ handle }, clientContext(call))
  return lasting({ handle, ...renewed })
}

export async function closeEphemeral<Client>(resource: EphemeralResource<Client>, request: Close, call: Call<Client>) {
  await resource.close?.({ handle: parseJsonObject(request.private) }, clientContext(call))
  return {}
}

const lasting = ({ renewAt, handle }: { readonly renewAt?: Date; readonly handle?: JsonObject }) => ({
  ...(renewAt === undefined
    ? {}
    : {
        renewAt: {
          seconds: Math.floor(renewAt.getTime() / 1000),
          nanoseconds: (((renewAt.getTime() % 1000) + 1000) % 1000) * 1_000_000,
        },
      }),
  ...(handle === undefined ? {} : { private: jsonBytes(handle) }),
})
