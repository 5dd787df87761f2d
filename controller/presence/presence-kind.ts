/** Who carries the rack's control plane, as recorded: its controllers and its nodes, present or not. */

import { createNamedId } from '../control-plane/shard-key.ts'
import { defineKind } from '../control-plane/store.ts'
import { systemClient } from '../objects.ts'

export interface PresenceValue {
  readonly what: 'controller' | 'node'
  readonly name: string
  readonly address: string
  readonly version: string
  readonly status: 'present' | 'absent'
  /** RFC 3339: since when it is so. */
  readonly since: string
}
export const presenceKind = defineKind<PresenceValue>({ name: 'presence', prefix: 'prs', dataType: 'host' })

export const presenceId = (what: PresenceValue['what'], name: string): string =>
  createNamedId(presenceKind.prefix, systemClient, `${what} ${name}`)
