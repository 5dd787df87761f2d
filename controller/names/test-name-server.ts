/** A name server in memory for tests: a zone that is changed where its prerequisites hold, and troubles at will. */

import { applyChange } from './name-change.ts'
import type { NameServer, Trouble } from './name-server.ts'
import { describeName, type ObservedName } from './observed-zone.ts'
import { classes, types } from './wire/message.ts'
import { encodeAddress } from './wire/record-data.ts'

export interface TestNameServer extends NameServer {
  readonly names: Map<string, ObservedName>
  /** What it answers to everything from now on; null: all is well. */
  trouble: Trouble | null
  /** Changes that were made. */
  changes: number
  /** Transfers that were made. */
  transfers: number
  /** As its operator would. */
  write(dnsName: string, addresses: readonly string[] | null): void
  addressesOf(dnsName: string): readonly string[]
}

export function createTestNameServer(): TestNameServer {
  let serial = 1
  const names = new Map<string, ObservedName>()
  const server: TestNameServer = {
    names,
    trouble: null,
    changes: 0,
    transfers: 0,
    write(dnsName, addresses) {
      serial += 1
      if (addresses === null) names.delete(dnsName)
      else names.set(dnsName, describeAddresses(dnsName, addresses))
    },
    addressesOf: (dnsName) => names.get(dnsName)?.addresses ?? [],
    async readZone() {
      if (server.trouble !== null) return server.trouble
      server.transfers += 1
      return { kind: 'zone', zone: { serial, names: new Map(names) } }
    },
    readSerial: async () => server.trouble ?? { kind: 'serial', serial },
    async change(change) {
      if (server.trouble !== null) return server.trouble
      const there = names.get(change.dnsName) ?? null
      if (describe(there) !== describe(change.before)) return { kind: 'overtaken' }
      server.changes += 1
      serial += 1
      const after = applyChange(change)
      if (after === null) names.delete(change.dnsName)
      else names.set(change.dnsName, after)
      return { kind: 'changed' }
    },
    close: () => undefined,
  }
  return server
}

const describe = (name: ObservedName | null) =>
  JSON.stringify(name === null ? null : [name.addresses, name.texts.toSorted()])

const describeAddresses = (name: string, addresses: readonly string[]) =>
  describeName(
    addresses.map((address) => ({
      name,
      type: types.a,
      class: classes.in,
      ttlSeconds: 60,
      data: encodeAddress(address),
    })),
  )
