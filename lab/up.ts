/** Starts a lab, or says that it runs. */

import { existsSync } from 'node:fs'
import { agentBinary, hasJoined, joinAgent, readAgentLogEnd, startAgent } from './agent-process.ts'
import { bootHost, buildSegments, emptyLabState, hostStates } from './build-lab.ts'
import { startCluster } from './cluster.ts'
import { prepareCollectd, startCollectd } from './collectd.ts'
import { commandRunner, type Run } from './commands.ts'
import { addHost, listHostStatuses } from './controller-calls.ts'
import { readAdminToken, startController } from './controller-process.ts'
import { type HostState, type LabState, labCondition, livingProcess, readLabState, writeLabState } from './lab-state.ts'
import { withLabLock } from './lock.ts'
import { isPortFree, whatForbidsALab } from './machine-checks.ts'
import { buildNameServer, isKnotThere, prepareNameServer } from './name-server.ts'
import { removeLab } from './remove.ts'
import { apiPort, apiUrl, controllerAddress, controllerUrl, type LabSettings, natsPort } from './settings.ts'
import { waitUntil } from './wait.ts'

/** Told of each step when it begins and when it is done. */
export type Progress = {
  readonly step: <Result>(title: string, work: () => Promise<Result>) => Promise<Result>
  readonly note: (text: string) => void
}

export type UpResult = { readonly kind: 'started' | 'wasRunning'; readonly state: LabState }

const joinTimeoutSeconds = 30
const joinPollMilliseconds = 50
const logLinesShown = 15

/** Brings up what `settings` say. A lab that runs is left as it is; the remains of one that doesn't are taken away first. */
export async function bringLabUp(settings: LabSettings, progress: Progress): Promise<UpResult> {
  return await withLabLock(
    settings.name,
    async () => {
      const found = readLabState(settings)
      if (found !== undefined && labCondition(found) === 'running') return { kind: 'wasRunning', state: found }
      if (await removeLab(settings)) progress.note('took away what was left of an earlier lab')
      const forbidding = await whatForbidsALab(settings)
      if (forbidding.length > 0) throw new Error(forbidding.join('\n'))
      try {
        return { kind: 'started', state: await startLab(settings, progress) }
      } catch (error) {
        const message = `lab "${settings.name}" did not come up; what was made is left for a look, \`sluice lab down\` removes it`
        throw new Error(message, { cause: error })
      }
    },
    () => progress.note('waiting for another lab command to end'),
  )
}

async function startLab(settings: LabSettings, progress: Progress): Promise<LabState> {
  const run = commandRunner(settings.name)
  const state = emptyLabState(settings, new Date().toISOString())
  writeLabState(settings, state)
  await progress.step('segments, router and client', () => buildSegments(run, settings, state))
  if (!settings.bare && settings.cluster === null) await requireFreePorts()
  state.hosts = hostStates(settings.hosts)
  const boot = progress.step(`${settings.hosts} hosts`, () =>
    Promise.all(state.hosts.map((host) => bootHost(run, settings, state, host))),
  )
  if (settings.bare) {
    await boot
  } else {
    const hasNames = isKnotThere()
    if (hasNames) prepareNameServer(settings)
    else progress.note('no names: knotd is not installed; `scripts/setup` installs it')
    const names = hasNames
      ? progress.step('name server', () => buildNameServer(run, settings, state))
      : Promise.resolve()
    const controller = startControlPlane(run, settings, state, progress)
    await Promise.all([boot, controller, names])
    await progress.step('agents joined and report', () => joinHosts(run, settings, state.hosts))
  }
  state.phase = 'running'
  writeLabState(settings, state)
  return state
}

async function startControlPlane(run: Run, settings: LabSettings, state: LabState, progress: Progress): Promise<void> {
  const { cluster } = settings
  if (cluster !== null) {
    const title = `${cluster.nats} NATS servers, ${cluster.controllers} controllers`
    await progress.step(title, () => startCluster(run, settings, state))
    return
  }
  await progress.step('controller and NATS', () =>
    startController(settings, (reference) => {
      state.controller.process = reference
      writeLabState(settings, state)
    }),
  )
}

/** Only now that the machine has the address can it be known whether somebody who listens everywhere has the ports. */
async function requireFreePorts(): Promise<void> {
  for (const port of [apiPort, natsPort]) {
    if (!(await isPortFree(port, controllerAddress))) {
      throw new Error(`port ${port} on ${controllerAddress} is taken; \`ss -ltnp sport = :${port}\` tells by whom`)
    }
  }
}

async function joinHosts(run: Run, settings: LabSettings, hosts: readonly HostState[]): Promise<void> {
  if (!existsSync(agentBinary)) throw new Error(`${agentBinary} is missing; \`scripts/build\` makes it`)
  const adminToken = readAdminToken(settings)
  await Promise.all(hosts.map((host) => joinHost(run, settings, host, adminToken)))
  const names = hosts.map((host) => host.name)
  await waitForReports(settings, adminToken, names)
}

async function joinHost(run: Run, settings: LabSettings, host: HostState, adminToken: string): Promise<void> {
  const firstProcess = livingProcess(host.process)
  if (firstProcess === undefined) throw new Error(`${host.name} died while the lab was starting`)
  const joinToken = await addHost(adminToken, host.name, apiUrl(settings))
  await joinAgent(run, firstProcess.pid, controllerUrl, joinToken)
  if (!hasJoined(settings, host.name)) throw new Error(`the agent of ${host.name} joined without leaving its settings`)
  if (settings.collectd) await prepareCollectd(run, firstProcess.pid)
  await startAgent(run, firstProcess.pid)
  if (settings.collectd) await startCollectd(run, firstProcess.pid)
}

async function waitForReports(settings: LabSettings, adminToken: string, names: readonly string[]): Promise<void> {
  let missing = names
  await waitUntil(
    async () => {
      const statuses = await listHostStatuses(adminToken, apiUrl(settings))
      missing = names.filter((name) => statuses.get(name) !== 'active')
      return missing.length === 0
    },
    {
      what: () =>
        [
          `a first report of ${missing.join(', ')}; the end of its agent's log:`,
          ...missing.slice(0, 1).map((name) => readAgentLogEnd(settings, name, logLinesShown)),
        ].join('\n'),
      timeoutSeconds: joinTimeoutSeconds,
      intervalMilliseconds: joinPollMilliseconds,
    },
  )
}
