/**
 * What every store promises of objects that are carried, which is what it promises of all others: the second part of
 * `store-contract.ts`. Only tests use it.
 */

import { describe, expect, test } from 'bun:test'
import { versionsKeptMaximum, type Write, write } from './store.ts'
import {
  type ContractHarness,
  leaseKind,
  newClient,
  newLeaseId,
  newShardId,
  shardKind,
  waitUntil,
  writeShard,
} from './store-contract.ts'

const plain = { cidr: '10.0.0.0/22', count: 0 }

export function testCarriedContract({ store }: Pick<ContractHarness, 'store'>): void {
  describe('an object that another carries', () => {
    /** Writes leases of a shard, each at its version, and the shard with them where it is to be. */
    const writeLeases = (
      shardId: string,
      leases: readonly (readonly [string, Write['expect'], number | null])[],
      rest: { readonly shard?: Write; readonly actionId?: string } = {},
    ) =>
      store().transact({
        writes: [
          ...leases.map(([id, expect, number]) =>
            write({ kind: leaseKind, id, expect, value: number === null ? null : { shardId, number } }),
          ),
          ...(rest.shard === undefined ? [] : [rest.shard]),
        ],
        ...(rest.actionId === undefined ? {} : { actionId: rest.actionId }),
      })
    const shardWrite = (id: string, expect: Write['expect'], count = 0) =>
      write({ kind: shardKind, id, expect, value: { ...plain, count } })
    const seen = async (id: string) => {
      const versions = await store().history(leaseKind, id)
      return versions.map(({ version, value }) => [version, value?.number ?? null])
    }

    test('is read back at once, by every way of reading, and leaves its carrier as it is', async () => {
      const clientId = newClient()
      const [shardId, id] = [newShardId(clientId), newLeaseId(clientId)]
      await writeLeases(shardId, [[id, 'absent', 1]], { shard: shardWrite(shardId, 'absent'), actionId: 'both' })
      await writeLeases(shardId, [[id, 1, 2]], { actionId: 'alone' })
      const lease = { version: 2, value: { shardId, number: 2 }, actionIds: ['both', 'alone'] }
      expect(await store().get(leaseKind, id)).toMatchObject(lease)
      expect(await store().get(leaseKind, id, { latest: true })).toMatchObject(lease)
      expect(store().snapshot(leaseKind, clientId)).toMatchObject([lease])
      expect(await seen(id)).toEqual([
        [1, 1],
        [2, 2],
      ])
      expect(await store().get(shardKind, shardId, { latest: true })).toMatchObject({ version: 1, actionIds: ['both'] })
      expect(await store().history(shardKind, shardId)).toHaveLength(1)
      expect(await writeShard(store(), shardId, 1, plain)).toMatchObject({ outcome: 'committed' })
    })

    test('may be there before its carrier, which is absent all the same', async () => {
      const clientId = newClient()
      const [shardId, id] = [newShardId(clientId), newLeaseId(clientId)]
      expect(await writeLeases(shardId, [[id, 'absent', 1]])).toMatchObject({ outcome: 'committed' })
      expect(await store().get(shardKind, shardId, { latest: true })).toBeNull()
      expect(await store().getOrTombstone(shardKind, shardId)).toBeNull()
      expect(await writeShard(store(), shardId, 'absent', plain)).toMatchObject({ objects: [{ version: 1 }] })
      expect(await store().get(leaseKind, id, { latest: true })).toMatchObject({ version: 1 })
    })

    test('outlives its carrier, and keeps its history when it is deleted', async () => {
      const clientId = newClient()
      const [shardId, id] = [newShardId(clientId), newLeaseId(clientId)]
      await writeLeases(shardId, [[id, 'absent', 1]], { shard: shardWrite(shardId, 'absent') })
      await writeShard(store(), shardId, 1, null)
      expect(await writeLeases(shardId, [[id, 1, null]])).toMatchObject({ outcome: 'committed' })
      expect(await store().get(leaseKind, id, { latest: true })).toBeNull()
      expect(await store().getOrTombstone(leaseKind, id)).toMatchObject({ version: 2, value: null })
      expect(await store().getOrTombstone(shardKind, shardId)).toMatchObject({ version: 2, value: null })
      expect(await seen(id)).toEqual([
        [1, 1],
        [2, null],
      ])
    })

    test('conflicts like any other, alone and beside its carrier', async () => {
      const clientId = newClient()
      const [shardId, id, other] = [newShardId(clientId), newLeaseId(clientId), newLeaseId(clientId)]
      await writeLeases(shardId, [[id, 'absent', 1]], { shard: shardWrite(shardId, 'absent') })
      const ofLease = { kind: 'lease', id, expectedVersion: 'absent', actualVersion: 1 } as const
      expect(await writeLeases(shardId, [[id, 'absent', 2]])).toEqual({ outcome: 'conflict', conflicts: [ofLease] })
      const both = [
        [id, 'absent', 2],
        [other, 'absent', 3],
      ] as const
      expect(await writeLeases(shardId, both, { shard: shardWrite(shardId, 1) })).toMatchObject({
        conflicts: [ofLease],
      })
      const late = await writeLeases(shardId, [[other, 'absent', 3]], { shard: shardWrite(shardId, 'absent') })
      expect(late).toMatchObject({ conflicts: [{ kind: 'shard', id: shardId, actualVersion: 1 }] })
      expect(await store().get(leaseKind, other, { latest: true })).toBeNull()
    })

    test('is written once by 16 who race for it, and 16 others of the same carrier all come through', async () => {
      const clientId = newClient()
      const [shardId, id] = [newShardId(clientId), newLeaseId(clientId)]
      const outcomes = await Promise.all(
        Array.from({ length: 16 }, (_, number) => writeLeases(shardId, [[id, 'absent', number]])),
      )
      expect(outcomes.filter(({ outcome }) => outcome === 'committed')).toHaveLength(1)
      expect(outcomes.filter(({ outcome }) => outcome === 'conflict')).toHaveLength(15)
      const ids = Array.from({ length: 16 }, () => newLeaseId(clientId))
      // Its carrier is one place for all of them, so that some may lose too many races.
      const write = async (id: string): Promise<void> => {
        const { outcome } = await writeLeases(shardId, [[id, 'absent', 1]])
        if (outcome !== 'committed') return write(id)
      }
      await Promise.all(ids.map(write))
      expect(store().snapshot(leaseKind, clientId)).toHaveLength(17)
    })

    test('is one of many, whose versions are kept for each as for any other', async () => {
      const clientId = newClient()
      const shardId = newShardId(clientId)
      const ids = Array.from({ length: 60 }, () => newLeaseId(clientId))
      const turns = versionsKeptMaximum + 4
      for (let turn = 0; turn < turns; turn++) {
        const leases = ids.map((id) => [id, turn === 0 ? 'absent' : turn, turn] as const)
        expect((await writeLeases(shardId, leases)).outcome).toBe('committed')
      }
      for (const id of [ids[0] ?? '', ids[59] ?? '']) {
        const kept = Array.from({ length: versionsKeptMaximum }, (_, i) => turns - versionsKeptMaximum + 1 + i)
        expect((await store().history(leaseKind, id)).map(({ version }) => version)).toEqual(kept)
      }
      expect(await store().get(leaseKind, ids[7] ?? '', { latest: true })).toMatchObject({ version: turns })
    })

    test('is deleted only where it is, and has its carrier in its own entity group', async () => {
      const clientId = newClient()
      const [shardId, id] = [newShardId(clientId), newLeaseId(clientId)]
      const deletion = write({ kind: leaseKind, id, expect: 'absent', value: null })
      await expect(store().transact({ writes: [deletion] })).rejects.toThrow('is deleted and is not there')
      const foreign = writeLeases(newShardId(newClient()), [[id, 'absent', 1]])
      await expect(foreign).rejects.toThrow('not of its entity group')
      await writeLeases(shardId, [[id, 'absent', 1]])
      await expect(writeLeases(newShardId(clientId), [[id, 1, 2]])).rejects.toThrow('names another carrier')
      expect(await store().get(leaseKind, id, { latest: true })).toMatchObject({ version: 1 })
    })

    test('is told to subscribers with its transaction, once', async () => {
      const clientId = newClient()
      const [shardId, id] = [newShardId(clientId), newLeaseId(clientId)]
      const heard: string[] = []
      const cancel = store().subscribe((changes) => {
        const own = changes.filter(({ object }) => object.id === shardId || object.id === id)
        if (own.length === 0) return
        expect(own.map(({ endOfTransaction }) => endOfTransaction)).toEqual(own.map((_, i) => i === own.length - 1))
        heard.push(
          own
            .map(({ object }) => `${object.kind} ${object.version}`)
            .sort()
            .join(', '),
        )
      })
      await writeLeases(shardId, [[id, 'absent', 1]], { shard: shardWrite(shardId, 'absent') })
      await writeLeases(shardId, [[id, 1, 2]])
      await writeShard(store(), shardId, 1, plain)
      await writeLeases(shardId, [[id, 2, null]], { shard: shardWrite(shardId, 2) })
      await waitUntil(() => heard.length >= 4, 'the subscriber hears of the last transaction')
      cancel()
      expect(heard).toEqual(['lease 1, shard 1', 'lease 2', 'shard 2', 'lease 3, shard 3'])
    })
  })
}
