/** The text of nats-server's configuration. Pure; `server-configuration.golden.conf` is what it looks like. */

import { payloadMaximumBytes } from '../../agent/contract/subjects.ts'
import type { AccountToken } from './accounts.ts'

export interface ServerConfiguration {
  /** The one address that it listens on, e.g. `198.18.0.254:4222`. */
  readonly listen: string
  readonly serverName: string
  readonly storeFolder: string
  readonly resolverFolder: string
  readonly logFile: string
  readonly certificateFile: string
  readonly keyFile: string
  readonly operatorToken: string
  readonly systemAccount: string
  readonly accounts: readonly AccountToken[]
  /** Null: it is the only one. */
  readonly cluster: ServerCluster | null
}

/** How a server and the others of its cluster find and believe each other. */
export interface ServerCluster {
  /** The same for all. */
  readonly name: string
  /** Of this one: microshards are placed by it. */
  readonly nodeName: string
  /** Where this one stands: `rack-a`. Null: nobody has said. */
  readonly location: string | null
  /** Where the others reach it, e.g. `198.18.0.241:6222`. */
  readonly listen: string
  /** Where it reaches the others. */
  readonly routes: readonly string[]
  /** Of the authority whose certificates the others must show. */
  readonly caFile: string
}

const logBytesMaximum = 16 * 1024 ** 2
const logFilesMaximum = 4
/** All hosts of a rack come back at once after a restart, on machines that may be busy. */
const handshakeSecondsMaximum = 10
/** A host whose plug was pulled is forgotten after three unanswered pings. */
const pingIntervalSeconds = 10
const pingsUnansweredMaximum = 2

const text = (value: string) => JSON.stringify(value)

/**
 * `sync_interval: always` puts a write on the disk before it is acknowledged; the default would lose two minutes of
 * acknowledged writes in a power cut. The accounts' tokens are in the file itself, so that the server knows them, and
 * whom they revoke, before it lets anybody in.
 */
export function renderServerConfiguration(configuration: ServerConfiguration): string {
  return `# Written whole by the Sluice controller at each start of nats-server; a change made here is lost.
listen: ${text(configuration.listen)}
server_name: ${text(configuration.serverName)}
server_tags: [${describeTags(configuration).map(text).join(', ')}]
max_payload: ${payloadMaximumBytes}
ping_interval: "${pingIntervalSeconds}s"
ping_max: ${pingsUnansweredMaximum}
log_file: ${text(configuration.logFile)}
logfile_size_limit: ${logBytesMaximum}
logfile_max_num: ${logFilesMaximum}

tls {
  cert_file: ${text(configuration.certificateFile)}
  key_file: ${text(configuration.keyFile)}
  min_version: "1.3"
  timeout: ${handshakeSecondsMaximum}
}
${configuration.cluster === null ? '' : renderCluster(configuration, configuration.cluster)}
jetstream {
  store_dir: ${text(configuration.storeFolder)}
  sync_interval: always
}

operator: ${text(configuration.operatorToken)}
system_account: ${text(configuration.systemAccount)}
resolver {
  type: full
  dir: ${text(configuration.resolverFolder)}
  allow_delete: false
}
resolver_preload {
${configuration.accounts.map(({ publicKey, token }) => `  ${publicKey}: ${text(token)}`).join('\n')}
}
`
}

/** What it tells of itself to whoever asks; it is placed on by its node's name. */
function describeTags({ listen, cluster }: ServerConfiguration): readonly string[] {
  const address = `address:${listen}`
  if (cluster === null) return [address]
  const { nodeName, location } = cluster
  return [`node:${nodeName}`, address, ...(location === null ? [] : [`location:${location}`])]
}

/** The others must show a certificate of the bus's authority. */
function renderCluster(configuration: ServerConfiguration, cluster: ServerCluster): string {
  return `
cluster {
  name: ${text(cluster.name)}
  listen: ${text(cluster.listen)}
  routes: [
${cluster.routes.map((route) => `    ${text(`nats-route://${route}`)}`).join('\n')}
  ]
  tls {
    cert_file: ${text(configuration.certificateFile)}
    key_file: ${text(configuration.keyFile)}
    ca_file: ${text(cluster.caFile)}
    verify: true
    min_version: "1.3"
    timeout: ${handshakeSecondsMaximum}
  }
}
`
}
