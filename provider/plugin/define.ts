/**
 * Resources, data sources, ephemeral resources, functions and providers, as data that one writes down. Nothing here
 * runs anything.
 *
 * @example
 * ```ts
 * const { defineResource } = withClient<ApiClient>()
 * export const network = defineResource({
 *   name: 'network',
 *   schema,
 *   create: ({ desired }, { client, signal }) => client.createNetwork(desired, { signal }),
 *   read: ({ state }, { client }) => client.findNetwork(state.id),
 *   update: ({ prior, changes }, { client }) => client.patchNetwork(prior.id, changes),
 *   delete: ({ state }, { client }) => client.deleteNetwork(state.id),
 *   importState: ({ id }, { client }) => client.findNetwork(id),
 * })
 * ```
 */

import type { Attribute, Fields } from './attributes.ts'
import type { CallContext, ChangeContext, ClientContext, JsonObject, PlanContext, ResourceContext } from './context.ts'
import type { AttributePath, Diagnostic } from './diagnostics.ts'
import type { Schema } from './schema.ts'
import type { Changes, Config, Desired, Planned, Result, State, ValueOf } from './values.ts'

type Answer<T> = T | Promise<T>

/** What may be missing of a result that is kept in case the call fails. */
type Begun<S extends Schema> = Partial<Result<S>>

export type ResourceDefinition<S extends Schema, Client> = {
  /** Without the provider's name and `_`. */
  readonly name: string
  readonly schema: S
  create(input: { readonly desired: Desired<S> }, context: ChangeContext<Client, Begun<S>>): Answer<Result<S>>
  /** Null: it is gone, and the next plan makes it again. */
  read(input: { readonly state: State<S> }, context: ResourceContext<Client>): Answer<Result<S> | null>
  /** `changes` is what of `desired` is not as it was. Without `update` every change needs a new object. */
  update?(
    input: { readonly prior: State<S>; readonly desired: Desired<S>; readonly changes: Changes<S> },
    context: ChangeContext<Client, Begun<S>>,
  ): Answer<Result<S>>
  /** What is gone already is deleted. */
  delete(input: { readonly state: State<S> }, context: ResourceContext<Client>): Answer<void>
  /** The whole object that the user's text names; null: there is none. */
  importState?(input: { readonly id: string }, context: ResourceContext<Client>): Answer<Result<S> | null>
  /**
   * By the version of a state, what makes it one of the next version. Names are as HCL has them. What the schema of
   * today doesn't have is dropped, what is missing is null.
   */
  readonly upgradeState?: Readonly<Record<number, (state: JsonObject) => JsonObject>>
  /** Changes the plan, says what needs a new object, warns. `prior` is null on creation, `planned` on deletion. */
  modifyPlan?(
    input: {
      readonly prior: State<S> | null
      readonly planned: Planned<S> | null
      readonly config: Planned<S> | null
    },
    context: PlanContext<Client>,
  ): Answer<PlanChanges<S> | undefined>
  /** What validators and rules can't say. Offline: it asks nobody. */
  validate?(input: { readonly config: Planned<S> }): readonly Diagnostic[]
}

export type PlanChanges<S extends Schema> = {
  /** Attributes of the plan to replace. What the user configured can't be. */
  readonly planned?: Partial<Planned<S>>
  readonly requiresReplace?: readonly AttributePath[]
}

export type DataSourceDefinition<S extends Schema, Client> = {
  readonly name: string
  readonly schema: S
  read(input: { readonly config: Config<S> }, context: ClientContext<Client>): Answer<Result<S>>
  validate?(input: { readonly config: Planned<S> }): readonly Diagnostic[]
}

export type Opened<S extends Schema> = {
  readonly result: Result<S>
  readonly renewAt?: Date
  /** Handed to `renew` and `close`. */
  readonly handle?: JsonObject
}

/** What exists while a run lasts, and is never in a state. */
export type EphemeralResourceDefinition<S extends Schema, Client> = {
  readonly name: string
  readonly schema: S
  open(input: { readonly config: Config<S> }, context: ClientContext<Client>): Answer<Opened<S>>
  renew?(
    input: { readonly handle: JsonObject },
    context: ClientContext<Client>,
  ): Answer<{ readonly renewAt?: Date; readonly handle?: JsonObject }>
  close?(input: { readonly handle: JsonObject }, context: ClientContext<Client>): Answer<void>
  validate?(input: { readonly config: Planned<S> }): readonly Diagnostic[]
}

type Arguments<P extends Fields> = {
  readonly [K in keyof P]: ValueOf<P[K]> | (true extends P[K]['nullable'] ? null : never)
}

export type FunctionDefinition<P extends Fields, V extends Attribute | undefined, R extends Attribute> = {
  readonly name: string
  readonly summary: string
  readonly description?: string
  /** In their order. A `nullable` one may be null. */
  readonly parameters: P
  /** Any number of further arguments. */
  readonly variadic?: V
  readonly returns: R
  /** A pure function of its arguments. A ProviderError with the path `[parameter]` points at the argument. */
  call(args: Arguments<P>, ...rest: V extends Attribute ? ValueOf<V>[] : never[]): ValueOf<R>
}

export type ProviderDefinition<S extends Schema, Client> = {
  /** The first word of all its type names. */
  readonly name: string
  readonly schema: S
  /** Makes the client, once for a run. Asking the API whether it is there is in place here. */
  configure(
    input: { readonly config: Config<S>; readonly terraformVersion: string },
    context: CallContext,
  ): Answer<Client>
  validate?(input: { readonly config: Planned<S> }): readonly Diagnostic[]
  readonly resources?: readonly Resource<Client>[]
  readonly dataSources?: readonly DataSource<Client>[]
  readonly ephemeralResources?: readonly EphemeralResource<Client>[]
  readonly functions?: readonly ProviderFunction[]
}

/** The same definitions with the schema's types taken away, so that a provider can have many. */
export type Resource<Client> = { readonly kind: 'resource' } & ResourceDefinition<Erased, Client>
export type DataSource<Client> = { readonly kind: 'dataSource' } & DataSourceDefinition<Erased, Client>
export type EphemeralResource<Client> = { readonly kind: 'ephemeralResource' } & EphemeralResourceDefinition<
  Erased,
  Client
>
export type ProviderFunction = { readonly kind: 'function' } & FunctionDefinition<Fields, Attribute, Attribute>
export type Provider<Client> = { readonly kind: 'provider' } & ProviderDefinition<Erased, Client>

type Erased = Schema<Fields>

/** The definitions of a provider whose `configure` answers with a `Client`. */
export const withClient = <Client>() => ({
  defineResource: <S extends Schema>(definition: ResourceDefinition<S, Client>) =>
    ({ kind: 'resource', ...definition }) as unknown as Resource<Client> & { readonly schema: S },
  defineDataSource: <S extends Schema>(definition: DataSourceDefinition<S, Client>) =>
    ({ kind: 'dataSource', ...definition }) as unknown as DataSource<Client> & { readonly schema: S },
  defineEphemeralResource: <S extends Schema>(definition: EphemeralResourceDefinition<S, Client>) =>
    ({ kind: 'ephemeralResource', ...definition }) as unknown as EphemeralResource<Client> & { readonly schema: S },
  defineProvider: <S extends Schema>(definition: ProviderDefinition<S, Client>) =>
    ({ kind: 'provider', ...definition }) as unknown as Provider<Client> & { readonly schema: S },
})

/**
 * @example
 * ```ts
 * defineFunction({
 *   name: 'shout', summary: 'In upper case.',
 *   parameters: { text: string({ description: 'What to shout.' }) },
 *   returns: string(),
 *   call: ({ text }) => text.toUpperCase(),
 * })
 * ```
 */
export const defineFunction = <
  const P extends Fields,
  R extends Attribute,
  V extends Attribute | undefined = undefined,
>(
  definition: FunctionDefinition<P, V, R>,
) => ({ kind: 'function', ...definition }) as unknown as ProviderFunction
