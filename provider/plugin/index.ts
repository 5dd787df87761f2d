/**
 * A framework to write providers of Terraform and OpenTofu with (plugin protocol 6): declare schemas, write functions on
 * typed values, serve. This is its only public entry.
 *
 * @module
 */

export type {
  Attribute,
  AttributeOptions,
  BlockOptions,
  Change,
  Fields,
  ObjectType,
  Operation,
  Presence,
  TimeoutDefaults,
  TypedAttribute,
  ValueType,
} from './attributes.ts'
export {
  bigInteger,
  bool,
  decimal,
  integer,
  list,
  listBlock,
  map,
  number,
  object,
  set,
  setBlock,
  singleBlock,
  string,
  timeouts,
} from './attributes.ts'
export type {
  CallContext,
  ChangeContext,
  ClientContext,
  Json,
  JsonObject,
  Log,
  LogLevel,
  PlanContext,
  PrivateState,
  ResourceContext,
} from './context.ts'
export type {
  DataSource,
  DataSourceDefinition,
  EphemeralResource,
  EphemeralResourceDefinition,
  FunctionDefinition,
  Opened,
  PlanChanges,
  Provider,
  ProviderDefinition,
  ProviderFunction,
  Resource,
  ResourceDefinition,
} from './define.ts'
export { defineFunction, withClient } from './define.ts'
export type { AttributePath, Diagnostic } from './diagnostics.ts'
export { errorDiagnostic, ProviderError, warningDiagnostic } from './diagnostics.ts'
export { toSnakeCase } from './names.ts'
export type { Schema } from './schema.ts'
export { defineSchema, nestedFields } from './schema.ts'
export type { ServeOptions } from './serve.ts'
export { serveProvider } from './serve.ts'
export type { Unknown } from './unknown.ts'
export { isUnknown, isWhollyKnown, unknown } from './unknown.ts'
export type { Rule, Validator } from './validators.ts'
export {
  allOrNone,
  atLeast,
  atLeastOneOf,
  atMostOneOf,
  between,
  exactlyOneOf,
  lengthBetween,
  matches,
  portNumber,
  sizeBetween,
  validator,
} from './validators.ts'
export type { Changes, Config, Desired, Planned, Result, State, ValueOf } from './values.ts'
