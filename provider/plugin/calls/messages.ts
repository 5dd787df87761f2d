/** Diagnostics, paths and schemas as messages of the protocol. */

import type { Attribute, Fields, ValueType } from '../attributes.ts'
import type { ProviderFunction } from '../define.ts'
import { type AttributePath, type Diagnostic, errorDiagnostic, ProviderError } from '../diagnostics.ts'
import { toSnakeCase } from '../names.ts'
import { type PathStep, showPath, toShownSteps, toSteps } from '../plan/path.ts'
import { nestedFields, type Schema } from '../schema.ts'
import type { Encodable } from '../wire/protobuf.ts'
import {
  type attributePath,
  type diagnosticMessage,
  type functionMessage,
  nestings,
  type schemaMessage,
  severities,
} from '../wire/tfplugin6.ts'
import { jsonBytes } from './session.ts'

export const toPathMessage = (fields: Fields, path: AttributePath) => pathMessage(toSteps(fields, path))

const pathMessage = (steps: readonly PathStep[]): Encodable<typeof attributePath> => ({
  steps: steps.map(toStepMessage),
})

function toStepMessage(step: PathStep) {
  switch (step.kind) {
    case 'attribute':
      return { attributeName: step.name }
    case 'key':
      return { elementKeyString: step.key }
    case 'index':
      return { elementKeyInteger: step.index }
    default:
      return step satisfies never
  }
}

/** The whole path is in the text; the message's own leads to a line that the CLI can show. */
export const toDiagnosticMessages = (
  fields: Fields,
  diagnostics: readonly Diagnostic[],
): Encodable<typeof diagnosticMessage>[] =>
  diagnostics.map(({ severity, summary, detail = '', path = [] }) => {
    const steps = toShownSteps(fields, path)
    const place = showPath(fields, path)
    const isTold = steps.length === toSteps(fields, path).length || summary.includes(place)
    return {
      severity: severities[severity],
      summary,
      detail: isTold ? detail : `${place}: ${detail}`.replace(/: $/, ''),
      ...(steps.length === 0 ? {} : { attribute: pathMessage(steps) }),
    }
  })

/** An exception for the user. A ProviderError was meant for them; an abort has its reason; the rest is a fault. */
export function toDiagnostics(error: unknown, subject: string, signal?: AbortSignal): readonly Diagnostic[] {
  if (error instanceof ProviderError) return error.diagnostics
  if (signal?.aborted) {
    const reason: unknown = signal.reason
    const why = reason instanceof Error ? reason.message : String(reason)
    return [errorDiagnostic(`${subject} was not finished: ${why}`, { detail: 'Apply again to go on.' })]
  }
  const text = error instanceof Error ? error.message : String(error)
  return [
    errorDiagnostic(`${subject} failed: ${text.split('\n')[0]}`, {
      detail: `This is a fault in the provider; please report it. Where it was:\n${stackOf(error)}`,
    }),
  ]
}

const stackLinesMaximum = 12

const stackOf = (error: unknown): string =>
  error instanceof Error
    ? (error.stack ?? error.message).split('\n').slice(0, stackLinesMaximum).join('\n')
    : String(error)

/** A provider's own configuration can't be computed: its defaults are ours alone to know. */
type Of = 'provider' | 'object'

export const toSchemaMessage = (schema: Schema, of: Of): Encodable<typeof schemaMessage> => ({
  version: schema.version,
  block: {
    version: schema.version,
    ...blockContent(schema.fields, of),
    description: schema.description,
    deprecated: schema.deprecated !== null,
  },
})

type Nested = { readonly [key: string]: unknown }

function blockContent(fields: Fields, of: Of): Nested {
  const entries = Object.entries(fields)
  return {
    attributes: entries.filter(([, one]) => one.block === null).map(([name, one]) => toAttributeMessage(name, one, of)),
    blockTypes: entries.filter(([, one]) => one.block !== null).map(([name, one]) => toBlockMessage(name, one, of)),
  }
}

function toAttributeMessage(name: string, attribute: Attribute, of: Of): Nested {
  const { presence, type } = attribute
  const nesting = nestingOf(type)
  return {
    name: toSnakeCase(name),
    description: attribute.description,
    required: presence === 'required',
    optional: presence === 'optional' || presence === 'optionalComputed' || presence === 'defaulted',
    computed:
      presence === 'computed' || presence === 'optionalComputed' || (presence === 'defaulted' && of === 'object'),
    sensitive: attribute.sensitive,
    writeOnly: attribute.writeOnly,
    deprecated: attribute.deprecated !== null,
    ...(nesting === undefined
      ? { type: jsonBytes(typeConstraint(type)) }
      : {
          nestedType: {
            nesting: nestings[nesting],
            attributes: Object.entries(nestedFields(attribute) ?? {}).map(([inner, one]) =>
              toAttributeMessage(inner, one, of),
            ),
          },
        }),
  }
}

/** Of objects and of collections of objects; undefined for what has no attributes within. */
const nestingOf = (type: ValueType): keyof typeof nestings | undefined => {
  if (type.kind === 'object') return 'single'
  if (type.kind !== 'list' && type.kind !== 'set' && type.kind !== 'map') return undefined
  return type.of.type.kind === 'object' ? type.kind : undefined
}

function toBlockMessage(name: string, attribute: Attribute, of: Of): Nested {
  const { itemsMinimum, itemsMaximum } = attribute.block ?? { itemsMinimum: 0, itemsMaximum: 0 }
  const nesting = nestingOf(attribute.type) ?? 'single'
  return {
    typeName: toSnakeCase(name),
    nesting: nestings[nesting],
    itemsMinimum: nesting === 'single' ? 0 : itemsMinimum,
    itemsMaximum: nesting === 'single' ? 0 : itemsMaximum,
    block: {
      ...blockContent(nestedFields(attribute) ?? {}, of),
      description: attribute.description,
      deprecated: attribute.deprecated !== null,
    },
  }
}

/** As the protocol writes types: `"string"`, `["list","number"]`, `["object",{"a":"bool"}]`. */
export function typeConstraint(type: ValueType): unknown {
  switch (type.kind) {
    case 'string':
    case 'bool':
      return type.kind
    case 'number':
    case 'integer':
    case 'bigInteger':
    case 'decimal':
      return 'number'
    case 'list':
    case 'set':
    case 'map':
      return [type.kind, typeConstraint(type.of.type)]
    case 'object':
      return [
        'object',
        Object.fromEntries(
          Object.entries(type.fields).map(([name, field]) => [toSnakeCase(name), typeConstraint(field.type)]),
        ),
      ]
    default:
      return type satisfies never
  }
}

export function toFunctionMessage(definition: ProviderFunction): Encodable<typeof functionMessage> {
  const { variadic, returns } = definition
  const parameter = (name: string, { type, nullable, description }: Attribute) => ({
    name: toSnakeCase(name),
    type: jsonBytes(typeConstraint(type)),
    allowNullValue: nullable,
    description,
  })
  return {
    parameters: Object.entries(definition.parameters).map(([name, one]) => parameter(name, one)),
    ...(variadic === undefined ? {} : { variadicParameter: parameter('more', variadic) }),
    return: { type: jsonBytes(typeConstraint(returns.type)) },
    summary: definition.summary,
    description: definition.description ?? definition.summary,
  }
}
