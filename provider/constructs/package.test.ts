/**
 * The package as users have it: the examples in a project of their own, with cdktf and with its successor under the same
 * name, from the sources and from what is built for those who do not run Bun.
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { constructsExamples, constructsLibraries, createConstructsProject } from '../../test/constructs-project.ts'

setDefaultTimeout(60_000)
const repository = new URL('../..', import.meta.url).pathname
const examples = constructsExamples
const libraries = constructsLibraries

let root: string

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-package-'))
  run([join(repository, 'scripts/build-constructs')], repository)
  for (const library of libraries) createConstructsProject(join(root, library), library)
})

afterAll(() => rmSync(root, { recursive: true, force: true }))

function run(argv: readonly string[], folder: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...argv], { cwd: folder, env: { PATH: process.env.PATH } })
  if (exitCode !== 0) throw new Error(`${argv.join(' ')} ended with ${exitCode}: ${stdout}${stderr}`)
  return stdout.toString()
}

type Stack = Readonly<Record<string, unknown>>

/** The stack without what the library says of itself, and where it is. */
function synthesize(library: string, example: string, program = 'main.ts'): Stack {
  const folder = join(root, library, example)
  run([process.execPath, program], folder)
  const text = readFileSync(join(folder, 'cdktf.out/stacks', example, 'cdk.tf.json'), 'utf8')
  const withoutMetadata = (key: string, value: unknown) => (key === '//' || key === 'backend' ? undefined : value)
  return JSON.parse(text, withoutMetadata) as Stack
}

describe.each(examples)('the example %s', (example) => {
  test('is the same by cdktf and by its successor', () => {
    const stack = synthesize('cdktf', example)
    expect(stack.resource).toHaveProperty('sluice_load_balancer')
    expect(synthesize('cdktn', example)).toEqual(stack)
  })
})

test('what is built gives the same as the sources', () => {
  const stack = synthesize('cdktf', 'topology')
  const folder = join(root, 'cdktf/topology')
  const built = '../node_modules/sluice/dist/constructs/index.js'
  const text = readFileSync(join(folder, 'main.ts'), 'utf8').replace("'sluice/constructs'", `'${built}'`)
  writeFileSync(join(folder, 'built.ts'), text)
  expect(synthesize('cdktf', 'topology', 'built.ts')).toEqual(stack)
})

test.each(libraries)('its types are those of %s', (library) => {
  const folder = join(root, library)
  const compilerOptions = {
    strict: true,
    noEmit: true,
    module: 'Preserve',
    moduleResolution: 'bundler',
    target: 'ESNext',
  }
  const types = { types: ['bun'], skipLibCheck: true }
  const files = examples.map((example) => `${example}/main.ts`)
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...compilerOptions, ...types }, files }),
  )
  const tsc = [process.execPath, '--bun', join(repository, 'node_modules/.bin/tsc'), '--project', folder]
  run(tsc, folder)
  const wrong = "import { Network } from 'sluice/constructs'\nexport const wrong = (of: Network): number => of.name\n"
  writeFileSync(join(folder, 'web-service/main.ts'), wrong)
  expect(() => run(tsc, folder)).toThrow("Type 'string' is not assignable to type 'number'")
})
