/**
 * A whole controller in memory behind a real port, whose hosts do at once what they are told: for tests of the provider
 * that need no hosts. What is asked of it is counted.
 */

import { createTestWorld, type TestWorld } from '../api/api-world.ts'

export interface ServedWorld extends TestWorld {
  readonly url: string
  /** `POST /v1/pools`, each as often as it was asked. */
  readonly requests: string[]
  /** Answers the next requests in place of the controller, until it gives undefined. */
  intercept(answer: (request: Request) => Response | undefined): void
  close(): Promise<void>
}

const settleMilliseconds = 2

export async function serveTestWorld(port = 0): Promise<ServedWorld> {
  const world = await createTestWorld()
  const requests: string[] = []
  let changing = 0
  let intercepted: (request: Request) => Response | undefined = () => undefined
  const server = Bun.serve({
    port,
    hostname: '127.0.0.1',
    idleTimeout: 0,
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
  const stop = keepSettling(world, () => changing > 0)
  return {
    ...world,
    url: `http://127.0.0.1:${server.port}`,
    requests,
    intercept: (answer) => {
      intercepted = answer
    },
    async close() {
      await stop()
      await server.stop(true)
    },
  }
}

/** Hosts work while something is being changed, as they do in a rack. */
function keepSettling(world: TestWorld, isChanging: () => boolean): () => Promise<void> {
  let isOver = false
  const settling = (async () => {
    while (!isOver) {
      if (isChanging()) await world.settle()
      await Bun.sleep(settleMilliseconds)
    }
  })()
  return async () => {
    isOver = true
    await settling
  }
}
