/** Attributes that many nouns have, and what the API's contract asks of a value, as validators. Pure. */

import * as v from 'valibot'
import { idSchema, labelSchema, nameSchema } from '../../controller/contract/common.ts'
import { parseBlock } from '../functions/blocks.ts'
import {
  type Attribute,
  type Fields,
  integer,
  list,
  object,
  string,
  timeouts,
  type Validator,
  validator,
} from '../plugin/index.ts'

/** Holds where the contract's schema lets the value in. `must` completes the sentence "port must …". */
export const admittedBy = <Value>(schema: v.GenericSchema<Value, unknown>, must: string): Validator<Value> =>
  validator<Value>(must, (value) => v.safeParse(schema, value).success)

export const anId = (prefix: string): Validator<string> =>
  admittedBy(idSchema(prefix), `be an id that begins with ${prefix}_, as another resource's \`id\` is`)

export const aName = (): Validator<string> =>
  validator('be 1 to 128 characters, none of them a control character, with no space at either end', (text: string) => {
    const parsed = v.safeParse(nameSchema, text)
    return parsed.success && parsed.output === text
  })

export const aLabel = (): Validator<string> =>
  admittedBy(labelSchema, 'be lower-case letters, digits and hyphens, at most 63, with no hyphen at either end')

/** Whole, so that nobody writes an address of a block and means the block. */
export const aBlock = (
  must: string,
  bits: { readonly 4: readonly [number, number]; readonly 6: readonly [number, number] },
) =>
  validator<string>(must, (text) => {
    const block = parseBlock(text)
    return block !== null && block.bits >= bits[block.family][0] && block.bits <= bits[block.family][1]
  })

export const id = (noun: string) =>
  string({
    computed: true,
    useStateForUnknown: true,
    description: `The id of the ${noun}, by which others refer to it.`,
  })

export const createdAt = () =>
  string({ computed: true, useStateForUnknown: true, description: 'When it was created, RFC 3339.' })

export const projectId = () =>
  string({
    required: true,
    requiresReplace: true,
    validators: [anId('prj')],
    description: 'The project that it belongs to.',
  })

/** How long it may take until hosts have done what is asked of them. */
export const hostTimeouts = () => timeouts({ createSeconds: 300, updateSeconds: 300, deleteSeconds: 300 })

/** What objects show that changes by itself: a data source says how it is at the moment. */
export const momentaryFields: Fields = {
  status: string({ computed: true, description: 'In one word, how it is.' }),
  version: integer({ computed: true, description: 'Counts the changes of what is wanted of it.' }),
  shardKey: string({ computed: true, description: 'Where on the ring of keys the controller keeps it.' }),
  updatedAt: string({ computed: true, description: 'When what is wanted of it last changed, RFC 3339.' }),
  conditions: list(
    object({
      type: string({ computed: true, description: 'What it is about.' }),
      status: string({ computed: true, description: '`true`, `false` or `unknown`.' }),
      reason: string({ computed: true, description: 'Why, in one word for programs.' }),
      message: string({ computed: true, description: 'Why, in a sentence for people.' }),
      changedAt: string({ computed: true, description: 'When it last changed, RFC 3339.' }),
    }),
    { computed: true, description: 'The detail behind the status.' },
  ),
}

/** The same attributes, decided by the provider alone: what a data source shows of a resource. */
export function asComputed(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).map(([name, attribute]) => [name, computeAttribute(attribute)]))
}

function computeAttribute(attribute: Attribute): Attribute {
  const { type, description, sensitive } = attribute
  return {
    type: computeType(type),
    presence: attribute.presence === 'element' ? 'element' : 'computed',
    nullable: attribute.presence !== 'element',
    writeOnly: false,
    sensitive,
    description,
    deprecated: null,
    default: null,
    validators: [],
    requiresReplace: false,
    useStateForUnknown: false,
    block: null,
    timeouts: null,
  }
}

function computeType(type: Attribute['type']): Attribute['type'] {
  switch (type.kind) {
    case 'object':
      return { kind: 'object', fields: asComputed(type.fields), rules: [] }
    case 'list':
    case 'set':
    case 'map':
      return { kind: type.kind, of: computeAttribute(type.of) }
    case 'string':
      return { kind: 'string', oneOf: null }
    default:
      return type
  }
}
