import { expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAccount, createOperator } from '@nats-io/nkeys'
import { encodeAccountTokens, encodeOperatorToken } from './accounts.ts'
import { openCertificates } from './certificates.ts'
import type { BusIdentity } from './identity.ts'
import { renderServerConfiguration } from './server-configuration.ts'

test('the text is the golden one, alone and in a cluster', async () => {
  const alone = {
    listen: '198.18.0.254:4222',
    serverName: 'sluice-abc',
    storeFolder: '/var/lib/sluice/nats/store',
    resolverFolder: '/var/lib/sluice/nats/resolver',
    logFile: '/var/lib/sluice/nats/nats-server.log',
    certificateFile: '/var/lib/sluice/nats/server.pem',
    keyFile: '/var/lib/sluice/nats/server.key',
    operatorToken: 'operator.token',
    systemAccount: 'ASYSTEM',
    accounts: [
      { publicKey: 'ASYSTEM', token: 'system.token' },
      { publicKey: 'ACONTROL', token: 'control.token' },
    ],
    cluster: null,
  }
  const cluster = {
    name: 'sluice-abc',
    nodeName: 'node-1',
    location: 'rack-a',
    listen: '198.18.0.241:6222',
    routes: ['198.18.0.242:6222', '198.18.0.243:6222'],
    caFile: '/var/lib/sluice/nats/ca.pem',
  }
  await expectGolden(renderServerConfiguration(alone), 'server-configuration.golden.conf')
  await expectGolden(renderServerConfiguration({ ...alone, cluster }), 'clustered-configuration.golden.conf')
})

async function expectGolden(text: string, name: string): Promise<void> {
  const golden = join(import.meta.dir, name)
  if (process.env.SLUICE_WRITE_GOLDEN === '1') await Bun.write(golden, text)
  expect(text).toBe(await Bun.file(golden).text())
}

test('nats-server accepts it, with tokens that are signed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-nats-configuration-'))
  try {
    const identity: BusIdentity = {
      operator: createOperator(),
      accounts: {
        system: createAccount(),
        control: createAccount(),
        hosts: createAccount(),
        readers: createAccount(),
      },
      roles: { agent: createAccount(), reader: createAccount() },
    }
    const certificates = await openCertificates({ folder, names: ['127.0.0.1'], now: Date.now() })
    const configuration = renderServerConfiguration({
      listen: '127.0.0.1:4222',
      serverName: 'sluice-test',
      storeFolder: join(folder, 'store'),
      resolverFolder: join(folder, 'resolver'),
      logFile: join(folder, 'log'),
      certificateFile: certificates.serverCertificateFile,
      keyFile: certificates.serverKeyFile,
      operatorToken: await encodeOperatorToken(identity),
      systemAccount: identity.accounts.system.getPublicKey(),
      accounts: await encodeAccountTokens(identity, {}),
      cluster: {
        name: 'sluice-test',
        nodeName: 'node-1',
        location: null,
        listen: '127.0.0.1:6222',
        routes: ['127.0.0.2:6222'],
        caFile: join(folder, 'ca.pem'),
      },
    })
    const path = join(folder, 'nats-server.conf')
    await writeFile(path, configuration)
    const checked = Bun.spawnSync(['nats-server', '-t', '--config', path])
    expect(checked.stderr.toString()).toContain('configuration file')
    expect(checked.exitCode).toBe(0)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
