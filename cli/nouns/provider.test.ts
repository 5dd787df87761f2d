import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { installProvider } from './provider.ts'

test('puts the provider where both CLIs look, and says so in a configuration; again, it is replaced', () => {
  const folder = mkdtempSync(join(tmpdir(), 'install-'))
  const binary = join(folder, 'built')
  for (const text of ['the first', 'the second']) {
    writeFileSync(binary, text)
    const settings = installProvider({ folder: join(folder, 'to'), binary, platform: 'linux_amd64' })
    expect(readFileSync(settings, 'utf8')).toContain(`path    = "${join(folder, 'to/providers')}"`)
    for (const registry of ['registry.opentofu.org', 'registry.terraform.io']) {
      const place = join(folder, 'to/providers', registry, 'sluice/sluice', packageJson.version, 'linux_amd64')
      expect(readdirSync(place)).toEqual([`terraform-provider-sluice_v${packageJson.version}`])
      const file = join(place, `terraform-provider-sluice_v${packageJson.version}`)
      expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual([text, 0o755])
    }
  }
  rmSync(folder, { recursive: true })
})

test('says how it is built, where it is not', () => {
  const missing = { folder: join(tmpdir(), 'nowhere'), binary: join(tmpdir(), 'no-such-provider') }
  expect(() => installProvider(missing)).toThrow('scripts/build terraform-provider-sluice')
})
