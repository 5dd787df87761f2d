/**
 * The service that the CLI calls, as a function for each call: from a decoded message to the message that answers it.
 * No call ends in an exception; what goes wrong is in the diagnostics of its answer.
 */

import type { Log } from '../context.ts'
import type { DataSource, EphemeralResource, Provider, ProviderFunction, Resource } from '../define.ts'
import { errorDiagnostic } from '../diagnostics.ts'
import { validateConfig } from '../plan/validate.ts'
import type { Schema } from '../schema.ts'
import { toTyped } from '../values/typed.ts'
import { decodeObject } from '../values/wire.ts'
import type { CallName, RequestOf, ResponseOf } from '../wire/tfplugin6.ts'
import { answer, required, subjectOf } from './answer.ts'
import { configureProvider, readDataSource } from './configured-calls.ts'
import { closeEphemeral, openEphemeral, renewEphemeral } from './ephemeral-calls.ts'
import { callFunction } from './function-calls.ts'
import { toDiagnosticMessages, toDiagnostics, toFunctionMessage, toSchemaMessage } from './messages.ts'
import { resourceService } from './resource-service.ts'
import { openSession, type Session, stopCalls } from './session.ts'

export type ProviderService = { readonly [N in CallName]: (request: RequestOf<N>) => Promise<ResponseOf<N>> }

export function createProviderService<Client>(provider: Provider<Client>, log: Log): ProviderService {
  const session = openSession(provider, log)
  const all: Definitions<Client> = {
    provider,
    resources: byTypeName(provider.name, provider.resources ?? []),
    dataSources: byTypeName(provider.name, provider.dataSources ?? []),
    ephemeralResources: byTypeName(provider.name, provider.ephemeralResources ?? []),
    functions: new Map((provider.functions ?? []).map((one) => [one.name, one] as const)),
  }
  return {
    ...descriptions(all),
    ...validations(all),
    ...resourceService(session, all.resources),
    ...ephemeralService(session, all.ephemeralResources),
    ConfigureProvider: (request) =>
      answer(session, { fields: provider.schema.fields, subject: 'Configuring the provider' }, async (call) => {
        await configureProvider(call, request)
        return {}
      }),
    ReadDataSource: (request) => {
      const source = all.dataSources.get(request.typeName)
      return answer(session, subjectOf('Reading', request.typeName, source), async (call) => ({
        state: await readDataSource(required(source, request.typeName), request, call),
      }))
    },
    CallFunction: (request) => callFunction(all.functions.get(request.name), request),
    StopProvider: async () => {
      stopCalls(session)
      return {}
    },
    MoveResourceState: async ({ sourceTypeName, targetTypeName }) => ({
      diagnostics: toDiagnosticMessages({}, [
        errorDiagnostic(`A ${sourceTypeName} can't be moved to a ${targetTypeName}`, {
          detail: 'Take it out of the state (terraform state rm) and import it as the other.',
        }),
      ]),
    }),
  }
}

type Named = { readonly name: string; readonly schema: Schema }
/** All that a provider has, by the names that the CLI asks with. */
type Definitions<Client> = {
  readonly provider: Provider<Client>
  readonly resources: ReadonlyMap<string, Resource<Client>>
  readonly dataSources: ReadonlyMap<string, DataSource<Client>>
  readonly ephemeralResources: ReadonlyMap<string, EphemeralResource<Client>>
  readonly functions: ReadonlyMap<string, ProviderFunction>
}

const byTypeName = <T extends Named>(provider: string, all: readonly T[]): ReadonlyMap<string, T> =>
  new Map(all.map((one) => [`${provider}_${one.name}`, one] as const))

type Describing = 'GetMetadata' | 'GetProviderSchema' | 'GetResourceIdentitySchemas' | 'GetFunctions'

const serverCapabilities = { planDestroy: true, getProviderSchemaOptional: true, moveResourceState: false }

function descriptions<Client>(all: Definitions<Client>): Pick<ProviderService, Describing> {
  const { provider, resources, dataSources, ephemeralResources } = all
  const functions = Object.fromEntries([...all.functions].map(([name, one]) => [name, toFunctionMessage(one)]))
  return {
    GetMetadata: async () => ({
      serverCapabilities,
      resources: typeNames(resources),
      dataSources: typeNames(dataSources),
      ephemeralResources: typeNames(ephemeralResources),
      functions: Object.keys(functions).map((name) => ({ name })),
    }),
    GetProviderSchema: async () => ({
      serverCapabilities,
      provider: toSchemaMessage(provider.schema, 'provider'),
      resourceSchemas: schemas(resources),
      dataSourceSchemas: schemas(dataSources),
      ephemeralResourceSchemas: schemas(ephemeralResources),
      functions,
    }),
    GetResourceIdentitySchemas: async () => ({}),
    GetFunctions: async () => ({ functions }),
  }
}

const typeNames = (all: ReadonlyMap<string, unknown>) => [...all.keys()].map((typeName) => ({ typeName }))

const schemas = (all: ReadonlyMap<string, Named>) =>
  Object.fromEntries([...all].map(([typeName, { schema }]) => [typeName, toSchemaMessage(schema, 'object')]))

type Validating =
  | 'ValidateProviderConfig'
  | 'ValidateResourceConfig'
  | 'ValidateDataResourceConfig'
  | 'ValidateEphemeralResourceConfig'

const validations = <Client>(all: Definitions<Client>): Pick<ProviderService, Validating> => ({
  ValidateProviderConfig: ({ config }) => validate(all.provider, all.provider.name, config),
  ValidateResourceConfig: ({ typeName, config }) => validate(all.resources.get(typeName), typeName, config),
  ValidateDataResourceConfig: ({ typeName, config }) => validate(all.dataSources.get(typeName), typeName, config),
  ValidateEphemeralResourceConfig: ({ typeName, config }) =>
    validate(all.ephemeralResources.get(typeName), typeName, config),
})

type Validated<Client> = Resource<Client> | DataSource<Client> | EphemeralResource<Client> | Provider<Client>

async function validate<Client>(
  definition: Validated<Client> | undefined,
  typeName: string,
  config: RequestOf<'ValidateResourceConfig'>['config'],
) {
  const fields = definition?.schema.fields ?? {}
  try {
    const { schema, ...hooks } = required(definition, typeName)
    const raw = decodeObject(fields, config)
    if (raw === null) return {}
    const found = validateConfig(schema, raw)
    const isSound = !found.some((one) => one.severity === 'error')
    // What the schema refuses would only puzzle the resource.
    const own = isSound ? (hooks.validate?.({ config: toTyped(fields, raw, 'planned') as never }) ?? []) : []
    return { diagnostics: toDiagnosticMessages(fields, [...found, ...own]) }
  } catch (error) {
    return { diagnostics: toDiagnosticMessages(fields, toDiagnostics(error, `Validating ${typeName}`)) }
  }
}

type Ephemeral = 'OpenEphemeralResource' | 'RenewEphemeralResource' | 'CloseEphemeralResource'

function ephemeralService<Client>(
  session: Session<Client>,
  resources: Definitions<Client>['ephemeralResources'],
): Pick<ProviderService, Ephemeral> {
  const subject = (verb: string, typeName: string) => subjectOf(verb, typeName, resources.get(typeName))
  const find = (typeName: string) => required(resources.get(typeName), typeName)
  return {
    OpenEphemeralResource: (request) =>
      answer(session, subject('Opening', request.typeName), (call) =>
        openEphemeral(find(request.typeName), request, call),
      ),
    RenewEphemeralResource: (request) =>
      answer(session, subject('Renewing', request.typeName), (call) =>
        renewEphemeral(find(request.typeName), request, call),
      ),
    CloseEphemeralResource: (request) =>
      answer(session, subject('Closing', request.typeName), (call) =>
        closeEphemeral(find(request.typeName), request, call),
      ),
  }
}
