/** Resources of any schema that keep their objects in memory, decide what is left to them, and shuffle sets as APIs do. */

import type { Attribute, Fields, ValueType } from '../attributes.ts'
import { withClient } from '../define.ts'
import type { Schema } from '../schema.ts'

type Typed = Readonly<Record<string, unknown>>
type Memory = { readonly objects: Map<string, Typed>; count: number }

const { defineResource, defineProvider } = withClient<Memory>()

/** Its objects are found by what their `title` decides: the position among all that were made. */
export const memoryResource = (name: string, schema: Schema, identity: string) =>
  defineResource({
    name,
    schema,
    create: ({ desired }, memory) => remember(memory.client, schema.fields, desired, identity),
    read: ({ state }, { client }) => {
      const found = client.objects.get(String((state as Typed)[identity]))
      return (found === undefined ? null : shuffled(schema.fields, found)) as never
    },
    update: ({ desired }, { client }) => remember(client, schema.fields, desired, identity),
    delete: ({ state }, { client }) => {
      client.objects.delete(String((state as Typed)[identity]))
    },
  })

/** Configured again, as each run of a CLI does, it remembers all the same. */
export function memoryProvider(resources: readonly ReturnType<typeof memoryResource>[], schema: Schema) {
  const memory: Memory = { objects: new Map(), count: 0 }
  return defineProvider({ name: 'memory', schema, configure: () => memory, resources })
}

function remember(memory: Memory, fields: Fields, desired: Typed, identity: string): never {
  const decide = () => {
    memory.count += 1
    return memory.count
  }
  const object = complete(fields, desired, decide)
  memory.objects.set(String(object[identity]), object)
  return object as never
}

const complete = (fields: Fields, desired: Typed, decide: () => number): Typed =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([name, attribute]) =>
      attribute.writeOnly ? [] : [[name, completeValue(attribute, desired[name], decide)]],
    ),
  )

function completeValue({ type }: Attribute, value: unknown, decide: () => number): unknown {
  if (value === undefined) return decided(type, decide)
  if (value === null) return null
  switch (type.kind) {
    case 'object':
      return complete(type.fields, value as Typed, decide)
    case 'list':
    case 'set':
      return (value as readonly unknown[]).map((one) => completeValue(type.of, one, decide))
    case 'map':
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, completeValue(type.of, one, decide)]))
    default:
      return value
  }
}

/** Never the same again. */
function decided(type: ValueType, decide: () => number): unknown {
  switch (type.kind) {
    case 'string':
      return `decided ${decide()}`
    case 'decimal':
      return `${decide()}.5`
    case 'bigInteger':
      return BigInt(decide()) + 2n ** 70n
    case 'integer':
      return decide()
    case 'number':
      return decide() / 10
    case 'bool':
      return decide() % 2 === 0
    case 'list':
    case 'set':
      return [completeValue(type.of, undefined, decide)]
    case 'map':
      return { one: completeValue(type.of, undefined, decide) }
    case 'object':
      return Object.fromEntries(
        Object.entries(type.fields).map(([name, one]) => [
          name,
          one.presence === 'optional' ? null : completeValue(one, undefined, decide),
        ]),
      )
    default:
      return type satisfies never
  }
}

const shuffled = (fields: Fields, object: Typed): Typed =>
  Object.fromEntries(
    Object.entries(object).map(([name, value]) => {
      const type = fields[name]?.type
      return [name, type?.kind === 'set' && Array.isArray(value) ? value.toReversed() : value]
    }),
  )
