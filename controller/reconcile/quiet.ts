/**
 * Whether a turn would see the very same as the one before: then its plan is the same as well, and a rack at rest costs
 * next to nothing. Pure.
 */

import type { JudgedHost } from './judge-hosts.ts'
import type { ReconcileInput } from './plan-reconcile.ts'
import type { Snapshot } from './snapshot.ts'

export interface Sight {
  readonly input: ReconcileInput
  readonly hosts: ReadonlyMap<string, JudgedHost>
}

export function seesTheSame(a: Sight, b: Sight): boolean {
  return (
    isSameSnapshot(a.input.snapshot, b.input.snapshot) &&
    hasSameEntries(a.input.published, b.input.published) &&
    isHeardTheSame(a.hosts, b.hosts)
  )
}

export function isSameSnapshot(a: Snapshot, b: Snapshot): boolean {
  return (Object.keys(a) as (keyof Snapshot)[]).every((part) => hasSameEntries<unknown>(a[part], b[part]))
}

/** The very same objects under the same keys: what is stored is never changed in place. */
export function hasSameEntries<Value>(a: ReadonlyMap<string, Value>, b: ReadonlyMap<string, Value>): boolean {
  if (a.size !== b.size) return false
  for (const [key, value] of a) if (b.get(key) !== value) return false
  return true
}

function isHeardTheSame(a: ReadonlyMap<string, JudgedHost>, b: ReadonlyMap<string, JudgedHost>): boolean {
  if (a.size !== b.size) return false
  for (const [id, host] of a) {
    const other = b.get(id)
    if (other === undefined || other.status !== host.status || !saysTheSame(host.hearing, other.hearing)) return false
  }
  return true
}

function saysTheSame(a: JudgedHost['hearing'], b: JudgedHost['hearing']): boolean {
  if (a.kind === 'silent' && b.kind === 'silent') return a.since === b.since
  if (a.kind !== 'heard' || b.kind !== 'heard') return a.kind === b.kind
  return (
    a.report.generation === b.report.generation &&
    a.report.machines === b.report.machines &&
    a.report.instances === b.report.instances &&
    Bun.deepEquals(a.report.testimony, b.report.testimony)
  )
}
