/** The model of the generators from a provider as it is defined with provider/plugin. Pure. */

import {
  type Attribute,
  type Fields,
  type Provider,
  type ProviderFunction,
  type Resource,
  type Schema,
  toSnakeCase,
  type ValueType,
} from '../plugin/index.ts'
import type { AttributeModel, BlockModel, FunctionModel, NounModel, ProviderModel, TypeModel } from './noun-model.ts'

export function readProvider<Client>(provider: Provider<Client>): ProviderModel {
  const { name, schema, resources = [], dataSources = [], ephemeralResources = [], functions = [] } = provider
  const full = (noun: { readonly name: string }) => `${name}_${toSnakeCase(noun.name)}`
  return {
    provider: readNoun('provider', name, schema),
    resources: byName(
      resources.map((one) => ({ ...readNoun('resource', full(one), one.schema), importId: importIdOf(one) })),
    ),
    dataSources: byName(dataSources.map((one) => readNoun('data-source', full(one), one.schema))),
    ephemeralResources: byName(ephemeralResources.map((one) => readNoun('ephemeral-resource', full(one), one.schema))),
    functions: byName(functions.map(readFunction)),
  }
}

const byName = <Named extends { readonly name: string }>(all: readonly Named[]) =>
  all.toSorted((one, other) => (one.name < other.name ? -1 : 1))

/** Of those that are not named by an id of their own. */
const importIds: Readonly<Record<string, string>> = {
  shard_attachment: 'the id of the shard',
  load_balancer_member: 'the ids of the load balancer and of the member',
}

const importIdOf = <Client>({ name, importState }: Resource<Client>) =>
  importState === undefined ? null : (importIds[name] ?? 'its id')

function readNoun(kind: NounModel['kind'], name: string, { description, fields, rules }: Schema): NounModel {
  const attributes = Object.entries(fields).filter(([, { block }]) => block === null)
  const blocks = Object.entries(fields).filter(([, { block }]) => block !== null)
  return {
    kind,
    name,
    description,
    rules: rules.map(({ must }) => sentence(`must ${must}`)),
    attributes: attributes.map(([field, attribute]) => readAttribute(field, attribute)),
    blocks: blocks.map(([field, block]) => readBlock(name, field, block)),
    importId: null,
  }
}

function readBlock(noun: string, field: string, { type, description }: Attribute): BlockModel {
  if (type.kind !== 'object') throw new Error(`BUG: ${noun}.${field} is a block that may be there several times`)
  return { name: toSnakeCase(field), property: field, description, attributes: readFields(type.fields) }
}

const readFields = (fields: Fields): readonly AttributeModel[] =>
  Object.entries(fields).map(([field, attribute]) => readAttribute(field, attribute))

function readAttribute(field: string, attribute: Attribute): AttributeModel {
  const { presence, description, deprecated, requiresReplace } = attribute
  return {
    name: toSnakeCase(field),
    property: field,
    description: deprecated === null ? description : `${description} Deprecated: ${deprecated}`,
    type: readType(attribute.type),
    isRequired: presence === 'required',
    isOptional: presence === 'optional' || presence === 'defaulted' || presence === 'optionalComputed',
    isSensitive: attribute.sensitive,
    isWriteOnly: attribute.writeOnly,
    replaces: !requiresReplace ? 'never' : attribute.replaceWhen === undefined ? 'always' : 'sometimes',
    defaultText: presence === 'defaulted' ? showHcl(attribute.default) : null,
    constraints: constraintsOf(attribute),
  }
}

function constraintsOf({ type, validators }: Attribute): readonly string[] {
  const choices = type.kind === 'string' && type.oneOf !== null ? [`One of ${type.oneOf.map(quote).join(', ')}.`] : []
  const rules = type.kind === 'object' ? type.rules : []
  const inner = type.kind === 'list' || type.kind === 'set' || type.kind === 'map' ? ofEach(type.of) : []
  return [...choices, ...[...validators, ...rules].map(({ must }) => sentence(`must ${must}`)), ...inner]
}

/** What the elements must be, which have no line of their own. */
const ofEach = (element: Attribute): readonly string[] =>
  constraintsOf(element).map((text) => `Each: ${text.charAt(0).toLowerCase()}${text.slice(1)}`)

const quote = (text: string) => `\`${text}\``
const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`

function readType(type: ValueType): TypeModel {
  switch (type.kind) {
    case 'string':
      return { kind: 'string', oneOf: type.oneOf }
    case 'bool':
      return { kind: 'bool' }
    case 'number':
    case 'integer':
    case 'bigInteger':
    case 'decimal':
      return { kind: 'number' }
    case 'list':
    case 'set':
    case 'map':
      return { kind: type.kind, of: readType(type.of.type) }
    case 'object':
      return { kind: 'object', attributes: readFields(type.fields) }
    default:
      return type satisfies never
  }
}

function readFunction({ name, summary, description = '', parameters, returns }: ProviderFunction): FunctionModel {
  return {
    name: toSnakeCase(name),
    summary,
    description: description === '' ? summary : description,
    parameters: Object.entries(parameters).map(([parameter, attribute]) => ({
      name: toSnakeCase(parameter),
      description: attribute.description,
      type: readType(attribute.type),
    })),
    returns: readType(returns.type),
  }
}

/** A default as one would write it. */
function showHcl(value: unknown): string {
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return `[${value.map(showHcl).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const given = Object.entries(value).filter(([, one]) => one !== null && one !== undefined)
  const rows = given.map(([key, one]) => `${toSnakeCase(key)} = ${showHcl(one)}`)
  return rows.length === 0 ? '{}' : `{ ${rows.join(', ')} }`
}
