import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { string } from './attributes.ts'
import { defineSchema } from './schema.ts'
import { attach, commandLines, installed } from './testing/command-line.ts'
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

    test('a provider that the CLI starts: what is wrong is told by line, logs are shown, an interruption is heard', async () => {
      const cli = installed(program, join(folder, `${program}-installed`))
      const note = (body: string) => cli.write('main.tf', `resource "test_note" "a" {\n${body}\n}\n`)
      note('  title = "a"\n  links = [\n    { port = 1 },\n    { port = 70000 },\n  ]')
      const refused = await cli.run('validate', '-no-color')
      expect(refused.status).toBe(1)
      expect(refused.output).toContain('Error: links[1].port must be a port, 1 to 65535')
      expect(refused.output).toContain('on main.tf line 5')

      note('  title = "a"\n  weight = 0.1\n  tags = ["b", "a"]\n  password = ephemeral.test_pass.p.word')
      cli.write(
        'more.tf',
        'ephemeral "test_pass" "p" {}\noutput "loud" {\n  value = provider::test::shout(test_note.a.title, 2)\n}\n',
      )
      const logging = { environment: { TF_LOG: 'info' } }
      const applied = await cli.runWith(logging, 'apply', '-auto-approve', '-no-color')
      expect(complaint(applied)).toBe('')
      expect(applied.output).toMatch(/\[INFO\] .*created a note: .*hasPassword=true/)
      expect(applied.output).toContain('loud = "A!!"')
      expect(cli.readState()).not.toContain('xxxxxxxx')
      expect(complaint(await cli.run('plan', '-detailed-exitcode', '-no-color'))).toBe('')

      note('  title = "slow"\n  color = "blue"')
      const interrupting = { ...logging, interruptWhen: (written: string) => written.includes('created a note') }
      const interrupted = await cli.runWith(interrupting, 'apply', '-auto-approve', '-no-color')
      expect(interrupted.output).toContain('Creating test_note was not finished: the run was interrupted')
      note('  title = "slow at last"\n  color = "blue"')
      const last = await cli.runWith(interrupting, 'apply', '-auto-approve', '-no-color')
      expect(last.output).toContain('This test_note is made, but the run was interrupted before it was ready')
      note('  title = "after"\n  color = "blue"')
      expect((await cli.run('apply', '-auto-approve', '-no-color')).output).toContain('0 added, 1 changed, 0 destroyed')
      expect(complaint(await cli.run('destroy', '-auto-approve', '-no-color'))).toBe('')
      expect(readdirSync(join(folder, `${program}-installed`, 'notes'))).toEqual([])
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
