/**
 * Everything that is generated from the provider's schema, as it should be in the repository, and what of it is not so.
 * Reads the repository; writes in a temporary folder only, where Biome formats the bindings.
 */

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Provider } from '../plugin/index.ts'
import { readProvider } from './read-provider.ts'
import type { GeneratedFile } from './render-bindings.ts'
import { renderBindings } from './render-bindings.ts'
import { renderDocuments } from './render-documents.ts'

export const repository = new URL('../..', import.meta.url).pathname
const bindingsFolder = 'provider/constructs/bindings/generated'
const documentsFolder = 'docs/provider'
const snippetsFolder = 'examples/terraform/snippets'
/** Of the folder of documents, what people write. */
const byHand = 'guides'

/** With paths from the repository's root. */
export const generateFiles = <Client>(provider: Provider<Client>): readonly GeneratedFile[] => [
  ...generateBindings(provider),
  ...generateDocuments(provider),
]

export const generateBindings = <Client>(provider: Provider<Client>): readonly GeneratedFile[] =>
  within(bindingsFolder, formatTypeScript(renderBindings(readProvider(provider))))

export const generateDocuments = <Client>(provider: Provider<Client>): readonly GeneratedFile[] =>
  within(documentsFolder, renderDocuments(readProvider(provider), readSnippets()))

const within = (folder: string, files: readonly GeneratedFile[]) =>
  files.map(({ path, text }) => ({ path: `${folder}/${path}`, text }))

/** Sentences that say what differs from the repository; none: all is as it should be. */
export function findStale(files: readonly GeneratedFile[]): readonly string[] {
  const wanted = new Map(files.map(({ path, text }) => [path, text]))
  const present = [bindingsFolder, documentsFolder].flatMap(listGenerated)
  return [
    ...present.filter((path) => !wanted.has(path)).map((path) => `${path} is left over`),
    ...files.flatMap(({ path, text }) => {
      if (!existsSync(join(repository, path))) return [`${path} is missing`]
      return readFileSync(join(repository, path), 'utf8') === text ? [] : [`${path} is not what the schema says`]
    }),
  ]
}

export function writeFiles(files: readonly GeneratedFile[]): void {
  for (const path of [bindingsFolder, documentsFolder].flatMap(listGenerated)) rmSync(join(repository, path))
  writeInto(repository, files)
}

function listGenerated(folder: string): readonly string[] {
  const root = join(repository, folder)
  if (!existsSync(root)) return []
  const entries = readdirSync(root, { recursive: true, withFileTypes: true })
  return entries.flatMap((entry) => {
    const path = join(entry.parentPath, entry.name).slice(repository.length)
    return entry.isFile() && !path.startsWith(join(folder, byHand)) ? [path] : []
  })
}

function readSnippets(): Readonly<Record<string, string>> {
  const root = join(repository, snippetsFolder)
  const paths = readdirSync(root, { recursive: true }).map(String)
  const snippets = paths.filter((path) => path.endsWith('.tf'))
  return Object.fromEntries(
    snippets.map((path) => [path.slice(0, -'.tf'.length), readFileSync(join(root, path), 'utf8')]),
  )
}

function formatTypeScript(files: readonly GeneratedFile[]): readonly GeneratedFile[] {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bindings-'))
  try {
    writeInto(folder, files)
    const settings: unknown = JSON.parse(readFileSync(join(repository, 'biome.json'), 'utf8'))
    // Beside nothing of the repository, so that what it ignores and includes has no part in it.
    const own = { ...Object(settings), vcs: { enabled: false }, files: { includes: ['**/*.ts'] } }
    writeFileSync(join(folder, 'biome.json'), JSON.stringify(own))
    const biome = join(repository, 'node_modules/.bin/biome')
    const { exitCode, stderr } = Bun.spawnSync([process.execPath, '--bun', biome, 'check', '--write', '.'], {
      cwd: folder,
    })
    if (exitCode !== 0) throw new Error(`the bindings could not be formatted: ${stderr.toString()}`)
    return files.map(({ path }) => ({ path, text: readFileSync(join(folder, path), 'utf8') }))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function writeInto(folder: string, files: readonly GeneratedFile[]): void {
  for (const { path, text } of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
}
