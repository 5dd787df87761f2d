/** The types of TypeScript that follow from a schema: what a resource is given and what it answers with. Types only. */

import type { Attribute, Fields, ValueType } from './attributes.ts'
import type { Schema } from './schema.ts'
import type { Unknown } from './unknown.ts'

type View = 'state' | 'result' | 'desired' | 'config' | 'planned'

/** An object as it is: in a state, before and after. What is absent is null. */
export type State<S extends Schema> = Viewed<S['fields'], 'state'>

/** What a resource answers with: a state, of which what is absent may be left out. More than the schema has is ignored. */
export type Result<S extends Schema> = Viewed<S['fields'], 'result'>

/**
 * What is to become of an object: what the user wants, with defaults and write-only values. What the provider is to
 * decide is undefined, so that it is not in the JSON that is sent.
 */
export type Desired<S extends Schema> = Viewed<S['fields'], 'desired'>

/** What of the desired is not as it was, and known. */
export type Changes<S extends Schema> = {
  readonly [K in keyof Desired<S>]?: Exclude<Desired<S>[K], undefined>
}

/** What the user wrote, wholly known: of a data source, a provider or an ephemeral resource. */
export type Config<S extends Schema> = Viewed<S['fields'], 'config'>

/** What is written or planned before it is all known: anything in it may be null or `unknown`. */
export type Planned<S extends Schema> = Viewed<S['fields'], 'planned'>

/** The value of one attribute, without null. */
export type ValueOf<A extends Attribute, V extends View = 'state'> = Value<A['type'], V>

type Value<T extends ValueType, V extends View> = T extends { kind: 'string'; oneOf: infer Choices }
  ? Choices extends readonly (infer Choice)[]
    ? Choice
    : string
  : T extends { kind: 'number' | 'integer' }
    ? number
    : T extends { kind: 'bigInteger' }
      ? bigint
      : T extends { kind: 'decimal' }
        ? string
        : T extends { kind: 'bool' }
          ? boolean
          : T extends { kind: 'list' | 'set'; of: infer E extends Attribute }
            ? readonly Element<E, V>[]
            : T extends { kind: 'map'; of: infer E extends Attribute }
              ? Readonly<Record<string, Element<E, V>>>
              : T extends { kind: 'object'; fields: infer F extends Fields }
                ? Viewed<F, V>
                : never

type Element<E extends Attribute, V extends View> = V extends 'planned' ? ValueOf<E, V> | Unknown : ValueOf<E, V>

type Simplify<T> = { readonly [K in keyof T]: T[K] }

type Viewed<F extends Fields, V extends View> = Simplify<
  { readonly [K in Given<F, V>]: Field<F[K], V> } & { readonly [K in Omissible<F, V>]?: Field<F[K], V> | undefined }
>

type Given<F extends Fields, V extends View> = Exclude<keyof F, Hidden<F, V> | Omissible<F, V>>

/** What a view doesn't have: write-only values outlive no call, and nobody configures what is computed. */
type Hidden<F extends Fields, V extends View> = {
  [K in keyof F]: V extends 'state' | 'result'
    ? true extends F[K]['writeOnly']
      ? K
      : never
    : V extends 'config'
      ? F[K]['presence'] extends 'computed'
        ? K
        : never
      : never
}[keyof F]

/** What a result may leave out: null is meant. */
type Omissible<F extends Fields, V extends View> = V extends 'result'
  ? Exclude<{ [K in keyof F]: null extends Field<F[K], 'state'> ? K : never }[keyof F], Hidden<F, V>>
  : never

type Field<A extends Attribute, V extends View> = V extends 'planned'
  ? ValueOf<A, V> | null | Unknown
  : ValueOf<A, V> | Absent<A, V>

type Absent<A extends Attribute, V extends View> = A['presence'] extends 'optional'
  ? null
  : A['presence'] extends 'computed' | 'optionalComputed'
    ?
        | (V extends 'config' ? null : true extends A['nullable'] ? null : never)
        | (V extends 'desired' ? undefined : never)
    : never
