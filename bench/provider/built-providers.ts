/** The two providers as programs: ours as it is released, the floor compiled likewise; and how long ours takes to answer. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCertificate } from '../../provider/plugin/server/certificate.ts'
import { connect } from '../../provider/plugin/testing/client.ts'
import { magicCookie } from '../../provider/plugin/wire/go-plugin.ts'

const repository = new URL('../..', import.meta.url).pathname
export const programFolder = join(repository, 'dist')
const ours = join(programFolder, 'terraform-provider-sluice')

export function buildProviders(): void {
  run([join(repository, 'scripts/build'), 'terraform-provider-sluice'])
  const entry = join(repository, 'bench/provider/nothing-main.ts')
  const options = ['--compile', '--bytecode', '--no-compile-autoload-dotenv', '--no-compile-autoload-bunfig']
  const output = join(programFolder, 'terraform-provider-nothing')
  run([process.execPath, 'build', entry, ...options, '--outfile', output])
}

function run(argv: readonly string[]): void {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...argv], { cwd: repository })
  if (exitCode !== 0) throw new Error(`${argv.join(' ')} ended with ${exitCode}: ${stdout}${stderr}`)
}

/** Milliseconds from the start of the process to its answer to the first call, over mutual TLS as the CLI has it. */
export async function measureStarts(times: number): Promise<readonly number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-start-'))
  const samples: number[] = []
  try {
    // Once before anything counts, so that the program is in memory.
    await measureStart(folder)
    for (let time = 0; time < times; time++) samples.push(await measureStart(folder))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return samples
}

async function measureStart(folder: string): Promise<number> {
  const own = createCertificate(new Date(), Uint8Array.of(1))
  const begun = performance.now()
  const child = Bun.spawn([ours], {
    env: {
      PATH: process.env.PATH,
      [magicCookie.name]: magicCookie.value,
      PLUGIN_CLIENT_CERT: own.pem,
      PLUGIN_UNIX_SOCKET_DIR: folder,
    },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'ignore',
  })
  const [, , , socketPath = '', , certificate = ''] = (await readLine(child.stdout)).split('|')
  // The line has base64 without its padding.
  const lines =
    Buffer.from(certificate, 'base64')
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  const serverCertificatePem = ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
  const client = connect(socketPath, { serverCertificatePem, certificatePem: own.pem, keyPem: own.keyPem })
  await client.call('GetProviderSchema', {})
  const milliseconds = performance.now() - begun
  await client.shutdown().catch(() => undefined)
  client.close()
  await child.exited
  return milliseconds
}

async function readLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true })
    if (text.includes('\n')) return text.slice(0, text.indexOf('\n'))
  }
  throw new Error(`the provider ended before it shook hands: ${text}`)
}
