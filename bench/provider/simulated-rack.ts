/**
 * A real controller with its store on disk, and hosts that do at once whatever they are told and carry nothing: so what is
 * measured is the declaration's way into the store and back, and no haproxy. Its processes and files end with the cleanup.
 */

import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { type Bus, startBus } from '../../agent/bus.ts'
import { readCredentials, readSettings } from '../../agent/configuration.ts'
import { type HostInstructions, hostInstructionsSchema } from '../../agent/contract/host-instructions.ts'
import { reportIntervalSeconds } from '../../agent/contract/subjects.ts'
import { joinHost } from '../../agent/enrolment/join.ts'
import { hostCreatedSchema } from '../../controller/contract/machine.ts'
import { makeTestReport } from '../../controller/test-rack.ts'
import { waitUntil } from '../../lab/wait.ts'
import { type Api, createApi } from '../system/api.ts'
import type { Cleanup } from '../system/cleanup.ts'

export interface SimulatedRack {
  readonly url: string
  readonly token: string
  readonly api: Api
  readonly controllerPid: number
}

const ports = { api: 7480, nats: 4222 }
const url = `http://127.0.0.1:${ports.api}`
const uplink = { cidr: '198.18.32.0/20', gateway: '198.18.32.1' }
const startTimeoutSeconds = 30
const repository = new URL('../..', import.meta.url).pathname

/** Within a sandbox, where nobody else listens on the ports. */
export async function startSimulatedRack(cleanup: Cleanup, hosts: number): Promise<SimulatedRack> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-rack-'))
  cleanup.defer("the rack's files", async () => rmSync(folder, { recursive: true, force: true }))
  const log = openSync(join(folder, 'controller.log'), 'w')
  const controller = Bun.spawn([process.execPath, 'controller/main.ts'], {
    cwd: repository,
    env: {
      PATH: process.env.PATH,
      SLUICE_LISTEN: `127.0.0.1:${ports.api}`,
      SLUICE_NATS_LISTEN: `127.0.0.1:${ports.nats}`,
      SLUICE_STATE_FOLDER: join(folder, 'controller'),
      SLUICE_UPLINK_CIDR: uplink.cidr,
      SLUICE_UPLINK_GATEWAY: uplink.gateway,
      SLUICE_LOG_LEVEL: 'warn',
    },
    stdin: 'ignore',
    stdout: log,
    stderr: log,
  })
  cleanup.defer('the controller', async () => {
    controller.kill('SIGTERM')
    await controller.exited
  })
  const tokenFile = join(folder, 'controller/admin-token')
  const readToken = () => readFileSync(tokenFile, 'utf8').trim()
  await waitUntil(async () => await answers(readToken), {
    what: () => `the controller: ${readFileSync(join(folder, 'controller.log'), 'utf8').slice(-2000)}`,
    timeoutSeconds: startTimeoutSeconds,
  })
  const rack = { url, token: readToken(), api: createApi(url, readToken()), controllerPid: controller.pid }
  for (let index = 1; index <= hosts; index++) await startHost(rack, cleanup, join(folder, `host-${index}`), index)
  return rack
}

async function answers(readToken: () => string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/v1/hosts`, { headers: { authorization: `Bearer ${readToken()}` } })
    return response.ok
  } catch {
    return false
  }
}

async function startHost({ api }: SimulatedRack, cleanup: Cleanup, folder: string, index: number): Promise<void> {
  const { joinToken } = await api.call(hostCreatedSchema, 'POST', '/v1/hosts', { name: `simulated-${index}` })
  mkdirSync(folder)
  const device = (ifname: string, local: string) => ({
    ifname,
    addr_info: [{ family: 'inet', local, scope: 'global' }],
  })
  const devices = [device('uplink', `198.18.32.${10 + index}`), device('underlay', `198.18.0.${index}`)]
  const host = await joinHost(
    {
      userId: 0,
      controllerUrl: url,
      token: joinToken,
      uplinkDevice: 'uplink',
      underlayDevice: 'underlay',
      configurationFolder: folder,
      stateFolder: folder,
      runFolder: folder,
    },
    async () => ({ exitCode: 0, stdout: JSON.stringify(devices), stderr: '' }),
  )
  let statement: HostInstructions | undefined
  let bus: Bus | undefined
  let sequence = 0
  const startedAt = new Date().toISOString()
  const report = () => {
    const vips = (instance: HostInstructions['instances'][number]) =>
      instance.vips.flatMap(({ home, address }) => (home ? [address] : []))
    const said = makeTestReport(host, statement, vips)
    sequence++
    bus?.sendReport({ ...said, bootId: host, sequence, startedAt, reportedAt: new Date().toISOString() })
  }
  bus = startBus({
    host,
    servers: readSettings(folder).natsServers,
    credentials: readCredentials(folder),
    onInstructions(text) {
      statement = v.parse(hostInstructionsSchema, JSON.parse(text))
      report()
    },
    log: () => undefined,
  })
  const timer = setInterval(report, reportIntervalSeconds * 1000)
  cleanup.defer(host, async () => {
    clearInterval(timer)
    await bus?.close()
  })
}
