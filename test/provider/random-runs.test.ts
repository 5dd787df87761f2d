/**
 * Random objects of every kind in one configuration, by each CLI that is there: applied, planned again, all changed, planned
 * again, destroyed. RANDOM_RUNS says how many there are, so many at once; RANDOM_SEED which:
 *   RANDOM_RUNS=1000 bun test test/provider/random-runs.test.ts
 */

import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { toJsonSyntax } from '../../provider/plugin/testing/to-json-syntax.ts'
import type { RawObject } from '../../provider/plugin/values/raw.ts'
import { openAttached } from './attached.ts'
import { findPrograms } from './command-line.ts'
import { createRandomGround } from './random-ground.ts'
import { type RandomObject, randomObject } from './random-objects.ts'
import { serveTestWorld } from './served-world.ts'

const runs = Number(process.env.RANDOM_RUNS ?? 20)
const seed = Number(process.env.RANDOM_SEED ?? 1)
/** As many as the quota of a project lets in. */
const atOnce = 40
setDefaultTimeout(120_000 + runs * 2000)

const folder = mkdtempSync(join(tmpdir(), 'sluice-random-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

type Cli = Awaited<ReturnType<typeof openAttached>>

function configure(cli: Cli, objects: readonly RandomObject[], pick: (object: RandomObject) => RawObject): void {
  const types = Map.groupBy(objects.entries(), ([, { type }]) => type)
  const resources = [...types].map(([type, entries]) => {
    const fields = cli.provider.resources?.find(({ name }) => name === type)?.schema.fields ?? {}
    const own = entries.map(([index, object]) => `"o${index}": ${toJsonSyntax(fields, pick(object))}`)
    return `"sluice_${type}": {${own.join(',\n')}}`
  })
  cli.write('main.tf.json', `{"resource": {${resources.join(',\n')}}}`)
}

/** Applied as it is, and nothing is left to plan. */
async function settle(cli: Cli): Promise<string> {
  const said = await cli.succeed('apply', '-auto-approve', '-input=false')
  await cli.succeed('plan', '-detailed-exitcode', '-input=false')
  return said
}

async function live(cli: Cli, objects: readonly RandomObject[]): Promise<void> {
  configure(cli, objects, ({ first }) => first)
  expect(await settle(cli)).toContain(`${objects.length} added, 0 changed, 0 destroyed`)
  configure(cli, objects, ({ second }) => second)
  expect(await settle(cli)).toMatch(/0 added, \d+ changed, 0 destroyed/)
  expect(await cli.succeed('destroy', '-auto-approve')).toContain(`${objects.length} destroyed`)
}

describe.each(findPrograms())('by %s', (program) => {
  test(`${runs} random objects become what was planned, are changed in place, and go`, async () => {
    const world = await serveTestWorld()
    const objects = fc.sample(randomObject(await createRandomGround(world)), { numRuns: runs, seed })
    const cli = await openAttached(program, world, folder)
    for (let index = 0; index < runs; index += atOnce) await live(cli, objects.slice(index, index + atOnce))
    await cli.close()
    await world.close()
  })
})
