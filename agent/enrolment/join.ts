/**
 * `sluice-agent join URL TOKEN`: makes the agent's key, proves to the controller that this host was asked for, and leaves
 * what the agent starts from. It asks over HTTP; files and commands go through operations.
 *
 * It can be cut off anywhere and run again: the key is kept from the first attempt on, so the controller answers the same
 * join again, and the settings are written last.
 */

import { createHash, createHmac } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { createUser, fromSeed } from '@nats-io/nkeys'
import * as v from 'valibot'
import packageJson from '../../package.json'
import { configurationFiles } from '../configuration.ts'
import { type AgentSettings, type JoinAnswer, type JoinRequest, joinAnswerSchema } from '../contract/enrolment.ts'
import { hostNameSchema } from '../contract/host-instructions.ts'
import { executeFileOperation } from '../operations/files.ts'
import { type RunCommand, runCommand } from '../operations/run-command.ts'
import { fingerprintOf, parseJoinToken } from './join-token.ts'

export interface JoinOptions {
  /** Who runs it; 0 is root. */
  readonly userId: number
  readonly controllerUrl: string
  readonly token: string
  readonly uplinkDevice: string
  readonly underlayDevice: string
  readonly configurationFolder: string
  readonly stateFolder: string
  readonly runFolder: string
}

const requestTimeoutMilliseconds = 15_000
const secretMode = 0o600

/**
 * The host's name. Throws with what to do where it can't join; then it has not. A host that has joined already as the same
 * host at the same controller joins again: an earlier attempt may have been cut off after its settings were written.
 */
export async function joinHost(options: JoinOptions, run: RunCommand = runCommand): Promise<string> {
  if (options.userId !== 0) throw new Error('joining needs root: run it again with sudo')
  const token = parseJoinToken(options.token)
  const files = configurationFiles(options.configurationFolder)
  refuseOtherJoin(files.settings, { host: token.host, controllerUrl: options.controllerUrl })
  const devices = await observeDevices(run)
  const underlayAddress = findUnderlayAddress(devices, options.underlayDevice)
  findDevice(devices, options.uplinkDevice, '--uplink')
  const { publicKey } = keepKey(files.seed)
  const answer = await askController(options.controllerUrl, token.host, {
    tokenId: token.tokenId,
    publicKey,
    proof: prove(token, publicKey, underlayAddress),
    underlayAddress,
    agentVersion: packageJson.version,
  })
  if (fingerprintOf(answer.caCertificate) !== token.caFingerprint) {
    throw new Error(
      `${options.controllerUrl} answered with another certificate authority than the join token names. Something stands ` +
        'between this host and its controller, so this host has not joined',
    )
  }
  const settings: AgentSettings = {
    format: 1,
    host: token.host,
    controllerUrl: options.controllerUrl,
    natsServers: answer.natsServers,
    uplinkDevice: options.uplinkDevice,
    underlayAddress,
    underlayDevice: options.underlayDevice,
    stateFolder: options.stateFolder,
    runFolder: options.runFolder,
  }
  writeDurable(files.userJwt, `${answer.userJwt}\n`)
  writeDurable(files.caCertificate, answer.caCertificate)
  // Last: where it is, the host has joined.
  writeDurable(files.settings, `${JSON.stringify(settings, null, 2)}\n`)
  return token.host
}

const joinedSchema = v.object({ host: hostNameSchema, controllerUrl: v.string() })

/** One machine is one host of one controller. */
function refuseOtherJoin(settingsFile: string, wanted: v.InferOutput<typeof joinedSchema>): void {
  if (!existsSync(settingsFile)) return
  const joined = parseJoined(readFileSync(settingsFile, 'utf8'))
  // Settings that can't be read are no good to the agent either, and are replaced.
  if (joined === null || (joined.host === wanted.host && joined.controllerUrl === wanted.controllerUrl)) return
  throw new Error(
    `this host has joined already, as ${joined.host} at ${joined.controllerUrl}. To join as ${wanted.host} at ` +
      `${wanted.controllerUrl} instead, stop its agent, remove ${dirname(settingsFile)} and run this again`,
  )
}

function parseJoined(text: string): v.InferOutput<typeof joinedSchema> | null {
  try {
    return v.parse(joinedSchema, JSON.parse(text))
  } catch {
    return null
  }
}

interface Device {
  readonly name: string
  /** Its first IPv4 address that reaches beyond the host; null: it has none. */
  readonly address: string | null
}

const devicesSchema = v.array(
  v.object({
    ifname: v.string(),
    addr_info: v.array(v.object({ family: v.string(), local: v.optional(v.string()), scope: v.optional(v.string()) })),
  }),
)

/** The devices of this host's own network namespace: /sys may show those of another. */
async function observeDevices(run: RunCommand): Promise<readonly Device[]> {
  const result = await run(['ip', '-json', 'address', 'show'])
  if (result.exitCode !== 0) {
    throw new Error(`the devices of this host can't be listed: ${result.stderr.trim() || 'ip (iproute2) does not run'}`)
  }
  return v.parse(devicesSchema, JSON.parse(result.stdout)).map(({ ifname, addr_info }) => ({
    name: ifname,
    address: addr_info.find(({ family, scope }) => family === 'inet' && scope === 'global')?.local ?? null,
  }))
}

function findDevice(devices: readonly Device[], name: string, option: string): Device {
  const found = devices.find((device) => device.name === name)
  if (found !== undefined) return found
  const names = devices.map((device) => device.name).filter((other) => other !== 'lo')
  throw new Error(`there is no device ${name}, as ${option} says; there are: ${names.join(', ') || 'none'}`)
}

function findUnderlayAddress(devices: readonly Device[], name: string): string {
  const { address } = findDevice(devices, name, '--underlay')
  if (address !== null) return address
  throw new Error(`the device ${name} of --underlay has no IPv4 address; VXLAN needs one as its outer address`)
}

/** The key of an attempt that was cut off, so that the controller knows it again; else a new one. */
function keepKey(seedFile: string): { readonly seed: string; readonly publicKey: string } {
  const kept = existsSync(seedFile) ? parseSeed(readFileSync(seedFile, 'utf8').trim()) : null
  if (kept !== null) return kept
  const key = createUser()
  const seed = new TextDecoder().decode(key.getSeed())
  writeDurable(seedFile, `${seed}\n`)
  return { seed, publicKey: key.getPublicKey() }
}

/** Null: it is no seed of a user, so nobody can have joined with it. */
function parseSeed(seed: string): { readonly seed: string; readonly publicKey: string } | null {
  try {
    const publicKey = fromSeed(new TextEncoder().encode(seed)).getPublicKey()
    return publicKey.startsWith('U') ? { seed, publicKey } : null
  } catch {
    return null
  }
}

function prove(
  token: { readonly host: string; readonly secret: string },
  publicKey: string,
  underlayAddress: string,
): string {
  const secretHash = createHash('sha256').update(token.secret).digest('hex')
  return createHmac('sha256', secretHash).update(`${token.host}\n${publicKey}\n${underlayAddress}`).digest('hex')
}

async function askController(url: string, host: string, request: JoinRequest): Promise<JoinAnswer> {
  if (!URL.canParse(url) || !/^https?:/.test(url)) {
    throw new Error(`'${url}' is no URL of a controller: it is like http://198.18.0.254:7480`)
  }
  const path = `${url.replace(/\/+$/, '')}/v1/hosts/${host}/join`
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
    signal: AbortSignal.timeout(requestTimeoutMilliseconds),
  }).catch((cause: unknown) => {
    throw new Error(`no controller answers at ${url}; is the URL right, and can this host reach it?`, { cause })
  })
  const answer: unknown = await response.json().catch(() => undefined)
  if (!response.ok) throw new Error(describeRefusal(response.status, answer))
  const parsed = v.safeParse(joinAnswerSchema, answer)
  if (parsed.success) return parsed.output
  throw new Error(`what answers at ${url} is no Sluice controller: ${v.summarize(parsed.issues)}`)
}

const refusalSchema = v.object({ detail: v.string(), remedy: v.optional(v.string()) })

function describeRefusal(status: number, answer: unknown): string {
  const parsed = v.safeParse(refusalSchema, answer)
  if (!parsed.success) return `the controller answered ${status}, and did not say why; is the URL right?`
  const { detail, remedy } = parsed.output
  return remedy === undefined ? detail : `${detail} ${remedy}`
}

function writeDurable(path: string, content: string): void {
  const failure = executeFileOperation({ kind: 'writeFile', path, content, mode: secretMode, durable: true })
  if (failure !== undefined) throw new Error(`${path} could not be written: ${failure}`)
}
