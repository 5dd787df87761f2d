/** A real collectd on each host of a lab that was asked for it: it measures the host and sends to the host's agent. */

import { existsSync } from 'node:fs'
import { agentBinary } from './agent-process.ts'
import { must, type Run } from './commands.ts'
import { enterMachine } from './namespaces.ts'
import { hostDisk, type LabSettings } from './settings.ts'

/** Both kept on the host's own disk: what the agent takes, and what collectd is told. */
const intakeFile = '/etc/sluice-agent/collectd.json'
const configFile = '/etc/sluice-agent/collectd.conf'
const intake = { listen: ['127.0.0.1:25826'] }

/** To be called before the agent starts, which reads it then. */
export async function prepareCollectd(run: Run, pid: number): Promise<void> {
  const write = 'umask 077; printf %s "$1" >"$2" && "$3" collectd-config >"$4"'
  const words = [JSON.stringify(intake), intakeFile, agentBinary, configFile]
  await must(run, enterMachine(pid, ['sh', '-c', write, 'write', ...words]))
}

/** Whether that host's disk says that it has one. */
export const hasCollectd = (settings: LabSettings, host: string): boolean =>
  existsSync(`${hostDisk(settings, host)}${configFile}`)

/** It becomes a daemon by itself, and ends with the host. */
export async function startCollectd(run: Run, pid: number): Promise<void> {
  await must(run, enterMachine(pid, ['collectd', '-C', configFile, '-P', '/run/collectd.pid']))
}
