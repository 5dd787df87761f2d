/** Which servers haproxy is to have for an instance, and whose addresses they have: pure, worked out once a statement. */

import { backendName, serverName } from '../../templates/haproxy-config.ts'
import { numberServers } from '../../templates/number-servers.ts'
import type { InstanceInstructions, ListenerInstructions, NetworkInstructions } from '../contract/host-instructions.ts'

export interface WantedServer {
  readonly member: ListenerInstructions['members'][number]
  /** Of its listener. */
  readonly port: number
  /** By which tables are to know it; undefined: haproxy's choice. */
  readonly number: number | undefined
}

const worked = new WeakMap<object, ReadonlyMap<string, WantedServer>>()

/** By `<backend>/<server>`. */
export function wantedServers(
  instance: Pick<InstanceInstructions, 'listeners' | 'network' | 'trafficType' | 'algorithm' | 'traffic'>,
): ReadonlyMap<string, WantedServer> {
  const before = worked.get(instance)
  if (before) return before
  const wanted = new Map(
    instance.listeners.flatMap((listener) => {
      const { port, members } = listener
      const { numbers } = numberServers(instance, listener)
      return members.map((member): [string, WantedServer] => [
        `${backendName(port)}/${serverName(instance, member)}`,
        { member, port, number: numbers.get(member) },
      ])
    }),
  )
  worked.set(instance, wanted)
  return wanted
}

const found = new WeakMap<object, ReadonlyMap<string, string>>()

/** By address, the id of the machine or instance that has it. */
export function holdersByAddress(network: Pick<NetworkInstructions, 'neighbours'>): ReadonlyMap<string, string> {
  const before = found.get(network)
  if (before) return before
  const holders = new Map(network.neighbours.map(({ address, id }) => [address, id]))
  found.set(network, holders)
  return holders
}
