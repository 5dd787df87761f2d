/**
 * The folder that a host's stack is applied in: the stack, the files that volumes are made of, and where the provider is
 * found. It can be made anew at any time: nothing is kept in it that isn't kept elsewhere. Writes below that folder only.
 */

import { existsSync } from 'node:fs'
import { mkdir, readFile, readlink, symlink, unlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { libvirtVersion } from '../bindings/libvirt-resource.ts'
import type { DesiredHost } from '../desired-domain.ts'
import { stagedFile } from '../stack/resource-names.ts'

export interface Workspace {
  readonly folder: string
  /** What a program that works in it finds in its environment. */
  readonly environment: Readonly<Record<string, string>>
  /** Whether the provider has to be linked into it first. */
  readonly needsInit: boolean
  noteInit(): Promise<void>
}

const settingsFile = 'cli.tfrc'
const initMark = '.initialised'

/** Throws for a file that a volume is to be made of and that is not there. */
export async function prepareWorkspace(
  folder: string,
  mirrorFolder: string,
  desired: DesiredHost,
  stack: Readonly<Record<string, unknown>>,
): Promise<Workspace> {
  await mkdir(join(folder, 'files'), { recursive: true, mode: 0o700 })
  const settings = `disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror { path = ${JSON.stringify(mirrorFolder)} }\n}\n`
  await writeChanged(join(folder, settingsFile), settings)
  await writeChanged(join(folder, 'main.tf.json'), JSON.stringify(stack, null, 1))
  for (const { sha256, source } of filesOf(desired)) await stage(folder, sha256, source)
  const mark = `${libvirtVersion} ${mirrorFolder}`
  const found = await readFile(join(folder, initMark), 'utf8').catch(() => '')
  return {
    folder,
    environment: { TF_CLI_CONFIG_FILE: join(folder, settingsFile), TF_IN_AUTOMATION: '1', CHECKPOINT_DISABLE: '1' },
    needsInit: found !== mark,
    noteInit: () => writeFile(join(folder, initMark), mark),
  }
}

const filesOf = ({ domains }: DesiredHost) =>
  domains.flatMap(({ disks, configuration }) => [
    ...disks.flatMap(({ image }) => image ?? []),
    ...(configuration.kind === 'file' ? [configuration] : []),
  ])

async function stage(folder: string, sha256: string, source: string): Promise<void> {
  const link = join(folder, stagedFile(sha256))
  const target = resolve(source)
  if (!existsSync(target)) throw new Error(`no such file or directory: ${link} is to be ${target}`)
  const found = await readlink(link).catch(() => null)
  if (found === target) return
  await mkdir(dirname(link), { recursive: true })
  if (found !== null) await unlink(link)
  await symlink(target, link)
}

async function writeChanged(file: string, text: string): Promise<void> {
  const found = await readFile(file, 'utf8').catch(() => null)
  // It may hold what guests are told: passwords for one.
  if (found !== text) await writeFile(file, text, { mode: 0o600 })
}
