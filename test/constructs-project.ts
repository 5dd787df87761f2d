/** A project of a user of the constructs, with the examples in it: what `bun add` would make, by links and copies. */

import { cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

export const constructsExamples = ['web-service', 'blue-green', 'grow-and-evacuate', 'topology', 'adopt'] as const
/** `cdktn` is installed by the name of the other, as `cdktf@npm:cdktn`. */
export const constructsLibraries = ['cdktf', 'cdktn'] as const
export type ConstructsLibrary = (typeof constructsLibraries)[number]

const repository = new URL('..', import.meta.url).pathname
/** Of the package, what its constructs are made of. */
const packageFiles = ['package.json', 'provider', 'controller/contract', 'agent/contract', 'dist/constructs']

/** Wants `scripts/build-constructs` to have been run. */
export function createConstructsProject(folder: string, library: ConstructsLibrary): void {
  const modules = join(folder, 'node_modules')
  mkdirSync(modules, { recursive: true })
  for (const path of packageFiles) cpSync(join(repository, path), join(modules, 'sluice', path), { recursive: true })
  const ofRepository = (name: string) => join(repository, 'node_modules', name)
  for (const name of ['constructs', 'valibot', '@types']) symlinkSync(ofRepository(name), join(modules, name))
  symlinkSync(ofRepository(library), join(modules, 'cdktf'))
  for (const example of constructsExamples) {
    cpSync(join(repository, 'examples/cdktf', example), join(folder, example), { recursive: true })
  }
}
