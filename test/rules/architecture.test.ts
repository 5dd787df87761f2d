import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Glob } from 'bun'
import {
  appIsSilent,
  filesAreShort,
  filesSayWhatTheyAre,
  importDirections,
  importsOf,
  linesMaximum,
  noShortcuts,
  onlyAddressSpaceChangesIt,
  onlyMainExits,
  onlyOperationsAct,
  type Rule,
  rules,
} from './rules.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))

/** The rules themselves must write down what they forbid. */
const sources = [...new Glob('**/*.ts').scanSync({ cwd: repository })]
  .filter((path) => !/(^|\/)node_modules\/|^(dist|test\/rules)\//.test(path))
  .toSorted()
  .map((path) => ({ path, text: readFileSync(`${repository}/${path}`, 'utf8') }))

describe('this repository', () => {
  test('is looked at', () => {
    const rooms = new Set(sources.map(({ path }) => path.split('/')[0]))
    for (const room of ['agent', 'cli', 'controller', 'lab', 'templates']) expect(rooms).toContain(room)
  })

  for (const rule of rules) {
    test(rule.name, () => {
      const found = sources.flatMap((file) => rule.violations(file).map((violation) => `${file.path} ${violation}`))
      expect(found).toEqual([])
    })
  }
})

describe('each rule can fail', () => {
  const doc = '/** A file. */\n'
  const bad: readonly (readonly [Rule, string, string])[] = [
    [importDirections, 'agent/x.ts', "import { a } from '../controller/a.ts'"],
    [importDirections, 'agent/contract/x.ts', "import { a } from '../operations/a.ts'"],
    [importDirections, 'controller/a/x.ts', "import type { a } from '../../agent/operations/a.ts'"],
    [importDirections, 'controller/x.ts', "export * from '../cli/a.ts'"],
    [importDirections, 'controller/contract/x.ts', "import { a } from '../routes/a.ts'"],
    [importDirections, 'cli/x.ts', "const a = await import('../controller/app.ts')"],
    [importDirections, 'provider/plugin/calls/x.ts', "import { createApi } from '../../api/api.ts'"],
    [importDirections, 'lab/x.ts', "import { a } from '../cli/a.ts'"],
    [importDirections, 'templates/x.ts', "import { schema } from '../agent/contract/host-instructions.ts'"],
    [importDirections, 'templates/x.ts', "import\n  {\n  a,\n  b\n}\nfrom '../agent/haproxy/a.ts'"],
    [onlyOperationsAct, 'agent/kernel/x.ts', "import { readFileSync, writeFileSync } from 'node:fs'"],
    [onlyOperationsAct, 'agent/kernel/x.ts', "import * as files from 'node:fs'"],
    [onlyOperationsAct, 'agent/kernel/x.ts', "import { execa } from 'execa'"],
    [onlyOperationsAct, 'agent/main.ts', "const file = openSync('/etc/hosts', 'a')"],
    [onlyOperationsAct, 'agent/main.ts', "const file = openSync('/etc/hosts', constants.O_RDWR)"],
    [onlyOperationsAct, 'agent/main.ts', "Bun.spawn(['ip', 'link'])"],
    [onlyOperationsAct, 'agent/main.ts', "await Bun.write('/etc/hosts', '')"],
    [filesAreShort, 'agent/x.ts', `${'\n'.repeat(linesMaximum)}x`],
    [filesSayWhatTheyAre, 'agent/x.ts', "import { a } from './a.ts'"],
    [noShortcuts, 'agent/x.ts', 'const a: any = 1'],
    [noShortcuts, 'agent/x.ts', 'const a = b as any'],
    [noShortcuts, 'agent/x.ts', 'const a: Map<string, any> = b'],
    [noShortcuts, 'agent/x.test.ts', "test.skip('later', () => {})"],
    [noShortcuts, 'agent/x.test.ts', "describe.only('this', () => {})"],
    [noShortcuts, 'agent/x.ts', '// @ts-expect-error it is wrong'],
    [noShortcuts, 'agent/x.ts', '// biome-ignore lint: it is right'],
    [noShortcuts, 'agent/x.ts', '// TODO the rest'],
    [appIsSilent, 'controller/app.ts', 'Bun.serve({ fetch: app.fetch })'],
    [appIsSilent, 'controller/app.ts', 'const port = process.env.PORT'],
    [appIsSilent, 'controller/app.ts', "console.log('ready')"],
    [onlyMainExits, 'controller/routes/x.ts', 'process.exit(1)'],
    [onlyAddressSpaceChangesIt, 'controller/machines/x.ts', 'write({ kind: shardKind, id, expect, value })'],
    [onlyAddressSpaceChangesIt, 'controller/routes/x.ts', 'updateObject(context, { kind: poolKind, id, apply })'],
    [onlyAddressSpaceChangesIt, 'controller/reconcile/x.ts', 'removeObject(\n  context,\n  {\n    kind: moveKind,'],
  ]
  for (const [rule, path, text] of bad) {
    test(`${rule.name}: ${path} with ${text.trim().slice(0, 60).replaceAll('\n', ' ')}`, () => {
      const isAboutTheOpening = rule === filesSayWhatTheyAre
      expect(rule.violations({ path, text: isAboutTheOpening ? text : `${doc}${text}` })).not.toEqual([])
    })
  }
})

describe('what is allowed passes', () => {
  const good: readonly (readonly [string, string])[] = [
    ['agent/x.ts', "import { render } from '../templates/haproxy.ts'\nimport { readFileSync } from 'node:fs'"],
    ['agent/x.ts', "import { openSync } from 'node:fs'\nexport const file = openSync('/proc/stat', 'r')"],
    ['controller/a/x.ts', "import { schema } from '../../agent/contract/host-report.ts'"],
    ['templates/x.ts', "import type { Instance } from '../agent/contract/host-instructions.ts'"],
    ['agent/operations/x.ts', "import { writeFileSync } from 'node:fs'\nBun.spawn([])"],
    ['cli/x.ts', "import { labSettings } from '../lab/lab.ts'\n// any address will do"],
    ['lab/x.ts', "const text = 'in any case'\nexport const anyone = [text].every((any) => any !== '')"],
    ['controller/main.ts', 'process.exit(1)'],
    [
      'controller/routes/x.ts',
      'write({ kind: machineKind, id, expect, value })\nexport const noun = { kind: shardKind }',
    ],
    ['controller/routes/app.ts', 'setTimeout(() => {}, 1) // what app.ts may not, others may'],
  ]
  for (const [path, text] of good) {
    test(`${path} with ${text.slice(0, 60).replaceAll('\n', ' ')}`, () => {
      const file = { path, text: `/** A file. */\n${text}` }
      expect(rules.flatMap((rule) => rule.violations(file))).toEqual([])
    })
  }

  test('imports are read whatever their form', () => {
    const text = [
      "import a, { b, type C } from './one.ts'",
      "import type { D } from './two.ts'",
      "export { e } from './three.ts'",
      "import './four.ts'",
      "await import('./five.ts')",
      "// import { f } from './six.ts'",
    ].join('\n')
    expect(importsOf(text)).toEqual([
      { from: './one.ts', names: ['a', 'b'], isTypeOnly: false },
      { from: './two.ts', names: ['D'], isTypeOnly: true },
      { from: './three.ts', names: ['e'], isTypeOnly: false },
      { from: './four.ts', names: ['*'], isTypeOnly: false },
      { from: './five.ts', names: ['*'], isTypeOnly: false },
    ])
  })
})
