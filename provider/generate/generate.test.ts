import { expect, test } from 'bun:test'
import { sluiceProvider } from '../provider.ts'
import { findStale, generateFiles } from './generate.ts'

test('what is generated from the schema is as `scripts/generate-provider` writes it', () => {
  expect(findStale(generateFiles(sluiceProvider))).toEqual([])
})

test('what is generated is the same each time', () => {
  expect(generateFiles(sluiceProvider)).toEqual(generateFiles(sluiceProvider))
})
