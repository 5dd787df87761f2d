/**
 * A whole controller in memory behind a real port, whose hosts do at once what they are told: for tests of the provider
 * that need no hosts. What is asked of it is counted.
 */

import { createTestWorld, type TestWorld } from '../api/api-world.ts'

export interface ServedWorld extends TestWorld {
  readonly url: string
  /** `POST /v1/pools`, each as often as it was asked. */
  readonly requests: string[]
  /** Whether hosts work: by default while something is being changed, as long as the request for it is waited for. */
  letHostsWork(when: HostsWork): void
  /** Answers the next requests in place of the controller, until it gives undefined. */
  intercept(answer: (request: Request) => Response | undefined): void
  close(): Promise<void>
}

export type HostsWork = 'always' | 'never' | 'whileChanging'

const settleMilliseconds = 2

/** With a certificate it is asked over TLS. */
export async function serveTestWorld(tls?: { readonly key: string; readonly cert: string }): Promise<ServedWorld> {
  const world = await createTestWorld()
  const requests: string[] = []
  let changing = 0
  let hostsWork: HostsWork = 'whileChanging'
  let intercepted: (request: Request) => Response | undefined = () => undefined
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    ...(tls !== undefined && { tls }),
    async fetch(request) {
      requests.push(`${request.method} ${new URL(request.url).pathname}`)
      const answer = intercepted(request)
      if (answer !== undefined) return answer
      if (request.method === 'GET') return world.app.fetch(request)
      changing += 1
      try {
        return await world.app.fetch(request)
      } finally {
        changing -= 1
      }
    },
  })
  const stop = keepSettling(world, () => hostsWork === 'always' || (hostsWork === 'whileChanging' && changing > 0))
  return {
    ...world,
    url: server.url.origin,
    requests,
    letHostsWork: (when) => {
      hostsWork = when
    },
    intercept: (answer) => {
      intercepted = answer
    },
    async close() {
      await stop()
      await server.stop(true)
    },
  }
}

function keepSettling(world: TestWorld, doHostsWork: () => boolean): () => Promise<void> {
  let isOver = false
  const settling = (async () => {
    while (!isOver) {
      if (doHostsWork()) await world.settle()
      await Bun.sleep(settleMilliseconds)
    }
  })()
  return async () => {
    isOver = true
    await settling
  }
}
