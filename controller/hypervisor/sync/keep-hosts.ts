/**
 * Keeps every libvirt host as it is desired: one loop a host, each under a lease of its own, so that no host waits for
 * another and no two controllers sync one. It sleeps until something is desired otherwise, or a look at the host is due;
 * till then no program is started. Records how each sync went.
 */

import type { Logger } from 'pino'
import { createOwnRequest } from '../../access/own-request.ts'
import { sleep } from '../../control-plane/connection-watch.ts'
import { type Leases, workWhileHeld } from '../../control-plane/leases/lease.ts'
import type { Store, StoredObject } from '../../control-plane/store.ts'
import type { ControllerContext } from '../../services.ts'
import type { DesiredDomain, DesiredHost } from '../desired-domain.ts'
import { type HypervisorValue, hypervisorKind, hypervisorStatusKind } from '../hypervisor-kinds.ts'
import { findDomainType } from './find-domain-type.ts'
import { forgetHypervisor, recordSync } from './record-sync.ts'
import type { SyncMeans, SyncOptions, SyncOutcome } from './sync-host.ts'

export interface HostKeeperOptions {
  readonly context: Pick<ControllerContext, 'now' | 'random'> & { readonly store: Store; readonly logger: Logger }
  readonly leases: Leases
  readonly run: SyncMeans['run']
  readonly sync: (desired: DesiredHost, options: SyncOptions) => Promise<SyncOutcome>
  /** What is placed on a host, and what somebody has asked to be deleted there. Pure, over the store. */
  readonly listDomains: (hostId: string) => {
    readonly domains: readonly DesiredDomain[]
    readonly removedIds: readonly string[]
  }
  /** How often a host is looked at though nothing is desired otherwise. */
  readonly refreshSeconds: number
  /** How many hosts are synced at once: a sync takes memory, for OpenTofu and its provider. */
  readonly parallelism: number
}

/** After trouble, doubled each time. */
const retrySeconds = 5
const retrySecondsMaximum = 300

export interface HostKeeper {
  close(): Promise<void>
}

export function keepHosts(options: HostKeeperOptions): HostKeeper {
  const { store, logger } = options.context
  const gate = createSlots(options.parallelism)
  const kept = new Map<string, { close(): Promise<void> }>()
  const wakers = new Set<() => void>()
  const update = () => {
    for (const { id, value } of store.snapshot(hypervisorKind)) {
      if (kept.has(id)) continue
      const onFailure = (cause: unknown) => logger.error({ err: cause, host: value.host }, 'the sync of a host failed')
      const work = ({ signal }: { readonly signal: AbortSignal }) => keepHost(options, id, gate, wakers, signal)
      kept.set(
        id,
        workWhileHeld(options.leases, `hypervisor.${id}`, work, { onFailure, pauseMilliseconds: retrySeconds * 1000 }),
      )
    }
    for (const wake of wakers) wake()
  }
  const stop = store.subscribe((changes) => {
    // Not by what is recorded of syncs, which would wake them for ever.
    if (changes.some(({ object }) => object.kind !== hypervisorStatusKind.name && !object.kind.startsWith('stack')))
      update()
  })
  update()
  return {
    async close() {
      stop()
      await Promise.all([...kept.values()].map((one) => one.close()))
    },
  }
}

/** One host, until the lease is lost or it is forgotten. */
async function keepHost(
  options: HostKeeperOptions,
  id: string,
  gate: Slots,
  wakers: Set<() => void>,
  signal: AbortSignal,
): Promise<void> {
  const { context } = options
  let synced: { readonly digest: string; readonly dueAt: number } | null = null
  /** What each address of the host was found to run guests by. */
  const found = new Map<string, 'kvm' | 'qemu'>()
  let failures = 0
  while (!signal.aborted) {
    const object = await context.store.get(hypervisorKind, id)
    if (object === null) {
      await waitForWake(wakers, options.refreshSeconds * 1000, signal)
      continue
    }
    const { uri } = object.value
    const domainType = object.value.domainType ?? found.get(uri) ?? (await findDomainType(options.run, uri, signal))
    found.set(uri, domainType)
    const desired = describeHost(options, object, domainType)
    const digest = digestOf(desired, object.value)
    if (synced !== null && synced.digest === digest && context.now() < synced.dueAt) {
      await waitForWake(wakers, synced.dueAt - context.now(), signal)
      continue
    }
    const allowed = new Set(object.value.allowed)
    const outcome = await gate(() => options.sync(desired, { allowed, signal }), signal)
    if (signal.aborted || outcome === null) return
    failures = outcome.kind === 'converged' ? 0 : failures + 1
    const seconds =
      failures === 0 ? options.refreshSeconds : Math.min(retrySecondsMaximum, retrySeconds * 2 ** (failures - 1))
    synced = { digest, dueAt: context.now() + seconds * 1000 }
    const request = createOwnRequest(context, `sync ${id} ${Buffer.from(context.random(8)).toString('hex')}`)
    await recordSync(context, object, outcome, request)
    if (outcome.kind === 'converged' && desired.isLeaving) await forgetHypervisor(context, object, request)
  }
}

function describeHost(
  { listDomains }: HostKeeperOptions,
  { id, value }: StoredObject<HypervisorValue>,
  domainType: 'kvm' | 'qemu',
): DesiredHost {
  const { uri, poolPath, host, isLeaving = false } = value
  return { host, connection: { uri, poolPath, domainType, machineType: 'q35' }, isLeaving, ...listDomains(id) }
}

const digestOf = (desired: DesiredHost, { allowed }: HypervisorValue): string =>
  new Bun.CryptoHasher('sha256').update(JSON.stringify([desired, allowed])).digest('hex')

async function waitForWake(wakers: Set<() => void>, milliseconds: number, signal: AbortSignal): Promise<void> {
  const waking = new AbortController()
  const wake = () => waking.abort()
  wakers.add(wake)
  await sleep(Math.max(1, milliseconds), AbortSignal.any([signal, waking.signal]))
  wakers.delete(wake)
}

type Slots = <Value>(work: () => Promise<Value>, signal: AbortSignal) => Promise<Value | null>

/** At most so many at once, in the order in which they came; null: the signal aborted first. */
export function createSlots(count: number): Slots {
  let free = count
  const waiting: (() => void)[] = []
  return async (work, signal) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return signal.aborted ? null : await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    }
  }
}
