/** `sluice provider`: puts the built provider where Terraform and OpenTofu find it. Writes in the folder that is named. */

import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import packageJson from '../../package.json' with { type: 'json' }

const binary = fileURLToPath(new URL('../../dist/terraform-provider-sluice', import.meta.url))
/** Each CLI looks below its own registry's name. */
const sources = ['registry.opentofu.org/sluice/sluice', 'registry.terraform.io/sluice/sluice'] as const

export function providerCommand(): Command {
  const install = new Command('install')
    .description('put the built provider and a CLI configuration in place, for local use')
    .option('--folder <folder>', 'where to', join(homedir(), '.local/share/sluice/terraform'))
    .option('--binary <file>', 'the provider as scripts/build makes it', binary)
    .action(({ folder, binary: file }: { readonly folder: string; readonly binary: string }) => {
      const settingsFile = installProvider({ folder: resolve(folder), binary: resolve(file) })
      console.log(`export TF_CLI_CONFIG_FILE=${settingsFile}`)
    })
  return new Command('provider').description('the provider for Terraform and OpenTofu').addCommand(install)
}

export interface ProviderInstallation {
  readonly folder: string
  readonly binary: string
  readonly platform?: string
}

/** Once a version; again, it is replaced. Answers with the configuration that tells both CLIs where it is. */
export function installProvider({ folder, binary, platform = platformName() }: ProviderInstallation): string {
  if (!existsSync(binary))
    throw new Error(`there is no ${binary}; \`scripts/build terraform-provider-sluice\` makes it`)
  const mirror = join(folder, 'providers')
  for (const source of sources) {
    const place = join(
      mirror,
      source,
      packageJson.version,
      platform,
      `terraform-provider-sluice_v${packageJson.version}`,
    )
    mkdirSync(dirname(place), { recursive: true })
    // Beside its name, then moved: whoever runs the old one keeps it.
    copyFileSync(binary, `${place}.new`)
    chmodSync(`${place}.new`, 0o755)
    renameSync(`${place}.new`, place)
  }
  const settingsFile = join(folder, 'sluice.tfrc')
  writeFileSync(settingsFile, describeSettings(mirror))
  return settingsFile
}

/** As Go names it, and with it both CLIs. */
const platformName = () => `${process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}`

function describeSettings(mirror: string): string {
  const names = sources.map((source) => JSON.stringify(source)).join(', ')
  return `# Where Terraform and OpenTofu find the provider of Sluice. All others come from where they always do.
provider_installation {
  filesystem_mirror {
    path    = ${JSON.stringify(mirror)}
    include = [${names}]
  }
  direct {
    exclude = [${names}]
  }
}
`
}
