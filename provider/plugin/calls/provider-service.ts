/**
 * The service that the CLI calls, as a function for each call: from a decoded message to the message that answers it.
 * No call ends in an exception; what goes wrong is in the diagnostics of its answer.
 */

import type { Fields, Operation } from '../attributes.ts'
import type { Log } from '../context.ts'
import type { DataSource, EphemeralResource, Provider, Resource } from '../define.ts'
import { type Diagnostic, errorDiagnostic, ProviderError } from '../diagnostics.ts'
import { validateConfig } from '../plan/validate.ts'
import type { Schema } from '../schema.ts'
import { isKnown, type RawObject } from '../values/raw.ts'
import { toTyped } from '../values/typed.ts'
import { decodeObject, encodeObject } from '../values/wire.ts'
import type { Decoded, Encodable } from '../wire/protobuf.ts'
import type { CallName, providerCalls } from '../wire/tfplugin6.ts'
import { configureProvider, readDataSource } from './configured-calls.ts'
import { closeEphemeral, openEphemeral, renewEphemeral } from './ephemeral-calls.ts'
import { callFunction } from './function-calls.ts'
import { toDiagnosticMessages, toDiagnostics, toFunctionMessage, toPathMessage, toSchemaMessage } from './messages.ts'
import { applyChange, importState, planChange, readState, timeoutSeconds } from './resource-calls.ts'
import { beginCall, type Call, openPrivateState, openSession, type Session, stopCalls } from './session.ts'
import { upgradeState } from './upgrade.ts'

type Calls = typeof providerCalls
type RequestOf<N extends CallName> = Decoded<Calls[N]['request']>
type ResponseOf<N extends CallName> = Encodable<Calls[N]['response']>
export type ProviderService = { readonly [N in CallName]: (request: RequestOf<N>) => Promise<ResponseOf<N>> }

const capabilities = { planDestroy: true, getProviderSchemaOptional: true, moveResourceState: false }

export function createProviderService<Client>(provider: Provider<Client>, log: Log): ProviderService {
  const session = openSession(provider, log)
  const resources = byTypeName(provider.name, provider.resources ?? [])
  const dataSources = byTypeName(provider.name, provider.dataSources ?? [])
  const ephemeralResources = byTypeName(provider.name, provider.ephemeralResources ?? [])
  const functions = new Map((provider.functions ?? []).map((one) => [one.name, one] as const))
  return {
    GetMetadata: async () => ({
      serverCapabilities: capabilities,
      resources: typeNames(resources),
      dataSources: typeNames(dataSources),
      ephemeralResources: typeNames(ephemeralResources),
      functions: [...functions.keys()].map((name) => ({ name })),
    }),
    GetProviderSchema: async () => ({
      provider: toSchemaMessage(provider.schema, 'provider'),
      serverCapabilities: capabilities,
      resourceSchemas: schemas(resources),
      dataSourceSchemas: schemas(dataSources),
      ephemeralResourceSchemas: schemas(ephemeralResources),
      functions: Object.fromEntries([...functions].map(([name, one]) => [name, toFunctionMessage(one)])),
    }),
    GetResourceIdentitySchemas: async () => ({}),
    GetFunctions: async () => ({
      functions: Object.fromEntries([...functions].map(([name, one]) => [name, toFunctionMessage(one)])),
    }),
    CallFunction: (request) => callFunction(functions.get(request.name), request),
    StopProvider: async () => {
      stopCalls(session)
      return {}
    },
    ValidateProviderConfig: ({ config }) => validate(provider, config),
    ValidateResourceConfig: ({ typeName, config }) => validate(resources.get(typeName), config),
    ValidateDataResourceConfig: ({ typeName, config }) => validate(dataSources.get(typeName), config),
    ValidateEphemeralResourceConfig: ({ typeName, config }) => validate(ephemeralResources.get(typeName), config),
    ConfigureProvider: (request) =>
      answer(session, { fields: provider.schema.fields, subject: 'Configuring the provider' }, async (call) => {
        await configureProvider(call, request)
        return {}
      }),
    ReadDataSource: (request) => {
      const source = dataSources.get(request.typeName)
      return answer(session, subjectOf('Reading', request.typeName, source), async (call) => ({
        state: await readDataSource(required(source, request.typeName), request, call),
      }))
    },
    OpenEphemeralResource: (request) => {
      const resource = ephemeralResources.get(request.typeName)
      return answer(session, subjectOf('Opening', request.typeName, resource), (call) =>
        openEphemeral(required(resource, request.typeName), request, call),
      )
    },
    RenewEphemeralResource: (request) => {
      const resource = ephemeralResources.get(request.typeName)
      return answer(session, subjectOf('Renewing', request.typeName, resource), (call) =>
        renewEphemeral(required(resource, request.typeName), request, call),
      )
    },
    CloseEphemeralResource: (request) => {
      const resource = ephemeralResources.get(request.typeName)
      return answer(session, subjectOf('Closing', request.typeName, resource), (call) =>
        closeEphemeral(required(resource, request.typeName), request, call),
      )
    },
    MoveResourceState: async ({ sourceTypeName, targetTypeName }) => ({
      diagnostics: toDiagnosticMessages({}, [
        errorDiagnostic(`A ${sourceTypeName} can't be moved to a ${targetTypeName}`, {
          detail: 'Take it out of the state (terraform state rm) and import it as the other.',
        }),
      ]),
    }),
    ...resourceService(session, resources),
  }
}

type ResourceCalls =
  | 'UpgradeResourceState'
  | 'ReadResource'
  | 'PlanResourceChange'
  | 'ApplyResourceChange'
  | 'ImportResourceState'

function resourceService<Client>(
  session: Session<Client>,
  resources: ReadonlyMap<string, Resource<Client>>,
): Pick<ProviderService, ResourceCalls> {
  return {
    UpgradeResourceState: (request) => {
      const resource = resources.get(request.typeName)
      return answer(session, subjectOf('Upgrading the state of', request.typeName, resource), async () => {
        const { schema, upgradeState: steps } = required(resource, request.typeName)
        const json = request.rawState?.json ?? new Uint8Array()
        const upgraded = upgradeState(schema, steps ?? {}, { version: request.version, json })
        return { upgradedState: encodeObject(schema.fields, upgraded) }
      })
    },
    ReadResource: ({ typeName, currentState, private: bytes }) => {
      const resource = resources.get(typeName)
      return answerTimed(
        session,
        subjectOf('Reading', typeName, resource, 'read'),
        currentState,
        async (call, state) => {
          if (state === null) return { newState: encodeObject({}, null) }
          const privateState = openPrivateState(bytes)
          const definition = required(resource, typeName)
          const found = await readState(definition, state, call, privateState)
          return { newState: encodeObject(definition.schema.fields, found), private: privateState.bytes() }
        },
      )
    },
    PlanResourceChange: ({ typeName, priorState, config, proposedNewState, priorPrivate }) => {
      const resource = resources.get(typeName)
      return answer(session, subjectOf('Planning', typeName, resource), async (call) => {
        const definition = required(resource, typeName)
        const { fields } = definition.schema
        const isDeleted = decodeObject(fields, proposedNewState) === null
        const privateState = openPrivateState(priorPrivate)
        const input = {
          prior: decodeObject(fields, priorState),
          config: isDeleted ? null : decodeObject(fields, config),
        }
        const { planned, requiresReplace } = await planChange(definition, input, call, privateState)
        return {
          plannedState: encodeObject(fields, planned),
          requiresReplace: requiresReplace.map((path) => toPathMessage(fields, path)),
          plannedPrivate: privateState.bytes(),
        }
      })
    },
    ApplyResourceChange: (request) => {
      const resource = resources.get(request.typeName)
      const [prior, planned] = [request.priorState, request.plannedState]
      const operation = isNil(prior) ? 'create' : isNil(planned) ? 'delete' : 'update'
      const subject = subjectOf(verbs[operation], request.typeName, resource, operation)
      return answerTimed(session, subject, isNil(planned) ? prior : planned, async (call) => {
        const definition = required(resource, request.typeName)
        const { fields } = definition.schema
        const privateState = openPrivateState(request.plannedPrivate)
        const input = {
          prior: decodeObject(fields, prior),
          planned: decodeObject(fields, planned),
          config: decodeObject(fields, request.config),
        }
        const { state, failure } = await applyChange(definition, input, call, privateState)
        if (failure !== undefined) {
          call.diagnostics.push(...toDiagnostics(failure, subject.subject, call.context.signal))
        }
        return { newState: encodeObject(fields, state), private: privateState.bytes() }
      })
    },
    ImportResourceState: ({ typeName, id }) => {
      const resource = resources.get(typeName)
      return answer(session, subjectOf('Importing', typeName, resource), async (call) => {
        const privateState = openPrivateState(new Uint8Array())
        const definition = required(resource, typeName)
        const state = encodeObject(definition.schema.fields, await importState(definition, id, call, privateState))
        return { importedResources: [{ typeName, state, private: privateState.bytes() }] }
      })
    },
  }
}

const verbs = { create: 'Creating', update: 'Updating', delete: 'Deleting' } as const

/** Not decoded, since that may fail, and who fails is to be named first. */
const isNil = (value: { readonly msgpack: Uint8Array; readonly json: Uint8Array } | undefined): boolean =>
  value === undefined ||
  (value.msgpack.length === 0 ? value.json.length === 0 : value.msgpack.length === 1 && value.msgpack[0] === 0xc0)

type Named = { readonly name: string; readonly schema: Schema }

const byTypeName = <T extends Named>(provider: string, all: readonly T[]): ReadonlyMap<string, T> =>
  new Map(all.map((one) => [`${provider}_${one.name}`, one] as const))

const typeNames = (all: ReadonlyMap<string, unknown>) => [...all.keys()].map((typeName) => ({ typeName }))

const schemas = (all: ReadonlyMap<string, Named>) =>
  Object.fromEntries([...all].map(([typeName, { schema }]) => [typeName, toSchemaMessage(schema, 'object')]))

function required<T>(definition: T | undefined, typeName: string): T {
  if (definition !== undefined) return definition
  throw new ProviderError(`This provider has no ${typeName}`, {
    detail: 'It may be of another version of the provider: look at required_providers.',
  })
}

type Validated<Client> = Resource<Client> | DataSource<Client> | EphemeralResource<Client> | Provider<Client>

async function validate<Client>(
  definition: Validated<Client> | undefined,
  config: RequestOf<'ValidateResourceConfig'>['config'],
) {
  const fields = definition?.schema.fields ?? {}
  try {
    const { schema, ...hooks } = required(definition, 'such type')
    const raw = decodeObject(fields, config)
    if (raw === null) return {}
    const found = validateConfig(schema, raw)
    const isSound = !found.some((one) => one.severity === 'error')
    // What the schema refuses would only puzzle the resource.
    const own = isSound ? (hooks.validate?.({ config: toTyped(fields, raw, 'planned') as never }) ?? []) : []
    return { diagnostics: toDiagnosticMessages(fields, [...found, ...own]) }
  } catch (error) {
    return { diagnostics: toDiagnosticMessages(fields, toDiagnostics(error, 'Validating')) }
  }
}

type Subject = { readonly subject: string; readonly fields: Fields; readonly operation?: Operation }

const subjectOf = (verb: string, typeName: string, definition: Named | undefined, operation?: Operation): Subject => ({
  subject: `${verb} ${typeName}`,
  fields: definition?.schema.fields ?? {},
  ...(operation === undefined ? {} : { operation }),
})

/** Runs a call: whatever is thrown or reported is in the answer's diagnostics. */
async function answer<Client, R extends object>(
  session: Session<Client>,
  { subject, fields }: Subject,
  run: (call: Call<Client>) => Promise<R>,
  seconds?: number,
): Promise<R & { readonly diagnostics: ReturnType<typeof toDiagnosticMessages> }> {
  const call = beginCall(session, seconds)
  const started = performance.now()
  const say = (diagnostics: readonly Diagnostic[]) => toDiagnosticMessages(fields, diagnostics)
  try {
    const response = await run(call)
    return { ...response, diagnostics: say(call.diagnostics) }
  } catch (error) {
    session.log.error(subject, { error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    const failed = [...call.diagnostics, ...toDiagnostics(error, subject, call.context.signal)]
    return { diagnostics: say(failed) } as R & { readonly diagnostics: ReturnType<typeof toDiagnosticMessages> }
  } finally {
    call.end()
    session.log.debug(subject, { milliseconds: Math.round(performance.now() - started) })
  }
}

/** As `answer`, with the timeout that the object's own block or schema says. */
async function answerTimed<Client, R extends object>(
  session: Session<Client>,
  subject: Subject,
  value: RequestOf<'ReadResource'>['currentState'],
  run: (call: Call<Client>, state: RawObject | null) => Promise<R>,
) {
  let state: RawObject | null = null
  let malformed: unknown
  try {
    state = decodeObject(subject.fields, value)
  } catch (error) {
    malformed = error
  }
  const isTimed = subject.operation !== undefined && (state === null || isKnown(state.timeouts ?? null))
  const seconds =
    isTimed && subject.operation !== undefined ? timeoutSeconds(subject.fields, subject.operation, state) : undefined
  return answer(
    session,
    subject,
    (call) => {
      if (malformed !== undefined) throw malformed
      return run(call, state)
    },
    seconds,
  )
}
