/** Which servers haproxy is to have for an instance: pure, and worked out once for each statement of it. */

import { backendName, serverName } from '../../templates/haproxy-config.ts'
import type { InstanceInstructions, ListenerInstructions } from '../contract/host-instructions.ts'

export interface WantedServer {
  readonly member: ListenerInstructions['members'][number]
  /** Of its listener. */
  readonly port: number
}

const worked = new WeakMap<object, ReadonlyMap<string, WantedServer>>()

/** By `<backend>/<server>`. */
export function wantedServers(
  instance: Pick<InstanceInstructions, 'listeners' | 'network' | 'trafficType'>,
): ReadonlyMap<string, WantedServer> {
  const before = worked.get(instance)
  if (before) return before
  const wanted = new Map(
    instance.listeners.flatMap(({ port, members }) =>
      members.map((member): [string, WantedServer] => [
        `${backendName(port)}/${serverName(instance, member)}`,
        { member, port },
      ]),
    ),
  )
  worked.set(instance, wanted)
  return wanted
}
