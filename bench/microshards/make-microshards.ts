/** Makes a store of as many microshards as are wanted, with objects all over the ring. */

import { Kvm } from '@nats-io/kv'
import type { NatsConnection } from '@nats-io/transport-node'
import pino from 'pino'
import { encodeDirectory } from '../../controller/control-plane/directory/directory-format.ts'
import { openJetStreamStore } from '../../controller/control-plane/jetstream-store.ts'
import { planFirstDirectory } from '../../controller/control-plane/microshard-directory.ts'
import { createClientId, createId } from '../../controller/control-plane/shard-key.ts'
import { write } from '../../controller/control-plane/store.ts'
import { shardKind } from '../../controller/control-plane/store-contract.ts'
import { ensureMicroshardStream } from '../../controller/control-plane/stream-placement.ts'

const streamsAtOnce = 16
const writesAtOnce = 64

/** Where nobody has opened a store before. */
export async function makeMicroshards(
  connection: NatsConnection,
  wanted: { readonly microshards: number; readonly objects: number },
): Promise<void> {
  const directory = planFirstDirectory(wanted.microshards)
  await inParallel(directory.microshards, streamsAtOnce, (entry) =>
    ensureMicroshardStream(connection, entry, { replicas: 1, node: null }),
  )
  const bucket = await new Kvm(connection).create('sluice_directory', { history: 16, allow_direct: false })
  await bucket.create('directory', encodeDirectory(directory))
  const store = await openJetStreamStore({ connection, logger: pino({ level: 'silent' }) })
  const numbers = Array.from({ length: wanted.objects }, (_, i) => i)
  await inParallel(numbers, writesAtOnce, async (count) => {
    const id = createId(shardKind.prefix, createClientId('prj', Date.now()), Date.now())
    const { outcome } = await store.transact({
      writes: [write({ kind: shardKind, id, expect: 'absent', value: { cidr: '10.0.0.0/22', count } })],
    })
    if (outcome !== 'committed') throw new Error(`an object could not be written: ${outcome}`)
  })
  await store.close()
}

async function inParallel<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  const left = items.values()
  const run = async () => {
    for (const item of left) await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, run))
}
