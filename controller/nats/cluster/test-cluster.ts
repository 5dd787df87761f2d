/** A cluster for one test: three real NATS servers on free loopback ports, each with its papers. Only tests use it. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findFreePort } from '../../control-plane/test-nats-server.ts'
import { silentLogger } from '../test-bus.ts'
import { type PlannedNode, prepareCluster } from './prepare-cluster.ts'
import { runNode } from './run-node.ts'

export interface TestCluster {
  /** For `openBus`. */
  readonly stateFolder: string
  readonly nodesFolder: string
  readonly servers: readonly string[]
  readonly nodes: readonly PlannedNode[]
  start(name: string): Promise<void>
  /** Starts one more, which the others have not heard of. */
  add(name: string): Promise<void>
  /** As a power cut would: no farewell, and nobody starts it again. */
  kill(name: string): Promise<void>
  /** Freezes it, so that it neither answers nor hangs up. */
  pause(name: string): void
  resume(name: string): void
  stop(): Promise<void>
}

export async function startTestCluster(options: { readonly isStarted?: boolean } = {}): Promise<TestCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-cluster-'))
  const stateFolder = join(folder, 'controller')
  const nodesFolder = join(folder, 'nodes')
  const nodes = await planNodes(3)
  await prepareCluster({ controllerFolder: stateFolder, nodesFolder, nodes, now: Date.now() })
  const running = new Map<string, Awaited<ReturnType<typeof runNode>>>()

  const signal = (name: string, which: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL') => {
    const pid = running.get(name)?.status().pid
    if (typeof pid === 'number') process.kill(pid, which)
  }
  const self: TestCluster = {
    stateFolder,
    nodesFolder,
    servers: nodes.map(({ listen }) => listen),
    nodes,
    async start(name) {
      running.set(name, await runNode({ folder: join(nodesFolder, name), logger: silentLogger }))
    },
    async add(name) {
      const [node] = await planNodes(1)
      const [, ...others] = nodes
      if (node === undefined) throw new Error('BUG: no node is planned')
      const grown = [...others, { ...node, name, location: 'rack-b' }]
      await prepareCluster({ controllerFolder: stateFolder, nodesFolder, nodes: grown, now: Date.now() })
      await self.start(name)
    },
    async kill(name) {
      const node = running.get(name)
      running.delete(name)
      const pid = node?.status().pid
      const ended = node?.close()
      if (typeof pid === 'number') process.kill(pid, 'SIGKILL')
      await ended
    },
    pause: (name) => signal(name, 'SIGSTOP'),
    resume: (name) => signal(name, 'SIGCONT'),
    async stop() {
      for (const name of running.keys()) signal(name, 'SIGCONT')
      await Promise.all([...running.keys()].map((name) => self.kill(name)))
      await rm(folder, { recursive: true, force: true })
    },
  }
  if (options.isStarted !== false) await Promise.all(nodes.map(({ name }) => self.start(name)))
  return self
}

export async function planNodes(count: number): Promise<readonly PlannedNode[]> {
  const nodes: PlannedNode[] = []
  for (let i = 1; i <= count; i++) {
    const [client, cluster] = [await findFreePort(), await findFreePort()]
    nodes.push({ name: `node-${i}`, listen: `127.0.0.1:${client}`, clusterListen: `127.0.0.1:${cluster}` })
  }
  return nodes
}
