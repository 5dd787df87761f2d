/**
 * `sluice-agent join URL TOKEN`: makes the agent's key, proves to the controller that this host was asked for, and leaves
 * what the agent starts from. It asks over HTTP; files and commands go through operations.
 *
 * It can be cut off anywhere and run again: the key is kept from the first attempt on, so the controller answers the same
 * join again, and the settings are written last.
 */

import { createHash, createHmac } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { createUser, fromSeed } from '@nats-io/nkeys'
import * as v from 'valibot'
import packageJson from '../../package.json'
import { configurationFiles } from '../configuration.ts'
import { type AgentSettings, type JoinAnswer, type JoinRequest, joinAnswerSchema } from '../contract/enrolment.ts'
import { hostNameSchema } from '../contract/host-instructions.ts'
import { executeFileOperation } from '../operations/files.ts'
import { fingerprintOf, parseJoinToken } from './join-token.ts'

export interface JoinOptions {
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

/** The host's name. Throws with what to do where it can't join; then it has not. */
export async function joinHost(options: JoinOptions): Promise<string> {
  if (process.getuid?.() !== 0) throw new Error('joining needs root: run it again with sudo')
  const token = parseJoinToken(options.token)
  const files = configurationFiles(options.configurationFolder)
  refuseSecondJoin(files.settings)
  const underlayAddress = readAddress(options.underlayDevice, '--underlay')
  checkDevice(options.uplinkDevice, '--uplink')
  const { seed, publicKey } = keepKey(files.seed)
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
        'between this host and its controller: nothing was written',
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
  writeDurable(files.seed, `${seed}\n`)
  writeDurable(files.userJwt, `${answer.userJwt}\n`)
  writeDurable(files.caCertificate, answer.caCertificate)
  // Last: where it is, the host has joined.
  writeDurable(files.settings, `${JSON.stringify(settings, null, 2)}\n`)
  return token.host
}

function refuseSecondJoin(settingsFile: string): void {
  if (!existsSync(settingsFile)) return
  const settings: unknown = JSON.parse(readFileSync(settingsFile, 'utf8'))
  const parsed = v.safeParse(v.object({ host: hostNameSchema, controllerUrl: v.string() }), settings)
  const before = parsed.success ? ` as ${parsed.output.host} at ${parsed.output.controllerUrl}` : ''
  throw new Error(`this host has joined already${before}; to join anew, stop its agent and remove ${settingsFile}`)
}

function readAddress(device: string, option: string): string {
  checkDevice(device, option)
  const address = networkInterfaces()[device]?.find(({ family, internal }) => family === 'IPv4' && !internal)?.address
  if (address !== undefined) return address
  throw new Error(
    `the device ${device} of ${option} has no IPv4 address, or is down; VXLAN needs one as its outer address`,
  )
}

function checkDevice(device: string, option: string): void {
  if (existsSync(`/sys/class/net/${device}`)) return
  const devices = Object.keys(networkInterfaces()).filter((name) => name !== 'lo')
  throw new Error(
    `there is no device ${device}, as ${option} says; there are ${devices.join(', ') || 'none that is up'}`,
  )
}

/** The key of an attempt that was cut off, so that the controller knows it again; else a new one. */
function keepKey(seedFile: string): { readonly seed: string; readonly publicKey: string } {
  if (existsSync(seedFile)) {
    const seed = readFileSync(seedFile, 'utf8').trim()
    return { seed, publicKey: fromSeed(new TextEncoder().encode(seed)).getPublicKey() }
  }
  const key = createUser()
  const seed = new TextDecoder().decode(key.getSeed())
  writeDurable(seedFile, `${seed}\n`)
  return { seed, publicKey: key.getPublicKey() }
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
