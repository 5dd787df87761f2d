/**
 * The messages of Terraform's plugin protocol 6 that are served here, written from its documentation: of each message
 * the fields that a provider without moves of state, identities and deferred actions reads or writes.
 */

import { type Decoded, type Encodable, many, mapOf, message, one, optional } from './protobuf.ts'

export const dynamicValue = message({ msgpack: one(1, 'bytes'), json: one(2, 'bytes') })

/** Exactly one of the three. */
const pathStep = message({
  attributeName: optional(1, 'string'),
  elementKeyString: optional(2, 'string'),
  elementKeyInteger: optional(3, 'integer'),
})
export const attributePath = message({ steps: many(1, pathStep) })

export const severities = { error: 1, warning: 2 } as const
export const diagnosticMessage = message({
  severity: one(1, 'integer'),
  summary: one(2, 'string'),
  detail: one(3, 'string'),
  attribute: optional(4, attributePath),
})
const diagnostics = many(1, diagnosticMessage)

const attributeFields = {
  name: one(1, 'string'),
  type: one(2, 'bytes'),
  description: one(3, 'string'),
  required: one(4, 'bool'),
  optional: one(5, 'bool'),
  computed: one(6, 'bool'),
  sensitive: one(7, 'bool'),
  descriptionKind: one(8, 'integer'),
  deprecated: one(9, 'bool'),
  writeOnly: one(11, 'bool'),
} as const

export const nestings = { single: 1, list: 2, set: 3, map: 4 } as const

/** What nests without end in the protocol is declared as deep as schemas are; see `schemaDepthMaximum`. */
export const schemaDepthMaximum = 8

const nestedAttribute = (depth: number): AttributeMessage =>
  depth === 0
    ? message(attributeFields)
    : message({
        ...attributeFields,
        nestedType: optional(
          10,
          message({ attributes: many(1, nestedAttribute(depth - 1)), nesting: one(3, 'integer') }),
        ),
      })
type AttributeMessage = ReturnType<typeof message>

const blockFields = {
  version: one(1, 'integer'),
  attributes: many(2, nestedAttribute(schemaDepthMaximum)),
  description: one(4, 'string'),
  descriptionKind: one(5, 'integer'),
  deprecated: one(6, 'bool'),
} as const

const nestedBlock = (depth: number): ReturnType<typeof message> =>
  depth === 0
    ? message(blockFields)
    : message({
        ...blockFields,
        blockTypes: many(
          3,
          message({
            typeName: one(1, 'string'),
            block: optional(2, nestedBlock(depth - 1)),
            nesting: one(3, 'integer'),
            itemsMinimum: one(4, 'integer'),
            itemsMaximum: one(5, 'integer'),
          }),
        ),
      })

export const schemaMessage = message({
  version: one(1, 'integer'),
  block: optional(2, nestedBlock(schemaDepthMaximum)),
})

const parameter = message({
  name: one(1, 'string'),
  type: one(2, 'bytes'),
  allowNullValue: one(3, 'bool'),
  allowUnknownValues: one(4, 'bool'),
  description: one(5, 'string'),
  descriptionKind: one(6, 'integer'),
})
export const functionMessage = message({
  parameters: many(1, parameter),
  variadicParameter: optional(2, parameter),
  return: optional(3, message({ type: one(1, 'bytes') })),
  summary: one(4, 'string'),
  description: one(5, 'string'),
  descriptionKind: one(6, 'integer'),
})

const serverCapabilities = message({
  planDestroy: one(1, 'bool'),
  getProviderSchemaOptional: one(2, 'bool'),
  moveResourceState: one(3, 'bool'),
})
const empty = message({})
const typeName = message({ typeName: one(1, 'string') })
const validation = {
  request: message({ typeName: one(1, 'string'), config: optional(2, dynamicValue) }),
  response: message({ diagnostics }),
} as const
const timestamp = message({ seconds: one(1, 'integer'), nanoseconds: one(2, 'integer') })

/** By name, the calls of the service `tfplugin6.Provider`, each unary. */
export const providerCalls = {
  GetMetadata: {
    request: empty,
    response: message({
      serverCapabilities: optional(1, serverCapabilities),
      diagnostics: many(2, diagnosticMessage),
      dataSources: many(3, typeName),
      resources: many(4, typeName),
      functions: many(5, message({ name: one(1, 'string') })),
      ephemeralResources: many(6, typeName),
    }),
  },
  GetProviderSchema: {
    request: empty,
    response: message({
      provider: optional(1, schemaMessage),
      resourceSchemas: mapOf(2, schemaMessage),
      dataSourceSchemas: mapOf(3, schemaMessage),
      diagnostics: many(4, diagnosticMessage),
      serverCapabilities: optional(6, serverCapabilities),
      functions: mapOf(7, functionMessage),
      ephemeralResourceSchemas: mapOf(8, schemaMessage),
    }),
  },
  GetResourceIdentitySchemas: { request: empty, response: message({ diagnostics: many(2, diagnosticMessage) }) },
  ValidateProviderConfig: {
    request: message({ config: optional(1, dynamicValue) }),
    response: message({ diagnostics: many(2, diagnosticMessage) }),
  },
  ValidateResourceConfig: validation,
  ValidateDataResourceConfig: validation,
  ValidateEphemeralResourceConfig: validation,
  UpgradeResourceState: {
    request: message({
      typeName: one(1, 'string'),
      version: one(2, 'integer'),
      rawState: optional(3, message({ json: one(1, 'bytes') })),
    }),
    response: message({ upgradedState: optional(1, dynamicValue), diagnostics: many(2, diagnosticMessage) }),
  },
  ConfigureProvider: {
    request: message({ terraformVersion: one(1, 'string'), config: optional(2, dynamicValue) }),
    response: message({ diagnostics }),
  },
  ReadResource: {
    request: message({
      typeName: one(1, 'string'),
      currentState: optional(2, dynamicValue),
      private: one(3, 'bytes'),
    }),
    response: message({
      newState: optional(1, dynamicValue),
      diagnostics: many(2, diagnosticMessage),
      private: one(3, 'bytes'),
    }),
  },
  PlanResourceChange: {
    request: message({
      typeName: one(1, 'string'),
      priorState: optional(2, dynamicValue),
      proposedNewState: optional(3, dynamicValue),
      config: optional(4, dynamicValue),
      priorPrivate: one(5, 'bytes'),
    }),
    response: message({
      plannedState: optional(1, dynamicValue),
      requiresReplace: many(2, attributePath),
      plannedPrivate: one(3, 'bytes'),
      diagnostics: many(4, diagnosticMessage),
    }),
  },
  ApplyResourceChange: {
    request: message({
      typeName: one(1, 'string'),
      priorState: optional(2, dynamicValue),
      plannedState: optional(3, dynamicValue),
      config: optional(4, dynamicValue),
      plannedPrivate: one(5, 'bytes'),
    }),
    response: message({
      newState: optional(1, dynamicValue),
      private: one(2, 'bytes'),
      diagnostics: many(3, diagnosticMessage),
    }),
  },
  ImportResourceState: {
    request: message({ typeName: one(1, 'string'), id: one(2, 'string') }),
    response: message({
      importedResources: many(
        1,
        message({ typeName: one(1, 'string'), state: optional(2, dynamicValue), private: one(3, 'bytes') }),
      ),
      diagnostics: many(2, diagnosticMessage),
    }),
  },
  MoveResourceState: {
    request: message({ sourceTypeName: one(2, 'string'), targetTypeName: one(5, 'string') }),
    response: message({ diagnostics: many(2, diagnosticMessage) }),
  },
  ReadDataSource: {
    request: message({ typeName: one(1, 'string'), config: optional(2, dynamicValue) }),
    response: message({ state: optional(1, dynamicValue), diagnostics: many(2, diagnosticMessage) }),
  },
  OpenEphemeralResource: {
    request: message({ typeName: one(1, 'string'), config: optional(2, dynamicValue) }),
    response: message({
      diagnostics,
      renewAt: optional(2, timestamp),
      result: optional(3, dynamicValue),
      private: optional(4, 'bytes'),
    }),
  },
  RenewEphemeralResource: {
    request: message({ typeName: one(1, 'string'), private: optional(2, 'bytes') }),
    response: message({ diagnostics, renewAt: optional(2, timestamp), private: optional(3, 'bytes') }),
  },
  CloseEphemeralResource: {
    request: message({ typeName: one(1, 'string'), private: optional(2, 'bytes') }),
    response: message({ diagnostics }),
  },
  GetFunctions: {
    request: empty,
    response: message({ functions: mapOf(1, functionMessage), diagnostics: many(2, diagnosticMessage) }),
  },
  CallFunction: {
    request: message({ name: one(1, 'string'), arguments: many(2, dynamicValue) }),
    response: message({
      result: optional(1, dynamicValue),
      error: optional(2, message({ text: one(1, 'string'), functionArgument: optional(2, 'integer') })),
    }),
  },
  StopProvider: { request: empty, response: message({ error: one(1, 'string') }) },
} as const

export type CallName = keyof typeof providerCalls
export type RequestOf<N extends CallName> = Decoded<(typeof providerCalls)[N]['request']>
export type ResponseOf<N extends CallName> = Encodable<(typeof providerCalls)[N]['response']>
