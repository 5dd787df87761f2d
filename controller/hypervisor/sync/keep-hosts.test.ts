import { describe, expect, test } from 'bun:test'
import { createObjectId } from '../../access/object-id.ts'
import { createTestContext } from '../../access/test-context.ts'
import type { Lease, Leases } from '../../control-plane/leases/lease.ts'
import { write } from '../../control-plane/store.ts'
import { escalationKind } from '../../control-plane/writes/kept-kinds.ts'
import { hostKind, systemClient } from '../../objects.ts'
import type { DesiredHost } from '../desired-domain.ts'
import { hypervisorStatusKind } from '../hypervisor-kinds.ts'
import { createHypervisorsService } from '../hypervisors.ts'
import { createSlots, keepHosts } from './keep-hosts.ts'
import type { SyncOptions, SyncOutcome } from './sync-host.ts'

const observed = { vcpus: 2, memoryMiB: 100, pools: [], networks: [], domains: [], volumes: new Map() }
const converged: SyncOutcome = { kind: 'converged', observed, changes: [], adopted: [], drifted: [] }
const settings = { uri: 'qemu:///system', poolPath: '/pool', domainType: 'qemu' } as const

/** Leases that are this controller's at once. */
const leases = {
  claim: (name: string) => {
    const signal = new AbortController().signal
    const lease: Lease = { name, token: 1, signal, isHeld: () => true }
    return { current: () => lease, held: async () => lease, release: async () => undefined }
  },
} as unknown as Leases

async function createGround(
  names: readonly string[],
  sync: (desired: DesiredHost, options: SyncOptions) => Promise<SyncOutcome>,
) {
  const context = createTestContext()
  const hypervisors = createHypervisorsService(context)
  const ids: string[] = []
  for (const name of names) {
    const request = context.request()
    const id = createObjectId(hostKind, systemClient, request.seed)
    const value = { name, maintenance: false, labels: {}, underlayAddress: null, publicKey: null, joinedAt: null }
    await context.store.transact({ writes: [write({ kind: hostKind, id, expect: 'absent', value })] })
    await hypervisors.set(id, settings, request)
    ids.push(id)
  }
  const options = { refreshSeconds: 3600, parallelism: 4, run: () => Promise.reject(new Error('no program')) }
  const listDomains = () => ({ domains: [], removedIds: [] })
  const keeper = keepHosts({ context, leases, sync, listDomains, ...options })
  const waitFor = async (isTrue: () => Promise<boolean> | boolean) => {
    while (!(await isTrue())) await Bun.sleep(1)
  }
  const statusOf = async (id = '') => (await context.store.get(hypervisorStatusKind, id))?.value
  return { context, hypervisors, ids, keeper, waitFor, statusOf }
}

describe('hosts are kept', () => {
  test('each by itself: one that hangs keeps no other waiting', async () => {
    let release = () => {}
    const hangs = new Promise<SyncOutcome>((resolve) => {
      release = () => resolve(converged)
    })
    const { ids, keeper, waitFor, statusOf } = await createGround(['a', 'b'], ({ host }) =>
      host === 'a' ? hangs : Promise.resolve(converged),
    )
    await waitFor(async () => (await statusOf(ids[1]))?.status === 'converged')
    expect(await statusOf(ids[0])).toBeUndefined()
    release()
    await keeper.close()
  })

  test('without a program while nothing is desired otherwise, and at once when it is', async () => {
    const synced: string[] = []
    const { hypervisors, context, ids, keeper, waitFor } = await createGround(['a'], async ({ connection }) => {
      synced.push(connection.poolPath)
      return converged
    })
    await waitFor(() => synced.length === 1)
    // Others change, and it is woken for nothing.
    for (let i = 0; i < 5; i++) await hypervisors.set(ids[0] ?? '', settings, context.request())
    await hypervisors.set(ids[0] ?? '', { ...settings, poolPath: '/other' }, context.request())
    await waitFor(() => synced.length === 2)
    expect(synced).toEqual(['/pool', '/other'])
    await keeper.close()
  })

  test('what is refused is escalated once, and done when it is allowed', async () => {
    const harms = [{ address: 'libvirt_domain.x', action: 'replace', because: ['xml'] }] as const
    const { hypervisors, context, ids, keeper, waitFor, statusOf } = await createGround(
      ['a'],
      async (_, { allowed }) => (allowed?.has('libvirt_domain.x') ? converged : { kind: 'refused', observed, harms }),
    )
    const [id = ''] = ids
    await waitFor(async () => (await statusOf(id))?.status === 'refused')
    const [escalation, ...more] = context.store.snapshot(escalationKind)
    expect(more).toEqual([])
    expect(escalation?.value.action.payload).toEqual({
      parameters: { id },
      query: {},
      body: { addresses: ['libvirt_domain.x'] },
    })
    await hypervisors.allow(id, { addresses: ['libvirt_domain.x'] }, context.request())
    await waitFor(async () => (await statusOf(id))?.status === 'converged')
    await keeper.close()
  })

  test('trouble is shown with its remedy, and a host that is given up is forgotten', async () => {
    const trouble = { reason: 'unreachable', message: 'm', remedy: 'r' } as const
    let isReachable = false
    const { hypervisors, context, ids, keeper, waitFor, statusOf } = await createGround(['a'], async () =>
      isReachable ? converged : { kind: 'failed', observed: null, trouble, addresses: [] },
    )
    const [id = ''] = ids
    await waitFor(async () => (await statusOf(id))?.status === 'failed')
    expect(await hypervisors.show(id, context.request())).toMatchObject({ ok: true, value: { trouble } })
    isReachable = true
    await hypervisors.release(id, context.request())
    await waitFor(async () => !(await hypervisors.show(id, context.request())).ok)
    await keeper.close()
  })
})

test('slots let so many in, the rest in their order', async () => {
  const slots = createSlots(2)
  const { signal } = new AbortController()
  const began: number[] = []
  const ends: (() => void)[] = []
  const all = [1, 2, 3].map((one) =>
    slots(
      () =>
        new Promise<void>((resolve) => {
          began.push(one)
          ends.push(resolve)
        }),
      signal,
    ),
  )
  await Promise.resolve()
  expect(began).toEqual([1, 2])
  ends[0]?.()
  await all[0]
  await Promise.resolve()
  expect(began).toEqual([1, 2, 3])
  for (const end of ends) end()
  await Promise.all(all)
})
