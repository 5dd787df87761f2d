/**
 * Takes a lab away, whatever became of it: whole, half made, or killed. What is ours is known by its mark (processes),
 * its alias (the machine's link) and its folders; nothing else is touched.
 */

import { existsSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { commandRunner, must, type Run } from './commands.ts'
import { livingProcess, readLabState } from './lab-state.ts'
import { ipBatch } from './namespaces.ts'
import { findMarkedProcesses, findProcessesOfFolder, killProcesses } from './processes.ts'
import { type LabSettings, machineLink, markOf, markVariable } from './settings.ts'
import { waitUntil } from './wait.ts'

/** A process that is ending may just have started another one: look again until there is none. */
const killRoundsMaximum = 20
const unlinkTimeoutSeconds = 10

/** True when there was something to remove. */
export async function removeLab(settings: LabSettings): Promise<boolean> {
  const run = commandRunner(settings.name)
  const state = readLabState(settings)
  const diskFolders = [...new Set([settings.diskFolder, ...(state === undefined ? [] : [state.diskFolder])])]
  const router = livingProcess(state?.router ?? null)
  // An orphaned socket can keep the namespace of a dead host for minutes, and with it the links: take these first.
  if (router !== undefined) await unlinkEverything(run, router.pid)
  const hadLink = await removeMachineLink(run, settings.name)
  const hadProcesses = await killEverything(settings.name, diskFolders)
  const folders = [settings.stateFolder, ...diskFolders]
  const hadFolders = folders.some((folder) => existsSync(folder))
  for (const folder of folders) removeFolder(folder)
  return hadLink || hadProcesses || hadFolders
}

async function unlinkEverything(run: Run, routerPid: number): Promise<void> {
  const listed = await run([
    'nsenter',
    '-t',
    String(routerPid),
    '-n',
    '--',
    'ip',
    '-json',
    'link',
    'show',
    'type',
    'veth',
  ])
  if (listed.exitCode !== 0) return
  const links = JSON.parse(listed.stdout === '' ? '[]' : listed.stdout) as { readonly ifname?: string }[]
  const lines = links.flatMap(({ ifname }) => (ifname === undefined ? [] : [`link delete ${ifname}`]))
  // A host that dies at this moment takes its links with it; what is left then goes with the router.
  await ipBatch(run, routerPid, lines).catch(() => undefined)
}

async function removeMachineLink(run: Run, labName: string): Promise<boolean> {
  const link = machineLink(labName)
  const path = `/sys/class/net/${link}`
  if (!existsSync(path)) return false
  const alias = readFileSync(`${path}/ifalias`, 'utf8').trim()
  if (alias !== markOf(labName)) {
    throw new Error(`${link} is not this lab's link: its alias is "${alias}". Rename it, or name the lab differently`)
  }
  await must(run, ['ip', 'link', 'delete', link])
  const options = { what: () => `${link} to go`, timeoutSeconds: unlinkTimeoutSeconds }
  await waitUntil(() => !existsSync(path), options)
  return true
}

async function killEverything(labName: string, diskFolders: readonly string[]): Promise<boolean> {
  for (let round = 0; round < killRoundsMaximum; round++) {
    const found = [
      ...findMarkedProcesses(markVariable, markOf(labName)),
      // The controller's child, should it have been given an environment of its own.
      ...diskFolders.flatMap((folder) => findProcessesOfFolder('nats-server', folder)),
    ]
    if (found.length === 0) return round > 0
    await killProcesses(found)
  }
  throw new Error(
    `lab "${labName}" starts processes faster than they can be ended; see \`ps axe | grep ${markVariable}\``,
  )
}

/** Removes it, and the folder of all labs with the last of them. */
function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
  try {
    rmdirSync(dirname(folder))
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'ENOTEMPTY' && code !== 'ENOENT' && code !== 'EEXIST') throw error
  }
}
