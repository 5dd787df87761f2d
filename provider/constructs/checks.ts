/**
 * What the constructs check when a stack is synthesized: the API's own schemas on what is known by then. All that is wrong
 * is told at once, each with the construct's path, before Terraform is run. Pure but for the list that a construct keeps.
 */

import * as cdktf from 'cdktf'
import type { IConstruct } from 'constructs'
import * as v from 'valibot'
import { nameSchema } from '../../controller/contract/common.ts'

/** At synthesis, so that what was changed in the meantime counts. */
export function addCheck(construct: IConstruct, check: () => readonly string[]): void {
  construct.node.addValidation({ validate: () => [...check()] })
}

/** Sentences on what the API would refuse; a token is known only to Terraform, and passes. */
export function findProblems(name: string, schema: v.GenericSchema, value: unknown): readonly string[] {
  if (value === undefined || holdsToken(value)) return []
  const { issues } = v.safeParse(schema, value)
  return (issues ?? []).map(({ message, path = [], input }) => {
    const where = [name, ...path.map(({ key }) => String(key))].join('.')
    return `${where} ${message}${typeof input === 'object' ? '' : `, and is ${JSON.stringify(input)}`}`
  })
}

function holdsToken(value: unknown): boolean {
  if (cdktf.Token.isUnresolved(value)) return true
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsToken)
}

/** As the provider has it: the API would cut spaces off, and what is applied would not be what was planned. */
export const plainNameSchema = v.pipe(
  v.string(),
  v.check((name) => name === name.trim(), 'must not begin or end with a space'),
  nameSchema,
)

/** A whole number within a range. */
export const countSchema = (least: number, most: number) => {
  const message = `must be a whole number, ${least} to ${most}`
  return v.pipe(v.number(message), v.integer(message), v.minValue(least, message), v.maxValue(most, message))
}

/** What stands for an object of Sluice: its construct, or its id. */
export type Reference = string | { readonly id: string }

export const idOf = (reference: Reference) => (typeof reference === 'string' ? reference : reference.id)

/** Lower-case letters, digits and hyphens, as names of machines must be; from any name. */
export function labelOf(name: string): string {
  const label = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
  return label === '' ? 'machine' : label.slice(0, 50).replace(/-+$/, '')
}
