/**
 * The bus's own certificate authority and nats-server's certificate, kept in the bus's folder: `ca.pem`, `ca.key`,
 * `server.pem`, `server.key`. Agents trust this authority alone, by the fingerprint in their join token.
 */

// The x509 library's dependency injection needs it first.
import 'reflect-metadata'

import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import { readFileOrNull, secretMode, writeDurableFile } from './durable-file.ts'

export interface Certificates {
  /** PEM. */
  readonly caCertificate: string
  /** Hex SHA-256 of the authority's certificate: the last part of a join token. */
  readonly caFingerprint: string
  readonly serverCertificateFile: string
  readonly serverKeyFile: string
  /** True if this call made a new one for the server. */
  readonly isRenewed: boolean
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const dayMilliseconds = 24 * 3600 * 1000
const authorityDays = 20 * 365
const serverDays = 365
/** A node's is renewed by hand, as it has not the authority's key. */
const nodeDays = 5 * 365
/** What is left of its life when the server's certificate is made anew. */
const renewalDays = 30
/** Clocks of hosts may be behind the controller's. */
const skewMilliseconds = 3600 * 1000
const publicMode = 0o644

/**
 * Reads the authority and the server's certificate, and makes what is missing, near its end, or for other names.
 * @param options.names addresses and DNS names by which the server is reached
 */
export async function openCertificates(options: {
  readonly folder: string
  readonly names: readonly string[]
  readonly now: number
}): Promise<Certificates> {
  const { folder, names, now } = options
  const authority = await openAuthority(folder, now)
  const serverCertificateFile = join(folder, 'server.pem')
  const serverKeyFile = join(folder, 'server.key')
  const isUsable = await isServerCertificateUsable({ serverCertificateFile, serverKeyFile, authority, names, now })
  if (!isUsable) {
    const made = await makeServerCertificate(authority, names, { now, role: 'server' })
    // The key first: a certificate without its key is made anew, a key without its certificate too.
    await writeDurableFile(serverKeyFile, made.key, secretMode)
    await writeDurableFile(serverCertificateFile, made.certificate, publicMode)
  }
  const caCertificate = authority.certificate.toString('pem')
  return {
    caCertificate,
    caFingerprint: fingerprintOf(caCertificate),
    serverCertificateFile,
    serverKeyFile,
    isRenewed: !isUsable,
  }
}

/** The bus's authority alone, made where it is missing: what a controller of a cluster has. */
export async function openBusAuthority(
  folder: string,
  now: number,
): Promise<
  Pick<Certificates, 'caCertificate' | 'caFingerprint'> & { issueNode(names: readonly string[]): IssuedNode }
> {
  const authority = await openAuthority(folder, now)
  const caCertificate = authority.certificate.toString('pem')
  const issueNode = (names: readonly string[]) => makeServerCertificate(authority, names, { now, role: 'node' })
  return { caCertificate, caFingerprint: fingerprintOf(caCertificate), issueNode }
}

type IssuedNode = Promise<{ readonly certificate: string; readonly key: string }>

/** Hex SHA-256 of a PEM certificate's DER. */
export function fingerprintOf(certificate: string): string {
  return createHash('sha256')
    .update(new Uint8Array(new x509.X509Certificate(certificate).rawData))
    .digest('hex')
}

interface Authority {
  readonly certificate: x509.X509Certificate
  readonly privateKey: CryptoKey
}

async function openAuthority(folder: string, now: number): Promise<Authority> {
  const certificateFile = join(folder, 'ca.pem')
  const keyFile = join(folder, 'ca.key')
  const [certificate, key] = await Promise.all([readFileOrNull(certificateFile), readFileOrNull(keyFile)])
  // The key is written first, so a certificate without it was lost, not left behind by an interruption.
  if (certificate !== null && key === null) {
    throw new Error(`${keyFile} is missing. Restore it from a backup: every host trusts the certificate beside it`)
  }
  if (certificate !== null && key !== null) {
    return { certificate: new x509.X509Certificate(certificate), privateKey: await importKey(key) }
  }
  const made = await makeAuthority(now)
  await writeDurableFile(keyFile, await exportKey(made.privateKey), secretMode)
  await writeDurableFile(certificateFile, `${made.certificate.toString('pem')}\n`, publicMode)
  return made
}

async function makeAuthority(now: number): Promise<Authority> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: makeSerialNumber(),
    name: 'CN=Sluice bus',
    notBefore: new Date(now - skewMilliseconds),
    notAfter: new Date(now + authorityDays * dayMilliseconds),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate, privateKey: keys.privateKey }
}

async function makeServerCertificate(
  authority: Authority,
  names: readonly string[],
  { now, role }: { readonly now: number; readonly role: 'server' | 'node' },
): Promise<{ readonly certificate: string; readonly key: string }> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: makeSerialNumber(),
    subject: 'CN=nats-server',
    issuer: authority.certificate.subject,
    notBefore: new Date(now - skewMilliseconds),
    notAfter: new Date(now + (role === 'node' ? nodeDays : serverDays) * dayMilliseconds),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: authority.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(
        // Towards the others of its cluster a node is a client as well.
        role === 'node'
          ? [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]
          : [x509.ExtendedKeyUsage.serverAuth],
      ),
      new x509.SubjectAlternativeNameExtension(names.map(alternativeName)),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
    ],
  })
  return { certificate: `${certificate.toString('pem')}\n`, key: await exportKey(keys.privateKey) }
}

const alternativeName = (value: string): x509.JsonGeneralName => ({ type: isIP(value) ? 'ip' : 'dns', value })

async function isServerCertificateUsable(options: {
  readonly serverCertificateFile: string
  readonly serverKeyFile: string
  readonly authority: Authority
  readonly names: readonly string[]
  readonly now: number
}): Promise<boolean> {
  const [text, key] = await Promise.all([
    readFileOrNull(options.serverCertificateFile),
    readFileOrNull(options.serverKeyFile),
  ])
  if (text === null || key === null) return false
  try {
    const certificate = new x509.X509Certificate(text)
    const alternative = certificate.getExtension(x509.SubjectAlternativeNameExtension)
    const known = new Set(alternative?.names.toJSON().map(({ value }) => value))
    return (
      certificate.notBefore.getTime() <= options.now &&
      certificate.notAfter.getTime() - options.now > renewalDays * dayMilliseconds &&
      options.names.every((name) => known.has(name)) &&
      (await certificate.verify({ publicKey: options.authority.certificate, signatureOnly: true })) &&
      (await isKeyOf(certificate, key))
    )
  } catch {
    // What can't be read is made anew: hosts trust the authority, not this certificate.
    return false
  }
}

/** An interruption between the two files leaves a certificate beside another's key. */
async function isKeyOf(certificate: x509.X509Certificate, key: string): Promise<boolean> {
  const probe = crypto.getRandomValues(new Uint8Array(32))
  const signature = await crypto.subtle.sign(algorithm, await importKey(key), probe)
  const publicKey = await certificate.publicKey.export(algorithm, ['verify'])
  return await crypto.subtle.verify(algorithm, publicKey, signature, probe)
}

/** 16 random bytes, of which the first is neither zero nor above 127, as DER wants positive numbers. */
function makeSerialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return Buffer.from(bytes).toString('hex')
}

async function exportKey(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', key)).toString('base64')
  return `-----BEGIN PRIVATE KEY-----\n${der.replaceAll(/.{64}(?=.)/g, '$&\n')}\n-----END PRIVATE KEY-----\n`
}

async function importKey(pem: string): Promise<CryptoKey> {
  const der = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
  return await crypto.subtle.importKey('pkcs8', der, algorithm, true, ['sign'])
}
