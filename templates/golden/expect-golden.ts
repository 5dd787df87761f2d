/** Compares a rendered text with its golden file. `SLUICE_WRITE_GOLDEN=1` writes the files anew, for a look at the diff. */

import { expect } from 'bun:test'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

export function expectGolden(name: string, text: string): void {
  const path = `${import.meta.dir}/${name}`
  if (process.env.SLUICE_WRITE_GOLDEN === '1') writeFileSync(path, text)
  expect(existsSync(path) ? readFileSync(path, 'utf8') : `there is no ${path}`).toBe(text)
}
