/** The rules of the house that a program can check, each a pure function from a file to what is wrong with it. */

import { dirname, join } from 'node:path/posix'

export type SourceFile = { readonly path: string; readonly text: string }
export type Rule = { readonly name: string; readonly violations: (file: SourceFile) => readonly string[] }

export const linesMaximum = 400

type Import = { readonly from: string; readonly names: readonly string[]; readonly isTypeOnly: boolean }

/** What a room may import besides itself and packages. Folders end with a slash. Rooms that are not here may import all. */
const allowedImports: Readonly<Record<string, readonly string[]>> = {
  'agent/contract/': ['agent/contract/'],
  'agent/': ['agent/', 'templates/', 'package.json'],
  'controller/contract/': ['controller/contract/', 'agent/contract/'],
  'controller/': ['controller/', 'agent/contract/', 'package.json'],
  'templates/': ['templates/'],
  'lab/': ['lab/', 'controller/contract/'],
  'cli/': ['cli/', 'controller/contract/', 'lab/', 'package.json'],
  // It can be lifted out, with its packages.
  'provider/plugin/': ['provider/plugin/'],
  'provider/': ['provider/', 'controller/contract/', 'package.json'],
  'examples/': ['examples/', 'controller/contract/'],
}

/** A template's input is what the contract says: its types, which are gone before anything runs. */
const allowedTypeImports: Readonly<Record<string, readonly string[]>> = { 'templates/': ['agent/contract/'] }

export const importDirections: Rule = {
  name: 'imports follow the data',
  violations: ({ path, text }) => {
    const room = Object.keys(allowedImports).find((folder) => path.startsWith(folder))
    if (room === undefined) return []
    return importsOf(text).flatMap(({ from, isTypeOnly }) => {
      if (!from.startsWith('.')) return []
      const target = join(dirname(path), from)
      const forTypes = isTypeOnly ? (allowedTypeImports[room] ?? []) : []
      // A test may use the whole of its room, and what tests of several rooms share, which is in test/.
      const forTests = isTest(path) ? ['test/', `${room.split('/')[0]}/`] : []
      const allowed = [...(allowedImports[room] ?? []), ...forTypes, ...forTests]
      if (allowed.some((one) => target === one || (one.endsWith('/') && target.startsWith(one)))) return []
      return [`imports ${target}; ${room} may import ${allowed.join(', ')}`]
    })
  },
}

/** Of node:fs, what changes nothing. */
const readingFunctions = new Set(
  [
    'access',
    'close',
    'exists',
    'fstat',
    'lstat',
    'open',
    'read',
    'readFile',
    'readdir',
    'readlink',
    'realpath',
    'stat',
    'statfs',
    'watch',
  ]
    .flatMap((name) => [name, `${name}Sync`])
    .concat(
      'openSync',
      'readSync',
      'closeSync',
      'fstatSync',
      'constants',
      'createReadStream',
      'watchFile',
      'unwatchFile',
    ),
)
const spawningModules = ['node:child_process', 'child_process', 'execa', 'bun']
const fileModules = ['node:fs', 'fs', 'node:fs/promises', 'fs/promises']
/** A file may be opened, but only to be read. */
const opensToWrite = /\bopenSync\([^)]*,\s*(['"`](w|a|r\+)|[^'"`\s])/
const spawningCalls = [/\bBun\.spawn(Sync)?\b/, /\bBun\.\$/, /\bBun\.write\b/, /\.writer\(/, opensToWrite]

export const onlyOperationsAct: Rule = {
  name: 'within agent/ only operations/ spawns and writes',
  violations: ({ path, text }) => {
    if (!path.startsWith('agent/') || path.startsWith('agent/operations/') || isTest(path)) return []
    const code = withoutComments(text)
    const calls = spawningCalls.flatMap((call) => (call.test(code) ? [`uses ${call.exec(code)?.[0]}`] : []))
    const imports = importsOf(text).flatMap(({ from, names, isTypeOnly }) => {
      if (isTypeOnly) return []
      if (spawningModules.includes(from)) return [`imports ${from}`]
      if (!fileModules.includes(from)) return []
      return names.filter((name) => !readingFunctions.has(name)).map((name) => `imports ${name} of ${from}`)
    })
    return [...calls, ...imports].map((what) => `${what}; give an operation to agent/operations instead`)
  },
}

export const filesAreShort: Rule = {
  name: `files have at most ${linesMaximum} lines`,
  violations: ({ path, text }) => {
    const lines = text.trimEnd().split('\n').length
    // What is generated is as long as what it is generated from, and read by nobody from its top to its end.
    return lines <= linesMaximum || path.includes('/generated/') ? [] : [`has ${lines} lines`]
  },
}

export const filesSayWhatTheyAre: Rule = {
  name: 'a file opens with a sentence that says what it is',
  violations: ({ path, text }) =>
    isTest(path) || /^(#![^\n]*\n)?\/\*\*/.test(text) ? [] : ['does not open with a doc comment'],
}

const untyped = /[:<,|&=]\s*any\b(?!\s*[(.:])|\bas any\b|\bany\[\]/
const shortcuts: readonly (readonly [RegExp, string])[] = [
  [/\b(test|it|describe)\.(skip|todo|only|failing|skipIf|todoIf)\b/, 'a test that may not run'],
  [/@ts-(ignore|expect-error|nocheck)/, 'a type error that is hidden'],
  [/biome-ignore|eslint-disable/, 'a lint rule that is switched off'],
  [/\b(TODO|FIXME|XXX)\b/, 'work that is put off'],
]

export const noShortcuts: Rule = {
  name: 'no any, no skipped test, nothing hidden, nothing put off',
  violations: ({ text }) => {
    // `any` is a word that comments and strings may use; the rest is forbidden in comments above all.
    const code = withoutComments(text).split('\n').map(withoutStrings)
    return text
      .split('\n')
      .flatMap((line, index) => [
        ...(untyped.test(code[index] ?? '') ? [`line ${index + 1} has any: say what it is, or unknown`] : []),
        ...shortcuts.flatMap(([pattern, what]) => (pattern.test(line) ? [`line ${index + 1} has ${what}`] : [])),
      ])
  },
}

const noises: readonly RegExp[] = [
  /\bBun\.(serve|listen|spawn|connect)\b/,
  /\.listen\(/,
  /\bprocess\.(env|exit|on|stdout|stderr)\b/,
  /\bconsole\./,
  /\bset(Timeout|Interval)\(/,
]

export const appIsSilent: Rule = {
  name: 'controller/app.ts is silent: it makes the app and does nothing else',
  violations: ({ path, text }) => {
    if (path !== 'controller/app.ts') return []
    const code = withoutComments(text)
    return noises.flatMap((noise) => (noise.test(code) ? [`uses ${noise.exec(code)?.[0]}; that is main.ts's`] : []))
  },
}

const rooms = ['agent/', 'cli/', 'controller/', 'lab/', 'provider/', 'templates/']

export const onlyMainExits: Rule = {
  name: 'only main.ts exits',
  violations: ({ path, text }) => {
    const isRoom = rooms.some((room) => path.startsWith(room)) && !isTest(path)
    if (!isRoom || path.endsWith('/main.ts')) return []
    return /\bprocess\.exit\(/.test(withoutComments(text)) ? ['calls process.exit; throw, or answer a value'] : []
  },
}

const ofAddressSpace = '(pool|poolOccupancy|projectSpace|shard|shardOccupancy|address|migration|move)Kind\\b'
const changesAddressSpace = new RegExp(
  `\\b(write\\(|(update|declare|remove)Object\\(\\s*\\w+,)\\s*\\{\\s*kind:\\s*${ofAddressSpace}`,
)

export const onlyAddressSpaceChangesIt: Rule = {
  name: 'within controller/ only address-space/ changes pools, shards, addresses and migrations',
  violations: ({ path, text }) => {
    const isOther = path.startsWith('controller/') && !/^controller\/(address-space|control-plane)\//.test(path)
    if (!isOther || isTest(path)) return []
    const found = changesAddressSpace.exec(withoutComments(text))
    return found === null ? [] : [`changes ${found[3]}s; ask a service of controller/address-space`]
  },
}

export const rules: readonly Rule[] = [
  importDirections,
  onlyOperationsAct,
  filesAreShort,
  filesSayWhatTheyAre,
  noShortcuts,
  appIsSilent,
  onlyMainExits,
  onlyAddressSpaceChangesIt,
]

const isTest = (path: string) => /\.(test|lab)\.ts$/.test(path)

/** Every import of a file, static, dynamic or handed on. */
export function importsOf(text: string): Import[] {
  const code = withoutComments(text)
  const statements = code.matchAll(/\b(?:import|export)\s+(type\s+)?([\w\s{},*$]*?)\s*\bfrom\s*['"]([^'"]+)['"]/g)
  const plain = code.matchAll(/\bimport\s*\(?\s*['"]([^'"]+)['"]/g)
  return [
    ...[...statements].map(([, type, clause = '', from = '']) => ({
      from,
      names: namesOf(clause),
      isTypeOnly: type !== undefined,
    })),
    ...[...plain].map(([, from = '']) => ({ from, names: ['*'], isTypeOnly: false })),
  ]
}

/** The names that are values: `type` names are gone before anything runs. */
function namesOf(clause: string): string[] {
  return clause
    .replaceAll(/[{}]/g, ',')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && !name.startsWith('type '))
    .map((name) => name.replace(/\s+as\s+.*$/, ''))
}

/** Lines stay where they are, so that they can be counted. */
function withoutComments(text: string): string {
  const withoutBlocks = text.replaceAll(/\/\*[\s\S]*?\*\//g, (block) => block.replaceAll(/[^\n]/g, ''))
  return withoutBlocks.replaceAll(/(^|\s)\/\/.*$/gm, '')
}

const withoutStrings = (text: string) => text.replaceAll(/'[^']*'|"[^"]*"|`[^`]*`|\/(?![*/ ])[^/\n]+\//g, "''")
