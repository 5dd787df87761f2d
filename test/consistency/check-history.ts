/**
 * Judges a history: linearizable for each object, every acknowledged write present, every action done at most once.
 * Pure. Since versions count the writes of an object and its last value tells who made which, the order of the writes is
 * known, and what is left to check is that nobody saw it otherwise: no search is needed, however long the history.
 */

import type { Entry, FinalObject, History, Operation, RecordedAction, RecordedRead } from './history.ts'

export type FaultKind =
  /** A write that was acknowledged is not there. */
  | 'lostWrite'
  /** It is there in another version than was acknowledged. */
  | 'wrongVersion'
  | 'doubledAction'
  /** What was refused is there all the same, or what nobody asked for. */
  | 'unaskedWrite'
  /** Versions do not count up by one. */
  | 'versionGap'
  /** Of two actions, one after the other, the later made no later version. */
  | 'writesOutOfOrder'
  /** A read shows less than was acknowledged before it, or less than its client had seen. */
  | 'staleRead'
  /** A read shows what was asked for only after it. */
  | 'futureRead'
  /** A read shows what never was a version of the object. */
  | 'unknownValue'

export interface Fault {
  readonly kind: FaultKind
  readonly object: string
  readonly message: string
}

/** All faults that a history has; none: it is consistent. */
export function checkHistory({ operations, finals }: History): readonly Fault[] {
  const byObject = Map.groupBy(operations, ({ object }) => object)
  const objects = new Set([...byObject.keys(), ...finals.keys()])
  return [...objects].flatMap((object) => {
    const final = finals.get(object) ?? { version: 0, entries: [] }
    return checkObject(object, byObject.get(object) ?? [], final)
  })
}

/** Says all that is wrong, at most the first ten. */
export function describeFaults(faults: readonly Fault[]): string {
  const shown = faults.slice(0, 10).map(({ kind, object, message }) => `${kind} of ${object}: ${message}`)
  const more = faults.length > 10 ? [`and ${faults.length - 10} more`] : []
  return [...shown, ...more].join('\n')
}

function checkObject(object: string, operations: readonly Operation[], final: FinalObject): readonly Fault[] {
  const faults: Fault[] = []
  const tell = (kind: FaultKind, message: string) => faults.push({ kind, object, message })
  const actions = operations.filter((operation) => operation.kind === 'action')
  const reads = operations.filter((operation) => operation.kind === 'read')
  checkEntries(final, tell)
  const versions = new Map(final.entries.map(({ actionId, version }) => [actionId, version]))
  checkActions(actions, versions, tell)
  for (const read of reads) checkValue(read, final, tell)
  checkRealTime(actions, reads, versions, tell)
  checkSessions(operations, versions, tell)
  return faults
}

type Tell = (kind: FaultKind, message: string) => unknown

function checkEntries({ version, entries }: FinalObject, tell: Tell): void {
  const seen = new Set<string>()
  let last = 0
  for (const entry of entries) {
    if (seen.has(entry.actionId)) tell('doubledAction', `${entry.actionId} is done again in version ${entry.version}`)
    seen.add(entry.actionId)
    // Several actions may share a version: they were written as one.
    if (entry.version !== last && entry.version !== last + 1) {
      tell('versionGap', `${entry.actionId} made version ${entry.version} after version ${last}`)
    }
    last = entry.version
  }
  if (last !== version) tell('versionGap', `its last entry made version ${last}, and its version is ${version}`)
}

function checkActions(actions: readonly RecordedAction[], versions: ReadonlyMap<string, number>, tell: Tell): void {
  // A client may ask again for what was refused or in doubt: what is known of an action is what all its answers say.
  const byId = Map.groupBy(actions, ({ actionId }) => actionId)
  for (const [actionId, asked] of byId) {
    const version = versions.get(actionId)
    for (const { answer } of asked) {
      if (answer.kind !== 'done') continue
      if (version === undefined) tell('lostWrite', `${actionId} was acknowledged as version ${answer.version}`)
      else if (version !== answer.version) {
        tell('wrongVersion', `${actionId} was acknowledged as version ${answer.version}, and made ${version}`)
      }
    }
    if (version !== undefined && asked.every(({ answer }) => answer.kind === 'notDone')) {
      tell('unaskedWrite', `${actionId} was refused, and made version ${version}`)
    }
  }
  for (const [actionId, version] of versions) {
    if (!byId.has(actionId)) tell('unaskedWrite', `nobody asked for ${actionId}, which made version ${version}`)
  }
}

/** What a read shows must be what that version was. */
function checkValue(read: RecordedRead, final: FinalObject, tell: Tell): void {
  const { version, entries, client } = read
  const expected = entriesUpTo(final.entries, version)
  const isSame =
    entries.length === expected &&
    entries.every((entry, i) => isSameEntry(entry, final.entries[i])) &&
    version <= final.version
  if (!isSame) tell('unknownValue', `${client} read version ${version}, which never was like that`)
}

const isSameEntry = (one: Entry, other: Entry | undefined) =>
  one.actionId === other?.actionId && one.version === other.version

/** How many entries there were at a version: they are in the order of versions. */
function entriesUpTo(entries: readonly Entry[], version: number): number {
  let [low, high] = [0, entries.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((entries[middle]?.version ?? 0) <= version) low = middle + 1
    else high = middle
  }
  return low
}

interface Point {
  readonly at: number
  readonly version: number
  readonly name: string
}

/** Whatever was answered before another was asked comes before it in the order of versions. */
function checkRealTime(
  actions: readonly RecordedAction[],
  reads: readonly RecordedRead[],
  versions: ReadonlyMap<string, number>,
  tell: Tell,
): void {
  // The first version of an action's answer may be a repetition's: only the first asking begins it.
  const begun = new Map<string, number>()
  for (const { actionId, calledAt } of actions) {
    begun.set(actionId, Math.min(calledAt, begun.get(actionId) ?? calledAt))
  }
  const answered: Point[] = []
  for (const { answer, answeredAt, actionId } of actions) {
    if (answer.kind === 'done' && answeredAt !== null) {
      answered.push({ at: answeredAt, version: answer.version, name: actionId })
    }
  }
  for (const { answeredAt, version, client } of reads) {
    if (answeredAt !== null) answered.push({ at: answeredAt, version, name: `a read of ${client}` })
  }
  const highestBefore = createHighestBefore(answered)
  for (const [actionId, calledAt] of begun) {
    const version = versions.get(actionId)
    const before = highestBefore(calledAt)
    if (version !== undefined && before !== null && before.version >= version) {
      tell('writesOutOfOrder', `${actionId} made version ${version} after ${before.name} had shown ${before.version}`)
    }
  }
  for (const { calledAt, version, client, promise } of reads) {
    const before = highestBefore(calledAt)
    if (promise === 'latest' && before !== null && before.version > version) {
      tell('staleRead', `${client} read version ${version} after ${before.name} had shown ${before.version}`)
    }
  }
  checkFuture(reads, begun, tell)
}

/** A read can't show what nobody had asked for yet. */
function checkFuture(reads: readonly RecordedRead[], begun: ReadonlyMap<string, number>, tell: Tell): void {
  for (const { entries, answeredAt, client } of reads) {
    const last = entries.at(-1)
    const calledAt = last === undefined ? undefined : begun.get(last.actionId)
    if (last !== undefined && calledAt !== undefined && answeredAt !== null && calledAt > answeredAt) {
      tell('futureRead', `${client} read ${last.actionId} before it was asked for`)
    }
  }
}

/** The highest version that had been shown to anybody before an instant. */
function createHighestBefore(points: readonly Point[]): (at: number) => Point | null {
  const sorted = points.toSorted((one, other) => one.at - other.at)
  const highest: Point[] = []
  for (const point of sorted) {
    const before = highest.at(-1)
    highest.push(before !== undefined && before.version >= point.version ? { ...before, at: point.at } : point)
  }
  return (at) => {
    let [low, high] = [0, highest.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((highest[middle]?.at ?? 0) < at) low = middle + 1
      else high = middle
    }
    return highest[low - 1] ?? null
  }
}

/** Within one client nothing goes back, whatever it reads from, and its own writes are there. */
function checkSessions(operations: readonly Operation[], versions: ReadonlyMap<string, number>, tell: Tell): void {
  for (const [client, own] of Map.groupBy(operations, (operation) => operation.client)) {
    const answered: Point[] = own.flatMap((operation) => {
      if (operation.answeredAt === null) return []
      if (operation.kind === 'read') return [{ at: operation.answeredAt, version: operation.version, name: 'a read' }]
      const version = versions.get(operation.actionId)
      const isDone = operation.answer.kind === 'done' && version !== undefined
      return isDone ? [{ at: operation.answeredAt, version, name: operation.actionId }] : []
    })
    const highestBefore = createHighestBefore(answered)
    for (const operation of own) {
      if (operation.kind !== 'read' || operation.promise === 'latest') continue
      const before = highestBefore(operation.calledAt)
      if (before !== null && before.version > operation.version) {
        tell('staleRead', `${client} read version ${operation.version} after its ${before.name} had ${before.version}`)
      }
    }
  }
}
