/** A real Knot for tests, on a free port of loopback and in a folder of its own. Ended by `remove`. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { searchPath } from '../../lab/commands.ts'
import { configurationFile, renderEmptyZone, renderKnotConfiguration, zoneFile } from '../../lab/knot-configuration.ts'
import { waitUntil } from '../../lab/wait.ts'

export interface KnotServer {
  readonly zone: string
  readonly port: number
  readonly key: string
  start(): Promise<void>
  /** Ends it at once. */
  kill(): Promise<void>
  /** What kdig prints. */
  ask(...words: readonly string[]): Promise<string>
  /** Changes the zone as its operator would: lines for knsupdate. */
  write(lines: readonly string[]): Promise<void>
  remove(): Promise<void>
}

const startSeconds = 10
const environment = { PATH: searchPath() }
export const testKey = `hmac-sha256:sluice:${Buffer.alloc(32, 7).toString('base64')}`

export async function startKnotServer(zone = 'sluice.test'): Promise<KnotServer> {
  const folder = mkdtempSync(`${tmpdir()}/sluice-knot-`)
  const port = await takeFreePort()
  const settings = { folder, zone, listen: [`127.0.0.1@${port}`], key: testKey }
  mkdirSync(folder, { recursive: true })
  writeFileSync(configurationFile(settings), renderKnotConfiguration(settings), { mode: 0o600 })
  writeFileSync(zoneFile(settings), renderEmptyZone(settings))
  let child: Bun.Subprocess | null = null

  const server: KnotServer = {
    zone,
    port,
    key: testKey,
    async start() {
      child = Bun.spawn(['knotd', '--config', configurationFile(settings)], {
        stdin: 'ignore',
        stdout: 'ignore',
        stderr: 'ignore',
        env: environment,
      })
      await waitUntil(async () => (await server.ask('+short', zone, 'SOA')).includes('hostmaster'), {
        what: () => `knotd to answer for ${zone}`,
        timeoutSeconds: startSeconds,
      })
    },
    async kill() {
      child?.kill('SIGKILL')
      await child?.exited
      child = null
    },
    async ask(...words) {
      const argv = ['kdig', '@127.0.0.1', '-p', String(port), '+time=1', '+retry=0', ...words]
      const kdig = Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', env: environment })
      return (await new Response(kdig.stdout).text()).trim()
    },
    async write(lines) {
      const input = [`server 127.0.0.1 ${port}`, `zone ${zone}`, ...lines, 'send', ''].join('\n')
      const knsupdate = Bun.spawn(['knsupdate', '-y', testKey], {
        stdin: new Blob([input]),
        stdout: 'pipe',
        stderr: 'pipe',
        env: environment,
      })
      const [said, complained] = await Promise.all([
        new Response(knsupdate.stdout).text(),
        new Response(knsupdate.stderr).text(),
      ])
      if ((await knsupdate.exited) !== 0 || complained.includes('error'))
        throw new Error(`knsupdate: ${said}${complained}`)
    },
    async remove() {
      await server.kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  await server.start()
  return server
}

export function takeFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => (address === null || typeof address === 'string' ? reject(address) : resolve(address.port)))
    })
  })
}
