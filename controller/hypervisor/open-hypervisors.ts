/** Puts the room's parts together as a controller runs them: the door for states, and the keeper of hosts. */

import type { Leases } from '../control-plane/leases/lease.ts'
import type { ControllerContext } from '../services.ts'
import type { States } from './state/states.ts'
import { type HostKeeperOptions, keepHosts } from './sync/keep-hosts.ts'
import { runProgram } from './sync/run-program.ts'
import { openStateDoor } from './sync/state-door.ts'
import { syncHost } from './sync/sync-host.ts'

export interface HypervisorsOptions {
  readonly context: ControllerContext
  readonly leases: Leases
  readonly states: States
  /** Stacks are applied in folders below. */
  readonly folder: string
  readonly mirrorFolder: string
  readonly refreshSeconds: number
  readonly listDomains: HostKeeperOptions['listDomains']
}

/** So many hosts at once; each takes some 150 MB while it is planned. */
const parallelism = 4
const shutdownSeconds = 60

export function openHypervisors(options: HypervisorsOptions): { close(): Promise<void> } {
  const { context, leases, states, folder, mirrorFolder, refreshSeconds, listDomains } = options
  const door = openStateDoor(context, states)
  const means = {
    ...{ now: context.now, random: context.random, store: context.store },
    ...{ states, door, run: runProgram, folder, mirrorFolder, program: 'tofu', shutdownSeconds },
    sleep: (milliseconds: number) => Bun.sleep(milliseconds),
  }
  const keeper = keepHosts({
    ...{ context, leases, run: runProgram, listDomains, refreshSeconds, parallelism },
    sync: (desired, sync) => syncHost(means, desired, sync),
  })
  return {
    async close() {
      await keeper.close()
      await door.close()
    },
  }
}
