/** Paths of attributes as the wire and the user know them: snake_case, keys of maps as they are, no way into a set. */

import type { Fields, ValueType } from '../attributes.ts'
import type { AttributePath } from '../diagnostics.ts'
import { toSnakeCase } from '../names.ts'
import { objectType } from '../values/wire.ts'

export type PathStep =
  | { readonly kind: 'attribute'; readonly name: string; readonly isBlock: boolean }
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'index'; readonly index: number }

/** Ends where the path leaves the schema, and at a set, whose elements have no address. */
export function toSteps(fields: Fields, path: AttributePath): readonly PathStep[] {
  const steps: PathStep[] = []
  let type: ValueType | undefined = objectType(fields)
  for (const part of path) {
    const next = stepInto(type, part)
    if (next === undefined) break
    steps.push(next.step)
    type = next.type
  }
  return steps
}

type Entered = { readonly step: PathStep; readonly type: ValueType }

function stepInto(type: ValueType, part: string | number): Entered | undefined {
  if (type.kind === 'object') {
    const field = Object.hasOwn(type.fields, part) ? type.fields[part] : undefined
    return field === undefined
      ? undefined
      : {
          step: { kind: 'attribute', name: toSnakeCase(String(part)), isBlock: field.block !== null },
          type: field.type,
        }
  }
  if (type.kind === 'list' && typeof part === 'number')
    return { step: { kind: 'index', index: part }, type: type.of.type }
  if (type.kind === 'map') return { step: { kind: 'key', key: String(part) }, type: type.of.type }
  return undefined
}

/**
 * As far as the CLI finds the place in what the user wrote: through blocks to an attribute, and to an element of it. With
 * a longer path it shows the whole object and no line.
 */
export function toShownSteps(fields: Fields, path: AttributePath): readonly PathStep[] {
  const steps = toSteps(fields, path)
  const attribute = steps.findIndex((step) => step.kind === 'attribute' && !step.isBlock)
  if (attribute < 0) return steps
  const hasElement = steps[attribute + 1]?.kind !== 'attribute'
  return steps.slice(0, attribute + (hasElement ? 2 : 1))
}

/** @example `showPath(fields, ['listeners', 0, 'targetPort']) // 'listeners[0].target_port'` */
export const showPath = (fields: Fields, path: AttributePath): string =>
  toSteps(fields, path).reduce((text, step) => {
    switch (step.kind) {
      case 'attribute':
        return text === '' ? step.name : `${text}.${step.name}`
      case 'key':
        return `${text}[${JSON.stringify(step.key)}]`
      case 'index':
        return `${text}[${step.index}]`
      default:
        return step satisfies never
    }
  }, '')
