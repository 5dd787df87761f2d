#!/usr/bin/env bun
/** `scripts/generate-provider [--check]`: writes what is generated from the provider's schema, or says what is stale. */

import { sluiceProvider } from '../provider.ts'
import { findStale, generateFiles, writeFiles } from './generate.ts'

const files = generateFiles(sluiceProvider)
const stale = findStale(files)
if (process.argv.includes('--check')) {
  for (const sentence of stale) process.stderr.write(`${sentence}\n`)
  if (stale.length > 0) process.stderr.write('run scripts/generate-provider and commit what it writes\n')
  process.exit(stale.length === 0 ? 0 : 1)
}
writeFiles(files)
process.stdout.write(`${files.length} files, ${stale.length} of them changed\n`)
