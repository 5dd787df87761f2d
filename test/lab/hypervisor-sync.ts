/** A syncer for lab tests and the bench: hosts' stacks applied by OpenTofu, their states in a store in memory. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMemoryStore } from '../../controller/control-plane/memory-store.ts'
import type { DesiredHost } from '../../controller/hypervisor/desired-domain.ts'
import { createStates, type States } from '../../controller/hypervisor/state/states.ts'
import { type RunProgram, runProgram } from '../../controller/hypervisor/sync/run-program.ts'
import { openStateDoor } from '../../controller/hypervisor/sync/state-door.ts'
import { hostStack, type SyncOptions, type SyncOutcome, syncHost } from '../../controller/hypervisor/sync/sync-host.ts'

export interface LabSync {
  readonly states: States
  readonly folder: string
  /** How often each program was started: `tofu plan`, `virsh`. */
  readonly started: readonly string[]
  sync(desired: DesiredHost, options?: Partial<SyncOptions>): Promise<SyncOutcome>
  /** As if the store had never heard of the host's state. */
  forget(host: string): Promise<void>
  close(): Promise<void>
}

export const mirrorFolder = process.env.SLUICE_PROVIDER_MIRROR ?? '/usr/local/lib/sluice/providers'
const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes))

export function openLabSync(): LabSync {
  const store = createMemoryStore()
  const context = { store, random, now: Date.now }
  const states = createStates(context, { current: 1, keys: new Map([[1, random(32)]]) })
  const door = openStateDoor(context, states)
  const folder = mkdtempSync(join(tmpdir(), 'sluice-stacks-'))
  const started: string[] = []
  const run: RunProgram = (call, signal) => {
    started.push(call.argv[0] === 'virsh' ? 'virsh' : call.argv.slice(0, 2).join(' '))
    return runProgram(call, signal)
  }
  const means = {
    ...context,
    states,
    door,
    run,
    folder,
    mirrorFolder,
    program: 'tofu',
    shutdownSeconds: 1,
    sleep: Bun.sleep,
  }
  const signal = new AbortController().signal
  return {
    states,
    folder,
    started,
    sync: (desired, options = {}) => syncHost(means, desired, { signal, ...options }),
    async forget(host) {
      const request = {
        caller: { tokenId: 'test', scope: 'admin', projectId: null },
        traceparent: '',
        actionId: String(random(8)),
        seed: '',
      } as const
      await states.remove(hostStack(host), null, request)
    },
    async close() {
      await door.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
