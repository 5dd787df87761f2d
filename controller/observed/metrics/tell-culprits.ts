/**
 * Tells who has more series than anybody may: one event an hour for each, however many controllers find it out. Writes the
 * record of that, and the event with it.
 */

import { createNamedId } from '../../control-plane/shard-key.ts'
import { defineKind, type Store, write } from '../../control-plane/store.ts'
import { systemClient } from '../../objects.ts'
import type { Culprit } from './series-limit.ts'

export interface SeriesLimitValue {
  /** A project's id, or the name of a host. */
  readonly owner: string
  readonly toldAt: string
}
export const seriesLimitKind = defineKind<SeriesLimitValue>({
  name: 'series-limit',
  prefix: 'slm',
  dataType: 'metrics',
})

const silenceMilliseconds = 3600 * 1000

export async function tellCulprits(
  { store, now }: { readonly store: Pick<Store, 'get' | 'transact'>; readonly now: () => number },
  culprits: readonly Culprit[],
): Promise<void> {
  for (const { owner, projectId, seriesMaximum, host, plugin, refused } of culprits) {
    const id = createNamedId(seriesLimitKind.prefix, projectId ?? systemClient, 'series', owner)
    const known = await store.get(seriesLimitKind, id)
    if (known !== null && now() - Date.parse(known.value.toldAt) < silenceMilliseconds) continue
    const value = { owner, toldAt: new Date(now()).toISOString() }
    const data = { owner, seriesMaximum, host, plugin, refused }
    // Where another controller was quicker, that one has told it.
    await store.transact({
      writes: [write({ kind: seriesLimitKind, id, expect: known?.version ?? 'absent', value })],
      events: [{ type: 'metrics.limited', projectId, subject: id, data }],
      actionId: `series ${value.toldAt}`,
    })
  }
}
