/** The same fleets by hand: haproxy and keepalived with plain configs in namespaces, and nobody who looks after them. */

import { availableParallelism } from 'node:os'
import { agentBinary } from '../../lab/agent-process.ts'
import type { BenchContext } from '../bench.ts'
import { startFloor } from '../floor/start-floor.ts'
import { type DataPlane, findDataPlane, measurePrograms, type Rest } from './measure-programs.ts'

export interface ByHand {
  readonly balancers: number
  readonly rest: Rest<DataPlane>
}

/** What the smallest of our fleets has as well: bench/life.ts holds its failovers to that interval. */
const settings = {
  advertSeconds: 0.05,
  homePriority: 250,
  backupPriority: 200,
  preemptDelaySeconds: 5,
  realtimePriority: 50,
  webCommand: `${agentBinary} workload web --port 80 --host by-hand --name`,
}
const haproxyThreadsMaximum = 4
const settleSeconds = 10

export async function measureByHand(
  { cleanup, tell }: BenchContext,
  sizes: readonly number[],
  members: number,
): Promise<readonly ByHand[]> {
  const threads = Math.min(haproxyThreadsMaximum, availableParallelism())
  const floor = await startFloor({ ...settings, threads, members })
  cleanup.defer('what was made by hand', () => floor.stop())
  const found: ByHand[] = []
  let made = 0
  for (const balancers of sizes) {
    while (made < balancers) {
      made += 1
      await floor.create(made)
    }
    await Bun.sleep(settleSeconds * 1000)
    found.push({ balancers, rest: await measurePrograms(findDataPlane()) })
    tell(`by hand: ${JSON.stringify(found.at(-1))}`)
  }
  await floor.stop()
  return found
}
