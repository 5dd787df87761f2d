/** Finds what a report says of one object without looking through all of them. Pure. */

import type { HostReport, InstanceReport, MachineReport } from '../../agent/contract/host-report.ts'

/** A report's lists stay the very same while a host says the same, and so do these. */
const indexes = new WeakMap<object, ReadonlyMap<string, unknown>>()

export const findMachineReport = (report: HostReport, id: string): MachineReport | undefined =>
  indexOf(report.machines).get(id)

export const findInstanceReport = (report: HostReport, id: string): InstanceReport | undefined =>
  indexOf(report.instances).get(id)

function indexOf<Entry extends { readonly id: string }>(entries: readonly Entry[]): ReadonlyMap<string, Entry> {
  const known = indexes.get(entries)
  if (known !== undefined) return known as ReadonlyMap<string, Entry>
  const index = new Map(entries.map((entry) => [entry.id, entry]))
  indexes.set(entries, index)
  return index
}
