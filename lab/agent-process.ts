/** The agents of the lab's hosts: how one joins, and what keeps it running, as systemd does on bare metal. */

import { existsSync, readFileSync } from 'node:fs'
import { must, type Run } from './commands.ts'
import { repositoryFolder } from './controller-process.ts'
import { enterMachine } from './namespaces.ts'
import { hostDisk, type LabSettings, underlayDevice, uplinkDevice } from './settings.ts'

export const agentBinary = `${repositoryFolder}/dist/sluice-agent`

/** Both kept on the host's own disk, by the names that a bare-metal machine has for them. */
const agentSettingsFile = '/etc/sluice-agent/agent.json'
const agentLogFile = '/var/lib/sluice-agent.log'
const supervisor = `${repositoryFolder}/lab/supervise-agent.sh`
const supervisorPidFile = '/run/sluice-lab-supervisor.pid'
const agentPidFile = '/run/sluice-lab-agent.pid'

const endFirst = (pidFile: string) => `if read -r pid < ${pidFile}; then kill -9 "$pid" || :; fi`

/** Makes the agent's credentials; afterwards its disk alone is enough to start it. */
export async function joinAgent(run: Run, pid: number, controllerUrl: string, token: string): Promise<void> {
  const devices = ['--uplink', uplinkDevice, '--underlay', underlayDevice]
  await must(run, enterMachine(pid, [agentBinary, 'join', controllerUrl, token, ...devices]))
}

/** Starts the agent of a host that has joined; its supervisor becomes a child of the host's PID 1. */
export async function startAgent(run: Run, pid: number): Promise<void> {
  const supervise = ['sh', supervisor, agentLogFile, agentBinary, 'run']
  const detach = ['sh', '-c', 'setsid "$@" >/dev/null 2>&1 </dev/null &', 'detach', ...supervise]
  await must(run, enterMachine(pid, detach))
}

/** Ends the agent with SIGKILL; `forGood` ends what would start it again, too. */
export async function killAgent(run: Run, pid: number, options: { readonly forGood: boolean }): Promise<void> {
  const pidFiles = options.forGood ? [supervisorPidFile, agentPidFile] : [agentPidFile]
  await must(run, enterMachine(pid, ['sh', '-c', pidFiles.map(endFirst).join('\n')]))
}

/** Whether that host's disk has an agent that joined. */
export function hasJoined(settings: LabSettings, host: string): boolean {
  return existsSync(`${hostDisk(settings, host)}${agentSettingsFile}`)
}

export function agentLog(settings: LabSettings, host: string): string {
  return `${hostDisk(settings, host)}${agentLogFile.replace('/var/lib', '/var-lib')}`
}

export function readAgentLogEnd(settings: LabSettings, host: string, linesMaximum: number): string {
  try {
    return readFileSync(agentLog(settings, host), 'utf8').trimEnd().split('\n').slice(-linesMaximum).join('\n')
  } catch {
    return '(no log)'
  }
}
