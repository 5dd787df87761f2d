/**
 * A folder in which OpenTofu or Terraform is run as somebody at a shell does: with the provider as it was just built, the
 * controller's address and token in the environment, and nothing fetched. Writes in temporary folders only.
 */

import { cpSync, linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as v from 'valibot'
import packageJson from '../../package.json'
import { type Finished, finish, repository } from './lab-client.ts'

export type Variables = Readonly<Record<string, unknown>>

export interface PlannedChange {
  readonly address: string
  /** `create`, `update`, `delete`, `delete create`, … */
  readonly actions: string
  readonly isImport: boolean
}

export interface TerraformWorkspace {
  readonly folder: string
  /** Rejects where the command does not end well. */
  run(...argv: readonly string[]): Promise<Finished>
  /** Rejects in the same way; `-var` for each variable. */
  apply(variables?: Variables): Promise<Finished>
  destroy(variables?: Variables): Promise<Finished>
  /** What an apply would change; reads are none. */
  plan(variables?: Variables): Promise<readonly PlannedChange[]>
  /** Resolves where a plan has nothing to change; rejects with the plan otherwise. */
  expectNoChange(variables?: Variables): Promise<void>
  output(name: string): Promise<unknown>
  remove(): void
}

export interface WorkspaceOptions {
  /** A folder with a configuration, which is copied. */
  readonly source: string
  readonly environment: Readonly<Record<string, string>>
  /** The file that says where the provider is installed; left out: it is as it was just built. */
  readonly installed?: string
}

const binary = join(repository, 'dist/terraform-provider-sluice')
const platform = `linux_${process.arch === 'arm64' ? 'arm64' : 'amd64'}`
/** Each CLI looks below its own registry's name. */
const registries = ['registry.opentofu.org', 'registry.terraform.io']

/** OpenTofu where it is there, as in CI; else Terraform. */
export function findCli(): string {
  const found = Bun.which('tofu') ?? Bun.which('terraform')
  if (found === null) throw new Error('neither tofu nor terraform is on PATH; scripts/setup installs OpenTofu')
  return found
}

/** The file that says where the CLI finds the provider. */
export const cliSettings = 'cli.tfrc'

/** The provider as it is installed, and that file; returns its path. */
export function createMirror(folder: string): string {
  for (const registry of registries) {
    const place = join(folder, 'mirror', registry, 'sluice/sluice', packageJson.version, platform)
    mkdirSync(place, { recursive: true })
    placeBinary(join(place, `terraform-provider-sluice_v${packageJson.version}`))
  }
  const file = join(folder, cliSettings)
  const mirror = `filesystem_mirror {\n    path = ${JSON.stringify(join(folder, 'mirror'))}\n  }`
  writeFileSync(file, `provider_installation {\n  ${mirror}\n}\n`)
  return file
}

/** The provider as whoever develops it has it: nothing is unpacked, and no checksum taken with each command. */
function createOverride(folder: string): string {
  const file = join(folder, cliSettings)
  const override = `dev_overrides {\n    "sluice/sluice" = ${JSON.stringify(dirname(binary))}\n  }\n  direct {}`
  writeFileSync(file, `provider_installation {\n  ${override}\n}\n`)
  return file
}

/** The very file that there is now, whatever is built meanwhile: its checksum is taken once and compared each time. */
function placeBinary(path: string): void {
  try {
    linkSync(binary, path)
  } catch {
    // On another disk it has to be a copy.
    cpSync(binary, path)
  }
}

export async function openWorkspace({ source, environment, installed }: WorkspaceOptions): Promise<TerraformWorkspace> {
  const root = mkdtempSync(join(tmpdir(), 'sluice-terraform-'))
  const folder = join(root, 'configuration')
  cpSync(source, folder, { recursive: true })
  const settings = {
    ...environment,
    TF_CLI_CONFIG_FILE: installed ?? createOverride(root),
    TF_IN_AUTOMATION: '1',
    CHECKPOINT_DISABLE: '1',
  }
  const attempt = (...argv: readonly string[]) => finish([findCli(), ...argv], folder, settings)
  const run = async (...argv: readonly string[]) => {
    const finished = await attempt(...argv)
    if (finished.exitCode === 0) return finished
    throw new Error(`${argv.join(' ')} ended with ${finished.exitCode}:\n${finished.stdout}${finished.stderr}`)
  }
  // Of what is not installed only modules are to be looked for.
  await (installed === undefined ? run('get', '-no-color') : run('init', '-input=false', '-no-color'))
  return {
    folder,
    run,
    apply: (variables) => run('apply', ...common, '-auto-approve', ...flags(variables)),
    destroy: (variables) => run('destroy', ...common, '-auto-approve', ...flags(variables)),
    async plan(variables) {
      await run('plan', ...common, '-out=planned', ...flags(variables))
      const { stdout } = await run('show', '-json', 'planned')
      return readChanges(JSON.parse(stdout))
    },
    async expectNoChange(variables) {
      await run('plan', ...common, '-detailed-exitcode', ...flags(variables))
    },
    async output(name) {
      const { stdout } = await run('output', '-json', name)
      return JSON.parse(stdout) as unknown
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  }
}

const common = ['-input=false', '-no-color']

const flags = (variables: Variables = {}) =>
  Object.entries(variables).map(
    ([name, value]) => `-var=${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )

const planSchema = v.object({
  resource_changes: v.optional(
    v.array(
      v.object({
        address: v.string(),
        mode: v.string(),
        change: v.object({ actions: v.array(v.string()), importing: v.optional(v.unknown()) }),
      }),
    ),
    [],
  ),
})

function readChanges(plan: unknown): readonly PlannedChange[] {
  return v.parse(planSchema, plan).resource_changes.flatMap(({ address, mode, change }) => {
    const actions = change.actions.join(' ')
    const isImport = change.importing !== undefined
    return mode !== 'managed' || (actions === 'no-op' && !isImport) ? [] : [{ address, actions, isImport }]
  })
}
