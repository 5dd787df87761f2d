/**
 * Runs Terraform or OpenTofu with the provider, as somebody at a shell does: a folder with a configuration, the
 * controller's address and token in the environment, and nothing fetched. Writes in temporary folders only.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'

export interface Finished {
  readonly exitCode: number
  /** Both outputs. */
  readonly text: string
}

export interface Planned {
  /** `update sluice_network.one`, in order; `replace` is one that is deleted and made anew. Reads are none. */
  readonly changes: readonly string[]
  /** `sluice_network.one`: what is not as the state has it. */
  readonly drift: readonly string[]
  readonly outputsChange: boolean
}

export interface CommandLine {
  readonly folder: string
  /** Writes the configuration, in place of the one before. */
  write(configuration: string): void
  /** Whatever comes of it. */
  attempt(command: string, ...argv: readonly string[]): Promise<Finished>
  /** Rejects with what was said where it does not end well. */
  run(command: string, ...argv: readonly string[]): Promise<string>
  apply(...argv: readonly string[]): Promise<string>
  plan(): Promise<Planned>
  start(command: string, ...argv: readonly string[]): Bun.Subprocess<'ignore', 'pipe', 'pipe'>
  remove(): void
}

export interface CommandLineOptions {
  readonly program: string
  /** The folder of the provider's binary. */
  readonly binaries: string
  readonly environment: Readonly<Record<string, string>>
}

/** OpenTofu, which scripts/setup installs, and Terraform where it is there as well. */
export function findPrograms(): readonly string[] {
  if (Bun.which('tofu') === null) throw new Error('tofu is not on PATH; scripts/setup installs it')
  return ['tofu', 'terraform'].filter((program) => Bun.which(program) !== null)
}

/** Commands that ask nothing, and know no way to be told not to. */
const quiet: readonly string[] = ['show', 'output']
const quietly = ['-no-color']
const carefully = ['-no-color', '-input=false']
/** Where none is found, the plan has nothing to say. */
const lineSchema = v.object({
  type: v.string(),
  change: v.optional(v.object({ action: v.string(), resource: v.object({ addr: v.string() }) })),
  outputs: v.optional(v.record(v.string(), v.object({ action: v.optional(v.string()) }))),
})

export function openCommandLine({ program, binaries, environment }: CommandLineOptions): CommandLine {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-terraform-'))
  const own = join(folder, 'configuration')
  mkdirSync(own)
  const settings = join(folder, 'cli.tfrc')
  writeFileSync(
    settings,
    `provider_installation {\n  dev_overrides {\n    "sluice/sluice" = "${binaries}"\n  }\n  direct {}\n}\n`,
  )
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    TF_CLI_CONFIG_FILE: settings,
    TF_IN_AUTOMATION: '1',
    CHECKPOINT_DISABLE: '1',
    ...environment,
  }
  const start = (command: string, ...argv: readonly string[]) =>
    Bun.spawn([program, command, ...(quiet.includes(command) ? quietly : carefully), ...argv], {
      cwd: own,
      env,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
  const attempt = async (command: string, ...argv: readonly string[]) => {
    const child = start(command, ...argv)
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ])
    return { exitCode, text: stdout + stderr }
  }
  const run = async (command: string, ...argv: readonly string[]) => {
    const { exitCode, text } = await attempt(command, ...argv)
    if (exitCode !== 0) throw new Error(`${program} ${command} ${argv.join(' ')} ended with ${exitCode}:\n${text}`)
    return text
  }
  return {
    folder: own,
    write: (configuration) => writeFileSync(join(own, 'main.tf'), head + configuration),
    attempt,
    run,
    start,
    apply: (...argv) => run('apply', '-auto-approve', ...argv),
    plan: async () => readPlan(await run('plan', '-json')),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

const head = 'terraform {\n  required_providers {\n    sluice = { source = "sluice/sluice" }\n  }\n}\n'

function readPlan(text: string): Planned {
  const lines = text.split('\n').flatMap((line) => {
    if (!line.startsWith('{')) return []
    const parsed = v.safeParse(lineSchema, JSON.parse(line))
    return parsed.success ? [parsed.output] : []
  })
  const changesOf = (type: string) => lines.flatMap((line) => (line.type === type && line.change ? [line.change] : []))
  return {
    changes: changesOf('planned_change')
      .filter(({ action }) => action !== 'read')
      .map(({ action, resource }) => `${action} ${resource.addr}`)
      .toSorted(),
    drift: changesOf('resource_drift')
      .map(({ resource }) => resource.addr)
      .toSorted(),
    outputsChange: lines.some(({ outputs }) =>
      Object.values(outputs ?? {}).some(({ action = 'noop' }) => action !== 'noop'),
    ),
  }
}
