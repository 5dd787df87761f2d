/** A schema: the version, the attributes and the blocks of a resource, a data source or a provider, declared once. */

import type { Attribute, Fields, ValueType } from './attributes.ts'
import { toSnakeCase } from './names.ts'
import type { Rule } from './validators.ts'
import { schemaDepthMaximum } from './wire/tfplugin6.ts'

export type Schema<F extends Fields = Fields> = {
  /** Counts up when states of the version before need `upgradeState`. */
  readonly version: number
  readonly description: string
  readonly deprecated: string | null
  /** Attributes and blocks together; a block's `block` is not null. */
  readonly fields: F
  readonly rules: readonly Rule[]
}

type None = Readonly<Record<never, never>>

/**
 * @example
 * ```ts
 * const schema = defineSchema({
 *   description: 'A network.',
 *   attributes: {
 *     id: string({ computed: true, useStateForUnknown: true, description: 'Its id.' }),
 *     name: string({ required: true, description: 'Free text.' }),
 *   },
 *   blocks: { timeouts: timeouts({ createSeconds: 300 }) },
 * })
 * ```
 */
export function defineSchema<const A extends Fields = None, const B extends Fields = None>(declared: {
  readonly version?: number
  readonly description?: string
  readonly deprecated?: string
  readonly attributes?: A
  readonly blocks?: B
  readonly rules?: readonly Rule[]
}): Schema<A & B> {
  const { version = 0, description = '', deprecated = null, attributes, blocks, rules = [] } = declared
  const fields = { ...attributes, ...blocks } as A & B
  assertFields(fields, [])
  return { version, description, deprecated, fields, rules }
}

/** Mistakes of the one who writes a schema, found when the provider is loaded. */
function assertFields(fields: Fields, above: readonly string[]): void {
  const wireNames = new Set<string>()
  for (const [name, attribute] of Object.entries(fields)) {
    const path = [...above, name]
    if (path.length > schemaDepthMaximum) throw new Error(`BUG: ${path.join('.')} of a schema is nested too deeply`)
    const wrong = whatIsWrong(name, attribute, wireNames)
    if (wrong !== undefined) throw new Error(`BUG: ${path.join('.')} of a schema ${wrong}`)
    wireNames.add(toSnakeCase(name))
    const nested = nestedFields(attribute)
    if (nested !== undefined) assertFields(nested, path)
  }
}

function whatIsWrong(name: string, attribute: Attribute, taken: ReadonlySet<string>): string | undefined {
  if (!/^[a-z][A-Za-z0-9]*$/.test(name)) return 'is not named in camelCase'
  if (taken.has(toSnakeCase(name))) return 'has the snake_case name of another'
  if (attribute.presence === 'element') return 'is neither required nor optional nor computed'
  if (isTooNested(attribute.type))
    return 'has objects in collections of collections, which the protocol can not describe'
  if (attribute.writeOnly && !['required', 'optional'].includes(attribute.presence)) {
    return 'is write-only, and so must be required or optional'
  }
  return undefined
}

/** Attributes are described of an object, and of the objects in one collection. */
function isTooNested(type: ValueType, collections = 0): boolean {
  if (type.kind === 'object') return collections > 1
  return type.kind === 'list' || type.kind === 'set' || type.kind === 'map'
    ? isTooNested(type.of.type, collections + 1)
    : false
}

/** The attributes within: of an object, or of the objects in a collection. */
export function nestedFields({ type }: Attribute): Fields | undefined {
  switch (type.kind) {
    case 'object':
      return type.fields
    case 'list':
    case 'set':
    case 'map':
      return nestedFields(type.of)
    default:
      return undefined
  }
}
