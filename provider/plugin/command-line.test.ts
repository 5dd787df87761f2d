import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { string } from './attributes.ts'
import { defineSchema } from './schema.ts'
import { attach, commandLines } from './testing/command-line.ts'
import { memoryProvider, memoryResource } from './testing/memory.ts'
import { configOf, randomSchema } from './testing/random-schemas.ts'
import { toJsonSyntax } from './testing/to-json-syntax.ts'

const folder = mkdtempSync(join(tmpdir(), 'plugin-cli-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const schemaCount = 15
const objectsPerSchema = 3
const seed = 20_261_121

const schemas = fc.sample(randomSchema, { seed, numRuns: schemaCount }).map(({ fields, ...schema }) => ({
  ...schema,
  fields: { ...fields, id: string({ computed: true, useStateForUnknown: true }) },
}))

/** As many objects of each schema, each time with other configurations. */
const randomConfiguration = (round: number): string => {
  const types = schemas.map(({ fields }, index) => {
    const configs = fc.sample(configOf(fields), { seed: seed + round * schemaCount + index, numRuns: objectsPerSchema })
    const objects = configs.map((config, position) => `"o${position}": ${toJsonSyntax(fields, config)}`)
    return `"memory_thing${index}": {${objects.join(',\n')}}`
  })
  return `{"resource": {${types.join(',\n')}}}`
}

for (const program of commandLines) {
  describe(program, () => {
    test(`${schemaCount * objectsPerSchema} random objects: applied, planned again: nothing changes; so too when all are changed`, async () => {
      const resources = schemas.map((schema, index) => memoryResource(`thing${index}`, schema, 'id'))
      const cli = await attach(program, memoryProvider(resources, defineSchema({})), join(folder, program))
      for (const round of [0, 1]) {
        cli.write('main.tf.json', randomConfiguration(round))
        expect(complaint(await cli.run('apply', '-auto-approve', '-no-color'))).toBe('')
        expect(complaint(await cli.run('plan', '-detailed-exitcode', '-no-color'))).toBe('')
      }
      expect(complaint(await cli.run('destroy', '-auto-approve', '-no-color'))).toBe('')
      await cli.close()
    }, 120_000)
  })
}

/** Empty when it went well; else what was said of errors and changes. */
const complaint = ({ status, output }: { readonly status: number; readonly output: string }) => {
  const said = output
    .slice(Math.max(output.indexOf('Error:'), 0))
    .replaceAll(/^.*: (Refreshing|Creat|Modif|Destr|Still).*\n/gm, '')
  return status === 0 ? '' : `${status}: ${said.slice(0, 5_000)}`
}
