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

const settleMilliseconds = 5

export async function serveTestWorld(port = 0): Promise<ServedWorld> {
  const world = await createTestWorld()
  const requests: string[] = []
  let intercepted: (request: Request) => Response | undefined = () => undefined
  const server = Bun.serve({
    port,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    fetch(request) {
      requests.push(`${request.method} ${new URL(request.url).pathname}`)
      return intercepted(request) ?? world.app.fetch(request)
    },
  })
  const stop = keepSettling(world)
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

/** Hosts work whenever there is something to do, as they do in a rack. */
function keepSettling(world: TestWorld): () => Promise<void> {
  let isOver = false
  const settling = (async () => {
    while (!isOver) {
      await world.settle()
      await Bun.sleep(settleMilliseconds)
    }
  })()
  return async () => {
    isOver = true
    await settling
  }
}
