/** The test provider as a process of its own, started the way the CLI does it: the cookie, a certificate, one line back. */

import 'reflect-metadata'
import { fileURLToPath } from 'node:url'
import { X509CertificateGenerator } from '@peculiar/x509'
import { magicCookie } from '../wire/go-plugin.ts'
import { connect, type Tls } from './client.ts'

export const testProviderMain = fileURLToPath(new URL('../test-provider-main.ts', import.meta.url))
/** Far more than a start takes on a busy machine. */
const startMilliseconds = 20_000

/** As go-plugin makes them: P-521, self-signed. */
async function createClientCertificate() {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-521', hash: 'SHA-512' }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost',
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
  })
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  return { certificatePem: certificate.toString('pem'), keyPem: pem('PRIVATE KEY', key) }
}

const pem = (label: string, base64: string) =>
  [`-----BEGIN ${label}-----`, ...(base64.match(/.{1,64}/g) ?? []), `-----END ${label}-----`, ''].join('\n')

type Options = {
  readonly folder: string
  readonly environment?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
}

export function spawnProvider({ folder, environment = {}, args = [] }: Options) {
  const child = Bun.spawn([process.execPath, testProviderMain, ...args], {
    env: { ...process.env, PLUGIN_UNIX_SOCKET_DIR: folder, ...environment },
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: startMilliseconds,
  })
  return child
}

/** One line of handshake, and a client that has shown its certificate. */
export async function startProvider(folder: string, environment: Readonly<Record<string, string>> = {}) {
  const own = await createClientCertificate()
  const child = spawnProvider({
    folder,
    environment: { [magicCookie.name]: magicCookie.value, PLUGIN_CLIENT_CERT: own.certificatePem, ...environment },
  })
  const line = (await readUntil(child.stdout, /\n/)).trim()
  // The line has base64 without its padding.
  const [core, plugin, network, socketPath = '', protocol, certificate = ''] = line.split('|')
  const tls: Tls = {
    ...own,
    serverCertificatePem: pem('CERTIFICATE', Buffer.from(certificate, 'base64').toString('base64')),
  }
  return { child, handshake: { core, plugin, network, protocol }, socketPath, tls, client: connect(socketPath, tls) }
}

/** What was written up to and with the pattern. */
export async function readUntil(output: ReadableStream<Uint8Array>, pattern: RegExp): Promise<string> {
  const reader = output.getReader()
  let text = ''
  while (!pattern.test(text)) {
    const { value, done } = await reader.read()
    if (done) throw new Error(`the provider ended after ${JSON.stringify(text)}`)
    text += Buffer.from(value).toString()
  }
  reader.releaseLock()
  return text
}
