/** What has changed about who is there: a write and an event for each that came, went or is another than before. Pure. */

import type { EventType } from '../contract/events.ts'
import type { EventDraft, StoredObject, Write } from '../control-plane/store.ts'
import { write } from '../control-plane/store.ts'
import { type PresenceValue, presenceId, presenceKind } from './presence-kind.ts'

/** Who is seen to be there now. */
export type SeenPresence = Pick<PresenceValue, 'what' | 'name' | 'address' | 'version'>

export interface PresenceChange {
  readonly write: Write
  /** Null: nobody needs to be told. */
  readonly event: EventDraft | null
}

/** @param now RFC 3339 */
export function planPresence(
  seen: readonly SeenPresence[],
  recorded: ReadonlyMap<string, StoredObject<PresenceValue>>,
  now: string,
): readonly PresenceChange[] {
  const here = new Map(seen.map((one) => [presenceId(one.what, one.name), one]))
  const came = [...here].flatMap(([id, one]): PresenceChange[] => {
    const known = recorded.get(id)
    const isPresent = known?.value.status === 'present'
    if (isPresent && known.value.version === one.version && known.value.address === one.address) return []
    const value: PresenceValue = { ...one, status: 'present', since: isPresent ? known.value.since : now }
    return [{ ...describeWrite(id, known, value), event: isPresent ? null : describeEvent(id, value) }]
  })
  const went = [...recorded.values()].flatMap((known): PresenceChange[] => {
    if (known.value.status === 'absent' || here.has(known.id)) return []
    const value: PresenceValue = { ...known.value, status: 'absent', since: now }
    return [{ ...describeWrite(known.id, known, value), event: describeEvent(known.id, value) }]
  })
  return [...came, ...went]
}

const describeWrite = (id: string, known: StoredObject<PresenceValue> | undefined, value: PresenceValue) => ({
  write: write({ kind: presenceKind, id, expect: known?.version ?? 'absent', value }),
})

function describeEvent(subject: string, { what, name, address, version, status }: PresenceValue): EventDraft {
  const type = `${what}.${status === 'present' ? 'appeared' : 'disappeared'}` satisfies EventType
  return { type, projectId: null, subject, data: { name, address, version } }
}
