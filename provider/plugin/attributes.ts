/**
 * The builders of attributes and blocks. Each gives plain data: a type and what is to be known of the attribute. The
 * types of TypeScript that follow from it are in `values.ts`.
 *
 * @example
 * ```ts
 * const port = integer({ required: true, description: 'Where it listens.', validators: [portNumber()] })
 * const tags = map(string(), { optional: true, description: 'Free labels.' })
 * const listeners = list(object({ port }), { required: true, description: 'One for each port.' })
 * ```
 */

import type { Rule, Validator } from './validators.ts'

/**
 * Who decides the value. `element`: it is within a list, set or map. `defaulted`: the user, else the default.
 * `optionalComputed`: the user, else the provider. `blocks`: a list or set of blocks, empty when there are none.
 */
export type Presence = 'element' | 'required' | 'optional' | 'defaulted' | 'computed' | 'optionalComputed' | 'blocks'

export type Fields = Readonly<Record<string, Attribute>>

export type ObjectType<F extends Fields = Fields> = {
  readonly kind: 'object'
  readonly fields: F
  readonly rules: readonly Rule[]
}

export type ValueType =
  | { readonly kind: 'string'; readonly oneOf: readonly string[] | null }
  | { readonly kind: 'number' | 'integer' | 'bigInteger' | 'decimal' | 'bool' }
  | { readonly kind: 'list' | 'set' | 'map'; readonly of: Attribute }
  | ObjectType

/** What a change of an attribute is, for the question whether it needs a new object. */
export type Change<Value = unknown> = {
  readonly prior: Value | null
  /** May be `unknown`. */
  readonly planned: unknown
}

export type Attribute = {
  readonly type: ValueType
  readonly presence: Presence
  readonly nullable: boolean
  readonly writeOnly: boolean
  readonly sensitive: boolean
  readonly description: string
  /** Why not to use it any more; null while it is in favour. */
  readonly deprecated: string | null
  /** Null when there is none. */
  readonly default: unknown
  readonly validators: readonly Validator[]
  readonly requiresReplace: boolean
  /** Decides instead, where only some changes need a new object. */
  replaceWhen?(change: Change): boolean
  readonly useStateForUnknown: boolean
  /** Null for an attribute; how often a block may be there otherwise. A maximum of 0 is none. */
  readonly block: { readonly itemsMinimum: number; readonly itemsMaximum: number } | null
  /** Of the timeouts block: the operations it has, and their defaults. */
  readonly timeouts: TimeoutDefaults | null
}

/** An attribute of which the types are known that follow from it. */
export type TypedAttribute<
  T extends ValueType,
  P extends Presence,
  Nullable extends boolean = false,
  WriteOnly extends boolean = false,
> = Omit<Attribute, 'type' | 'presence' | 'nullable' | 'writeOnly'> & {
  readonly type: T
  readonly presence: P
  readonly nullable: Nullable
  readonly writeOnly: WriteOnly
}

type ReplaceRule<Value> = (change: Change<Value>) => boolean

export type AttributeOptions<Value> = {
  /** The user must set it. One of required, optional and computed is needed, but for elements of collections. */
  readonly required?: true
  /** The user may set it. With `computed` the provider decides it otherwise. */
  readonly optional?: true
  /** The provider decides it; unknown until then. */
  readonly computed?: true
  /** What it is when the user doesn't set it; implies optional. */
  readonly default?: Value
  /** Of computed ones: the provider may decide that there is none. */
  readonly nullable?: true
  /** Plans and logs don't show it; states hold it all the same. */
  readonly sensitive?: true
  /** Neither plan nor state hold it: `create` and `update` see it, and nothing else does. */
  readonly writeOnly?: true
  readonly description?: string
  readonly deprecated?: string
  readonly validators?: readonly Validator<Value>[]
  /** A change of it needs a new object: always, or when the function says so. */
  readonly requiresReplace?: true | ReplaceRule<Value>
  /** An update doesn't change what the provider decided: the plan goes on with the state's value. */
  readonly useStateForUnknown?: true
}

export type PresenceOf<O> = O extends { readonly default: NonNullable<unknown> }
  ? 'defaulted'
  : O extends { readonly required: true }
    ? 'required'
    : O extends { readonly optional: true; readonly computed: true }
      ? 'optionalComputed'
      : O extends { readonly optional: true }
        ? 'optional'
        : O extends { readonly computed: true }
          ? 'computed'
          : 'element'

type Is<O, Key extends string> = O extends { readonly [K in Key]: true } ? true : false
type Built<T extends ValueType, O> = TypedAttribute<T, PresenceOf<O>, Is<O, 'nullable'>, Is<O, 'writeOnly'>>
type None = Readonly<Record<never, never>>

type StringOptions = AttributeOptions<string> & { readonly oneOf?: readonly string[] }
type Choices<O> = O extends { readonly oneOf: infer C extends readonly string[] } ? C : null

/** Text. With `oneOf` its type is the union of the choices. */
export function string<const O extends StringOptions = None>(
  options?: O & StringOptions,
): Built<{ kind: 'string'; oneOf: Choices<O> }, O> {
  const oneOf = (options?.oneOf ?? null) as Choices<O>
  return build({ kind: 'string', oneOf }, options)
}

/** A number that JavaScript holds exactly enough; what the user wrote is kept to the last digit all the same. */
export function number<const O extends AttributeOptions<number> = None>(
  options?: O & AttributeOptions<number>,
): Built<{ kind: 'number' }, O> {
  return build({ kind: 'number' }, options)
}

/** A whole number between -2^53 and 2^53. */
export function integer<const O extends AttributeOptions<number> = None>(
  options?: O & AttributeOptions<number>,
): Built<{ kind: 'integer' }, O> {
  return build({ kind: 'integer' }, options)
}

/** A whole number of any size, a bigint. */
export function bigInteger<const O extends AttributeOptions<bigint> = None>(
  options?: O & AttributeOptions<bigint>,
): Built<{ kind: 'bigInteger' }, O> {
  return build({ kind: 'bigInteger' }, options)
}

/** A number whose every digit counts, as text: `'0.10'` is `'0.1'`. */
export function decimal<const O extends AttributeOptions<string> = None>(
  options?: O & AttributeOptions<string>,
): Built<{ kind: 'decimal' }, O> {
  return build({ kind: 'decimal' }, options)
}

export function bool<const O extends AttributeOptions<boolean> = None>(
  options?: O & AttributeOptions<boolean>,
): Built<{ kind: 'bool' }, O> {
  return build({ kind: 'bool' }, options)
}

type ListOptions = AttributeOptions<readonly unknown[]>

/** Elements in an order. `list(object({…}))` has nested attributes. */
export function list<E extends Attribute, const O extends ListOptions = None>(
  of: E,
  options?: O & ListOptions,
): Built<{ kind: 'list'; of: E }, O> {
  return build({ kind: 'list', of }, options)
}

/** Elements without an order, each once. An array in TypeScript. */
export function set<E extends Attribute, const O extends ListOptions = None>(
  of: E,
  options?: O & ListOptions,
): Built<{ kind: 'set'; of: E }, O> {
  return build({ kind: 'set', of }, options)
}

type MapOptions = AttributeOptions<Readonly<Record<string, unknown>>>

/** Elements by a name that the user chooses. */
export function map<E extends Attribute, const O extends MapOptions = None>(
  of: E,
  options?: O & MapOptions,
): Built<{ kind: 'map'; of: E }, O> {
  return build({ kind: 'map', of }, options)
}

type ObjectOptions = AttributeOptions<Readonly<Record<string, unknown>>> & { readonly rules?: readonly Rule[] }

/** Nested attributes. */
export function object<const F extends Fields, const O extends ObjectOptions = None>(
  fields: F,
  options?: O & ObjectOptions,
): Built<ObjectType<F>, O> {
  return build({ kind: 'object', fields, rules: options?.rules ?? [] }, options)
}

export type BlockBody<A extends Fields, B extends Fields> = {
  readonly attributes?: A
  readonly blocks?: B
  readonly rules?: readonly Rule[]
}

export type BlockOptions = {
  readonly description?: string
  readonly deprecated?: string
  readonly itemsMinimum?: number
  readonly itemsMaximum?: number
  readonly validators?: readonly Validator<readonly unknown[]>[]
  readonly requiresReplace?: true
}

type BlockList<K extends 'list' | 'set', A extends Fields, B extends Fields> = TypedAttribute<
  { kind: K; of: TypedAttribute<ObjectType<A & B>, 'element'> },
  'blocks'
>

/** `listener { … }` any number of times, in an order. An array in TypeScript, empty when there is none. */
export function listBlock<const A extends Fields = None, const B extends Fields = None>(
  body: BlockBody<A, B>,
  options: BlockOptions = {},
): BlockList<'list', A, B> {
  return repeatedBlock('list', body, options)
}

/** As `listBlock`, without an order, each once. */
export function setBlock<const A extends Fields = None, const B extends Fields = None>(
  body: BlockBody<A, B>,
  options: BlockOptions = {},
): BlockList<'set', A, B> {
  return repeatedBlock('set', body, options)
}

/** `health_check { … }` once or not at all, which is null. */
export function singleBlock<const A extends Fields = None, const B extends Fields = None>(
  body: BlockBody<A, B>,
  options: Pick<BlockOptions, 'description' | 'deprecated' | 'requiresReplace'> = {},
): TypedAttribute<ObjectType<A & B>, 'optional'> {
  return {
    ...build(objectOf(body), { ...options, optional: true as const }),
    block: { itemsMinimum: 0, itemsMaximum: 1 },
  }
}

export type Operation = 'create' | 'read' | 'update' | 'delete'
/** Seconds after which the call's signal is aborted, unless the user says otherwise. */
export type TimeoutDefaults = Readonly<Partial<Record<`${Operation}Seconds`, number>>>
type OptionalText = TypedAttribute<{ kind: 'string'; oneOf: null }, 'optional'>

/**
 * `timeouts { create = "10m" }`. The framework reads it, keeps it in the state and aborts `context.signal`: a resource
 * neither reads nor returns it. Each operation that is given here may be set by the user.
 */
export function timeouts(
  defaults: TimeoutDefaults,
): TypedAttribute<ObjectType<Readonly<Record<string, OptionalText>>>, 'optional'> {
  const fields = Object.fromEntries(
    Object.entries(defaults).map(([key, seconds]) => [
      key.replace('Seconds', ''),
      string({ optional: true, description: `How long it may take, such as "90s" or "1h30m". Default: ${seconds}s.` }),
    ]),
  )
  return {
    ...singleBlock({ attributes: fields }, { description: 'How long operations may take.' }),
    timeouts: defaults,
  }
}

const objectOf = <A extends Fields, B extends Fields>({ attributes, blocks, rules }: BlockBody<A, B>) => ({
  kind: 'object' as const,
  fields: { ...attributes, ...blocks } as A & B,
  rules: rules ?? [],
})

function repeatedBlock<K extends 'list' | 'set', A extends Fields, B extends Fields>(
  kind: K,
  body: BlockBody<A, B>,
  options: BlockOptions,
): BlockList<K, A, B> {
  const { itemsMinimum = 0, itemsMaximum = 0, ...rest } = options
  const of = build(objectOf(body), {}) as TypedAttribute<ObjectType<A & B>, 'element'>
  return { ...build({ kind, of }, rest), presence: 'blocks', block: { itemsMinimum, itemsMaximum } } as BlockList<
    K,
    A,
    B
  >
}

function build<T extends ValueType, O>(type: T, options: O | undefined): Built<T, O> {
  const given: AttributeOptions<never> = options ?? {}
  const { requiresReplace } = given
  return {
    type,
    presence: presenceOf(given),
    nullable: given.nullable ?? false,
    writeOnly: given.writeOnly ?? false,
    sensitive: given.sensitive ?? false,
    description: given.description ?? '',
    deprecated: given.deprecated ?? null,
    default: given.default ?? null,
    validators: given.validators ?? [],
    requiresReplace: requiresReplace !== undefined,
    ...(typeof requiresReplace === 'function' ? { replaceWhen: requiresReplace } : {}),
    useStateForUnknown: given.useStateForUnknown ?? false,
    block: null,
    timeouts: null,
  } as unknown as Built<T, O>
}

function presenceOf({ default: fallback, required, optional, computed }: AttributeOptions<never>): Presence {
  if (required && (optional || computed || fallback !== undefined)) {
    throw new Error('BUG: a required attribute is neither optional nor computed, and has no default')
  }
  if (fallback !== undefined) return 'defaulted'
  if (required) return 'required'
  if (optional) return computed ? 'optionalComputed' : 'optional'
  return computed ? 'computed' : 'element'
}
