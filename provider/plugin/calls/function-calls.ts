/** Provider functions: arguments in, a value or an error that points at one of the arguments. */

import type { Attribute } from '../attributes.ts'
import type { ProviderFunction } from '../define.ts'
import { ProviderError } from '../diagnostics.ts'
import { validateArgument } from '../plan/validate.ts'
import { isKnown, type Raw } from '../values/raw.ts'
import { fromTypedValue, toTypedValue } from '../values/typed.ts'
import { decodeValue, encodeValue } from '../values/wire.ts'
import type { RequestOf } from '../wire/tfplugin6.ts'
import { toDiagnostics } from './messages.ts'

type Request = RequestOf<'CallFunction'>

export async function callFunction(definition: ProviderFunction | undefined, request: Request) {
  if (definition === undefined) return failed(`This provider has no function ${request.name}`)
  try {
    return { result: encodeValue(definition.returns.type, call(definition, request)) }
  } catch (error) {
    const [diagnostic] = toDiagnostics(error, `The function ${definition.name}`)
    const text = [diagnostic?.summary, diagnostic?.detail].filter(Boolean).join('. ')
    const position = Object.keys(definition.parameters).indexOf(String(diagnostic?.path?.[0]))
    return failed(text, position < 0 ? undefined : position)
  }
}

function call({ parameters, variadic, returns, call: run }: ProviderFunction, request: Request): Raw {
  const named = Object.entries(parameters)
  const values = request.arguments.map((argument, index) => {
    const [name, parameter] = named[index] ?? ['more', variadic]
    if (parameter === undefined) throw new ProviderError(`It takes ${named.length} arguments`)
    return toArgument(name, parameter, decodeValue(parameter.type, argument))
  })
  if (values.length < named.length) throw new ProviderError(`It takes ${named.length} arguments`)
  const args = Object.fromEntries(named.map(([name], index) => [name, values[index]]))
  const result: unknown = run(args as never, ...(values.slice(named.length) as never[]))
  return fromTypedValue(returns.type, result)
}

function toArgument(name: string, parameter: Attribute, raw: Raw): unknown {
  if (!isKnown(raw)) throw new ProviderError(`${name} is not known yet`, { path: [name] })
  const [wrong] = validateArgument(name, parameter, raw)
  if (wrong !== undefined) throw new ProviderError([wrong])
  return toTypedValue(parameter.type, raw, 'state', [name])
}

const failed = (text: string, functionArgument?: number) => ({
  error: { text, ...(functionArgument === undefined ? {} : { functionArgument }) },
})
