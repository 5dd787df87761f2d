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
}

const logBytesMaximum = 16 * 1024 ** 2
const logFilesMaximum = 4
/** All hosts of a rack come back at once after a restart, on machines that may be busy. */
const handshakeSecondsMaximum = 10
/** A host whose plug was pulled is forgotten after three unanswered pings. */
const pingIntervalSeconds = 10
const pingsUnansweredMaximum = 2

/**
 * `sync_interval: always` puts a write on the disk before it is acknowledged; the default would lose two minutes of
 * acknowledged writes in a power cut. The accounts' tokens are in the file itself, so that the server knows them, and
 * whom they revoke, before it lets anybody in.
 */
export function renderServerConfiguration(configuration: ServerConfiguration): string {
  const text = (value: string) => JSON.stringify(value)
  return `# Written whole by the Sluice controller at each start of nats-server; a change made here is lost.
listen: ${text(configuration.listen)}
server_name: ${text(configuration.serverName)}
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
