/** How large the messages are that the allocator writes, so that what it is measured against writes as much. */

import { encodeObject } from '../../controller/control-plane/message.ts'
import { createNamedId } from '../../controller/control-plane/shard-key.ts'
import { shardKeyOf } from '../../controller/control-plane/store.ts'
import type { AddressValue } from '../../controller/objects.ts'
import { addressKind } from '../../controller/objects.ts'

/** The bytes of an address as it is stored, with its bookkeeping; a shard's record is about as large. */
export function countAddressBytes(): number {
  const id = createNamedId(addressKind.prefix, 'any', 'address')
  const at = new Date(0).toISOString()
  const value: AddressValue = { address: '10.200.100.200', shardId: id, projectId: id, ownerId: id, allocatedAt: at }
  const object = { kind: addressKind.name, id, shardKey: shardKeyOf(addressKind, id), version: 1, value, actionIds: [] }
  const text = encodeObject({ ...object, createdAt: at, updatedAt: at }, { id: 'x'.repeat(22), index: 10, count: 65 })
  return Buffer.byteLength(text)
}
