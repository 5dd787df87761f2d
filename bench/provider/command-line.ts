/** Runs OpenTofu or Terraform in a folder of its own and times it; watches the provider's process meanwhile. */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram, measureUsage } from '../system/processes.ts'

export interface Timed {
  readonly seconds: number
  /** The most that the provider's processes had at once, and the CPU that they used; of none 0. */
  readonly providerMebibytes: number
  readonly providerCpuSeconds: number
}

export interface CommandLine {
  readonly program: string
  run(folder: string, ...argv: readonly string[]): Promise<Timed>
  /** A folder with this configuration and nothing else. */
  prepare(name: string, configuration: string): string
}

export interface CommandLineOptions {
  readonly folder: string
  /** Where the built providers are, by their sources. */
  readonly providers: Readonly<Record<string, string>>
  readonly environment: Readonly<Record<string, string>>
}

/** Both sides' providers are overrides: so neither is unpacked, and the checksums of neither are taken. */
export function createCommandLine({ folder, providers, environment }: CommandLineOptions): CommandLine {
  const program = Bun.which('tofu') ?? Bun.which('terraform')
  if (program === null) throw new Error('neither tofu nor terraform is on PATH; scripts/setup installs OpenTofu')
  const settingsFile = join(folder, 'cli.tfrc')
  const overrides = Object.entries(providers).map(([source, place]) => `    "${source}" = "${place}"\n`)
  writeFileSync(settingsFile, `provider_installation {\n  dev_overrides {\n${overrides.join('')}  }\n  direct {}\n}\n`)
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    TF_CLI_CONFIG_FILE: settingsFile,
    CHECKPOINT_DISABLE: '1',
    TF_IN_AUTOMATION: '1',
    ...environment,
  }
  return {
    program,
    prepare(name, configuration) {
      const own = join(folder, name)
      rmSync(own, { recursive: true, force: true })
      mkdirSync(own, { recursive: true })
      writeFileSync(join(own, 'main.tf'), configuration)
      return own
    },
    run: (own, ...argv) => runTimed([program, ...argv, '-no-color', '-input=false'], own, env),
  }
}

const lookMilliseconds = 50
const outputShown = 4000
/** Far more than five hundred balancers take; so a run that hangs ends. */
const commandSecondsMaximum = 1200

async function runTimed(
  argv: readonly string[],
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Timed> {
  const watch = watchProviders()
  const begun = performance.now()
  const child = Bun.spawn([...argv], {
    cwd: folder,
    env,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: commandSecondsMaximum * 1000,
  })
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  const seconds = (performance.now() - begun) / 1000
  const usage = watch.end()
  if (exitCode !== 0)
    throw new Error(`${argv.join(' ')} ended with ${exitCode}: ${(stderr || stdout).slice(-outputShown)}`)
  return { seconds, ...usage }
}

/** Terraform starts a provider for each phase, so several come and go, and may be there at once. */
function watchProviders() {
  const cpuSeconds = new Map<number, number>()
  let providerMebibytes = 0
  const look = () => {
    const pids = findProgram('terraform-provider-')
    providerMebibytes = Math.max(providerMebibytes, measureUsage(pids).residentMebibytes)
    for (const pid of pids) cpuSeconds.set(pid, Math.max(cpuSeconds.get(pid) ?? 0, measureUsage([pid]).cpuSeconds))
  }
  const timer = setInterval(look, lookMilliseconds)
  return {
    end() {
      clearInterval(timer)
      const providerCpuSeconds = [...cpuSeconds.values()].reduce((sum, seconds) => sum + seconds, 0)
      return { providerMebibytes, providerCpuSeconds }
    },
  }
}
