/**
 * A real nats-server for one test: on a free loopback port, with a store folder of its own that outlives `kill` and
 * is removed by `stop`. Only tests and measurements use it.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TestNatsServer {
  readonly url: string
  /** Ends it as a power cut would: no farewell, nothing flushed. */
  kill(): Promise<void>
  /** Starts it again on the same port and folder. */
  start(): Promise<void>
  /** Freezes it, so that it neither answers nor hangs up. */
  pause(): void
  resume(): void
  /** Ends it and removes its folder. */
  stop(): Promise<void>
}

const startSecondsMaximum = 20
const startAttemptsMaximum = 3

/** @param program another build of nats-server, to test against its version */
export async function startTestNatsServer(options: { readonly program?: string } = {}): Promise<TestNatsServer> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-nats-'))
  for (let attempt = 1; ; attempt++) {
    const port = await findFreePort()
    const server = describeServer({ folder, port, program: options.program ?? 'nats-server' })
    try {
      await server.start()
      return server
    } catch (cause) {
      // Another program may have taken the port since it was found free.
      if (attempt < startAttemptsMaximum) continue
      await rm(folder, { recursive: true, force: true })
      throw cause
    }
  }
}

function describeServer(place: {
  readonly folder: string
  readonly port: number
  readonly program: string
}): TestNatsServer {
  let child: Bun.Subprocess<'ignore', 'ignore', 'pipe'> | null = null

  async function kill(): Promise<void> {
    const dying = child
    child = null
    dying?.kill('SIGKILL')
    await dying?.exited
  }

  return {
    url: `nats://127.0.0.1:${place.port}`,
    kill,
    async start() {
      const configuration = join(place.folder, 'nats.conf')
      await writeFile(
        configuration,
        `listen: "127.0.0.1:${place.port}"\n` +
          `jetstream { store_dir: ${JSON.stringify(join(place.folder, 'store'))}, sync_interval: always }\n`,
      )
      const command = [place.program, '-c', configuration]
      const started = Bun.spawn(command, { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' })
      child = started
      await waitUntilReady(started)
    },
    pause: () => child?.kill('SIGSTOP'),
    resume: () => child?.kill('SIGCONT'),
    async stop() {
      await kill()
      await rm(place.folder, { recursive: true, force: true })
    },
  }
}

/** Reads the server's log until it says that it is ready, and on to its end, so that it never blocks on a full pipe. */
async function waitUntilReady(child: Bun.Subprocess<'ignore', 'ignore', 'pipe'>): Promise<void> {
  const ready = Promise.withResolvers<void>()
  const timer = setTimeout(() => {
    ready.reject(new Error(`nats-server was not ready within ${startSecondsMaximum} s`))
    child.kill('SIGKILL')
  }, startSecondsMaximum * 1000)
  const reading = (async () => {
    const decoder = new TextDecoder()
    let log = ''
    for await (const chunk of child.stderr) {
      log = (log + decoder.decode(chunk, { stream: true })).slice(-4000)
      if (log.includes('Server is ready')) ready.resolve()
    }
    ready.reject(new Error(`nats-server ended before it was ready: ${log}`))
  })()
  reading.catch(ready.reject)
  try {
    await ready.promise
  } finally {
    clearTimeout(timer)
  }
}

function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}
