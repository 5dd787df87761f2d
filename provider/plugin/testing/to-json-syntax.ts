/** Raw configurations in the JSON syntax of the CLI's language, to the last digit. */

import type { Fields, ValueType } from '../attributes.ts'
import { toSnakeCase } from '../names.ts'
import { Decimal } from '../values/decimal.ts'
import { isRawList, isRawObject, type Raw, type RawObject } from '../values/raw.ts'

export const toJsonSyntax = (fields: Fields, config: RawObject): string =>
  braces(
    Object.entries(config).flatMap(([name, raw]) => {
      const field = fields[name]
      // A block that isn't there isn't null.
      if (field === undefined || (raw === null && field.block !== null)) return []
      return [`${JSON.stringify(toSnakeCase(name))}: ${valueSyntax(field.type, raw)}`]
    }),
  )

const braces = (members: readonly string[]) => `{${members.join(', ')}}`

/** What would begin a template is only text. */
const quote = (text: string) => JSON.stringify(text.replaceAll('${', '$${').replaceAll('%{', '%%{'))

function valueSyntax(type: ValueType, raw: Raw): string {
  if (raw === null) return 'null'
  if (raw instanceof Decimal) return raw.text
  if (typeof raw === 'string') return quote(raw)
  if (isRawList(raw)) {
    const of = type.kind === 'list' || type.kind === 'set' ? type.of.type : type
    return `[${raw.map((element) => valueSyntax(of, element)).join(', ')}]`
  }
  if (!isRawObject(raw)) return String(raw)
  if (type.kind === 'object') return toJsonSyntax(type.fields, raw)
  const of = type.kind === 'map' ? type.of.type : type
  return braces(Object.entries(raw).map(([key, value]) => `${quote(key)}: ${valueSyntax(of, value)}`))
}
