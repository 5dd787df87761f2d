/** Where the agent's own configuration lies, and reading it. It reads only; `sluice-agent join` writes it. */

import { existsSync, readFileSync } from 'node:fs'
import * as v from 'valibot'
import { type AgentSettings, agentSettingsSchema } from './contract/enrolment.ts'

export const defaultConfigurationFolder = '/etc/sluice-agent'

/** The settings, the seed of the agent's nkey, its user JWT and the CA certificate that NATS's is signed by. */
export const configurationFiles = (folder: string) => ({
  settings: `${folder}/agent.json`,
  seed: `${folder}/agent.nk`,
  userJwt: `${folder}/agent.jwt`,
  caCertificate: `${folder}/ca.pem`,
})

/** What it shows to NATS; absent where the host has not joined, which is well for a run without a controller. */
export interface BusCredentials {
  readonly seed: string
  readonly userJwt: string
  readonly caCertificate: string | undefined
}

/** Throws where there are no settings, or they are not what they should be: without them an agent can do nothing. */
export function readSettings(folder: string): AgentSettings {
  const path = configurationFiles(folder).settings
  if (!existsSync(path)) {
    throw new Error(`${path} is missing: join this host first with 'sluice-agent join URL TOKEN'`)
  }
  const parsed = v.safeParse(agentSettingsSchema, JSON.parse(readFileSync(path, 'utf8')))
  if (parsed.success) return parsed.output
  throw new Error(`${path} is not as it should be: ${v.summarize(parsed.issues)}\nJoin this host again.`)
}

export function readCredentials(folder: string): BusCredentials | undefined {
  const { seed, userJwt, caCertificate } = configurationFiles(folder)
  if (!existsSync(seed) || !existsSync(userJwt)) return undefined
  return {
    seed: readFileSync(seed, 'utf8').trim(),
    userJwt: readFileSync(userJwt, 'utf8').trim(),
    caCertificate: existsSync(caCertificate) ? readFileSync(caCertificate, 'utf8') : undefined,
  }
}
