/**
 * A real nats-server for one test: on a free loopback port, with a store folder of its own that outlives `kill` and
 * is removed by `stop`. Only tests and measurements use it.
 */

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TestNatsServer {
  readonly url: string
  /** Of its process; 0 while there is none. */
  pid(): number
  /** Ends it as a power cut would: no farewell, nothing flushed. */
  kill(): Promise<void>
  /** Starts it again on the same port and folder. */
  start(): Promise<void>
  /** Freezes it, so that it neither answers nor hangs up, and waits until it is frozen. */
  pause(): Promise<void>
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
    pid: () => child?.pid ?? 0,
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
    async pause() {
      child?.kill('SIGSTOP')
      const deadline = performance.now() + 1000 * startSecondsMaximum
      while (!(await isFrozen(child?.pid))) {
        if (performance.now() > deadline) throw new Error('nats-server could not be paused')
      }
    },
    resume: () => child?.kill('SIGCONT'),
    async stop() {
      await kill()
      await rm(place.folder, { recursive: true, force: true })
    },
  }
}

/** True when the kernel says so of each of its threads: a signal takes a moment to stop them all. */
async function isFrozen(pid: number | undefined): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`)
  const stats = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8')))
  return stats.every((stat) => stat.slice(stat.lastIndexOf(')') + 2).startsWith('T'))
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

/** That nobody listens on just now. */
export function findFreePort(): Promise<number> {
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
