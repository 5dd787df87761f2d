/**
 * The states of stacks, as Terraform's HTTP backend keeps them: read, written and locked by name, with their last
 * versions. A state is sealed before it is stored. Touches the store.
 */

import { createHash } from 'node:crypto'
import { refuseField, refuseNotFound, refuseUnavailable } from '../../access/problems.ts'
import { type Outcome, type Problem, refuse, succeed } from '../../contract/problem.ts'
import type { LockInfo, StackState } from '../../contract/stack.ts'
import { retryAfterSeconds, type StoredObject } from '../../control-plane/store.ts'
import { systemClient } from '../../objects.ts'
import type { ControllerContext, RequestInfo } from '../../services.ts'
import { openState, type SealedState, type StateKeys, sealState } from './seal-state.ts'
import { changeStack, partIdOf, type StackDecision, type StackNow, type StackPlace, stackIdOf } from './stack-change.ts'
import { type StackStateValue, type StackValue, stackKind, stackPartKind, stackStateKind } from './stack-kinds.ts'

export interface States {
  /** Null: there is none. */
  read(place: StackPlace): Promise<Outcome<string | null>>
  write(place: StackPlace, written: WrittenState, request: RequestInfo): Promise<Outcome<null>>
  /** Its versions stay, and it can be rolled back to them. */
  remove(place: StackPlace, lockId: string | null, request: RequestInfo): Promise<Outcome<null>>
  /** Idempotent for one lock id: a repetition, whose first answer got lost, has the lock. */
  lock(place: StackPlace, info: LockInfo, request: RequestInfo): Promise<Outcome<null>>
  unlock(place: StackPlace, lockId: string, request: RequestInfo): Promise<Outcome<null>>
  /** Takes away the lock that was seen, and no other. */
  breakLock(place: StackPlace, lockId: string, request: RequestInfo): Promise<Outcome<null>>
  /** Newest first; those that are kept. */
  listVersions(place: StackPlace): Promise<Outcome<readonly StackState[]>>
  readVersion(place: StackPlace, version: number): Promise<Outcome<string>>
  /** Writes that version's state again, as a new one. */
  rollBack(place: StackPlace, version: number, request: RequestInfo): Promise<Outcome<null>>
}

export interface WrittenState {
  readonly text: string
  /** Null: its writer holds no lock. */
  readonly lockId: string | null
  /** Base64, of the text; null: it was not told. */
  readonly md5: string | null
}

/** Larger than any state that should be one. */
export const stateBytesMaximum = 64 * 1024 * 1024
export const stacksPerClientMaximum = 1000
const readAttemptsMaximum = 10

type StatesContext = Pick<ControllerContext, 'store' | 'random' | 'now'>

export function createStates(context: StatesContext, keys: StateKeys): States {
  const { store } = context

  const seal = (place: StackPlace, text: string): Outcome<SealedState> => {
    const sealed = sealState(text, stackIdOf(place), keys, context.random)
    return sealed === null ? refuseTooLarge() : succeed(sealed)
  }

  async function openParts(place: StackPlace, { value }: { readonly value: StackStateValue }): Promise<string | null> {
    const parts = await Promise.all(value.parts.map((_, part) => store.get(stackPartKind, partIdOf(place, part))))
    const sealed = parts.flatMap((part, i) =>
      part !== null && part.version === value.parts[i] ? [part.value.sealed] : [],
    )
    if (sealed.length !== value.parts.length) return null
    return openState({ keyVersion: value.keyVersion, parts: sealed }, stackIdOf(place), keys)
  }

  async function read(place: StackPlace): Promise<Outcome<string | null>> {
    for (let attempt = 0; attempt < readAttemptsMaximum; attempt++) {
      const state = await store.get(stackStateKind, stackIdOf(place), { latest: attempt === 0 })
      if (state === null) return succeed(null)
      const text = await openParts(place, state)
      if (text !== null) return succeed(text)
    }
    return refuseUnavailable(`the state of '${place.name}' is being written`, retryAfterSeconds)
  }

  async function readVersion(place: StackPlace, version: number): Promise<Outcome<string>> {
    const states = await store.history(stackStateKind, stackIdOf(place))
    const value = states.find((one) => one.version === version)?.value ?? null
    if (value === null) return refuseVersion(place, version)
    const parts = await Promise.all(
      value.parts.map(async (wanted, part) => {
        const kept = await store.history(stackPartKind, partIdOf(place, part))
        return kept.find((one) => one.version === wanted)?.value?.sealed ?? null
      }),
    )
    const sealed = parts.flatMap((part) => part ?? [])
    if (sealed.length !== parts.length) return refuseVersion(place, version)
    return succeed(openState({ keyVersion: value.keyVersion, parts: sealed }, stackIdOf(place), keys))
  }

  const isFull = (place: StackPlace, { stack }: StackNow) =>
    stack === null && store.snapshot(stackKind, place.projectId ?? systemClient).length >= stacksPerClientMaximum

  return {
    read,
    readVersion,

    async write(place, { text, lockId, md5 }, request) {
      if (md5 !== null && createHash('md5').update(text).digest('base64') !== md5) {
        return refuseField('Content-MD5', 'is not that of the body', 'Send it again: it was damaged on its way.')
      }
      const described = describeText(text)
      if (!described.ok) return described
      const sealed = seal(place, text)
      if (!sealed.ok) return sealed
      return changeStack(store, place, request, async (now) => {
        const problem = refuseUnlessHeld(place, now, lockId) ?? (isFull(place, now) ? refuseFull() : null)
        if (problem !== null) return { kind: 'refuse', problem }
        // Its first answer was lost, or it is the same as before: then there is nothing to keep twice.
        if (now.state?.value && (await openParts(place, { value: now.state.value })) === text) {
          return { kind: 'keep' }
        }
        return writeState(
          place,
          now,
          describeState(described.value, text, sealed.value, request),
          sealed.value,
          (stateVersion) => ({
            type: 'stack.state.written',
            data: { name: place.name, stateVersion, serial: described.value.serial },
          }),
        )
      })
    },

    remove: (place, lockId, request) =>
      changeStack(store, place, request, (now) => {
        const problem = refuseUnlessHeld(place, now, lockId)
        if (problem !== null) return { kind: 'refuse', problem }
        if ((now.state?.value ?? null) === null) return { kind: 'keep' }
        const stack = now.stack === null || now.stack.value.lock === null ? null : now.stack.value
        const events = [describeEvent(place, 'stack.state.removed', { name: place.name })]
        return { kind: 'write', stack, state: null, events }
      }),

    lock: (place, info, request) =>
      changeStack(store, place, request, (now) => {
        const held = now.stack?.value.lock ?? null
        if (held?.info.ID === info.ID) return { kind: 'keep' }
        if (held !== null) return { kind: 'refuse', problem: refuseLocked(place, held.info) }
        if (isFull(place, now)) return { kind: 'refuse', problem: refuseFull() }
        const lock = { info, takenBy: request.caller.tokenId, takenAt: new Date(context.now()).toISOString() }
        return { kind: 'write', stack: { ...place, lock } }
      }),

    unlock: (place, lockId, request) =>
      changeStack(store, place, request, (now) => {
        const held = now.stack?.value.lock ?? null
        // Its first answer was lost, or an admin has broken it.
        if (held === null) return { kind: 'keep' }
        if (held.info.ID !== lockId) return { kind: 'refuse', problem: refuseOtherLock(place, held.info, lockId) }
        return { kind: 'write', stack: withoutLock(place, now) }
      }),

    breakLock: (place, lockId, request) =>
      changeStack(store, place, request, (now) => {
        const held = now.stack?.value.lock ?? null
        if (held === null) return { kind: 'refuse', problem: refuseNotFound('lock', lockId).problem }
        if (held.info.ID !== lockId) return { kind: 'refuse', problem: refuseOtherLock(place, held.info, lockId) }
        const data = { name: place.name, lockId, who: held.info.Who }
        const events = [describeEvent(place, 'stack.lock.broken', data)]
        return { kind: 'write', stack: withoutLock(place, now), events }
      }),

    async listVersions(place) {
      const states = await store.history(stackStateKind, stackIdOf(place))
      if (states.length === 0) return refuseNotFound('stack', place.name)
      return succeed(states.flatMap((state) => viewState(state) ?? []).toReversed())
    },

    async rollBack(place, version, request) {
      const kept = await readVersion(place, version)
      if (!kept.ok) return kept
      return changeStack(store, place, request, async (now) => {
        const problem = refuseUnlessHeld(place, now, null)
        if (problem !== null) return { kind: 'refuse', problem }
        // Newer than all before it, so that no program takes it for an old one.
        const text = withSerial(kept.value, (now.state?.value?.serial ?? 0) + 1)
        const [described, sealed] = [describeText(text), seal(place, text)]
        if (!described.ok) return { kind: 'refuse', problem: described.problem }
        if (!sealed.ok) return { kind: 'refuse', problem: sealed.problem }
        return writeState(
          place,
          now,
          describeState(described.value, text, sealed.value, request),
          sealed.value,
          (stateVersion) => ({
            type: 'stack.state.rolled-back',
            data: { name: place.name, stateVersion, toVersion: version },
          }),
        )
      })
    },
  }
}

/** Null: it is a tombstone. */
export function viewState({ version, value, updatedAt }: StoredObject<StackStateValue | null>): StackState | null {
  if (value === null) return null
  const { serial, lineage, bytes, keyVersion, writtenBy } = value
  return { version, serial, lineage, bytes, keyVersion, writtenBy, writtenAt: updatedAt }
}

type Described = Pick<StackStateValue, 'serial' | 'lineage'>

function writeState(
  place: StackPlace,
  now: StackNow,
  value: Omit<StackStateValue, 'parts'>,
  sealed: SealedState,
  describe: (stateVersion: number) => { readonly type: string; readonly data: unknown },
): StackDecision {
  const { type, data } = describe((now.state?.version ?? 0) + 1)
  const stack = now.stack?.value ?? { ...place, lock: null }
  return { kind: 'write', stack, state: { value, sealed }, events: [describeEvent(place, type, data)] }
}

const describeEvent = (place: StackPlace, type: string, data: unknown) => ({
  type,
  projectId: place.projectId,
  subject: stackIdOf(place),
  data,
})

const describeState = (
  { serial, lineage }: Described,
  text: string,
  { keyVersion }: SealedState,
  { caller }: RequestInfo,
): Omit<StackStateValue, 'parts'> => ({
  serial,
  lineage,
  bytes: Buffer.byteLength(text),
  keyVersion,
  writtenBy: caller.tokenId,
})

/** A stack that neither has a state nor is held by anybody is none. */
const withoutLock = (place: StackPlace, { state }: StackNow): StackValue | null =>
  (state?.value ?? null) === null ? null : { ...place, lock: null }

/** States are JSON objects, those too that their program has encrypted. */
function describeText(text: string): Outcome<Described> {
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) {
      const serial = 'serial' in parsed && typeof parsed.serial === 'number' ? parsed.serial : null
      const lineage = 'lineage' in parsed && typeof parsed.lineage === 'string' ? parsed.lineage : null
      return succeed({ serial, lineage })
    }
  } catch {
    // Said below.
  }
  return refuseField('body', 'is not a JSON object, as a state is', 'Send the state as Terraform or OpenTofu write it.')
}

/** In the text itself: numbers in it may be larger than JavaScript's. Both programs write the serial before all else. */
const withSerial = (text: string, least: number): string =>
  text.replace(
    /^(\s*\{[^{[]*?"serial"\s*:\s*)(\d+)/,
    (_, before: string, serial: string) => `${before}${Math.max(Number(serial), least)}`,
  )

function refuseUnlessHeld(place: StackPlace, { stack }: StackNow, lockId: string | null): Problem | null {
  const held = stack?.value.lock ?? null
  if (held === null) return lockId === null ? null : refuseLost(place, lockId)
  return held.info.ID === lockId ? null : refuseLocked(place, held.info)
}

/** Its members are what both programs read from the body: who holds it. */
const refuseLocked = ({ name }: StackPlace, info: LockInfo): Problem => ({
  code: 'locked',
  title: 'The state is locked',
  detail: `${info.Who === '' ? 'Somebody' : info.Who} holds the lock ${info.ID} of '${name}'${info.Created === undefined ? '' : ` since ${info.Created}`}.`,
  remedy: `Wait until it is released. If its holder is gone, an admin breaks it: sluice stack unlock ${name} ${info.ID}.`,
  members: info,
})

const refuseOtherLock = ({ name }: StackPlace, info: LockInfo, lockId: string): Problem => ({
  code: 'conflict',
  title: 'It is another lock',
  detail: `'${name}' is held by the lock ${info.ID}, not by ${lockId}.`,
  remedy: 'Look at who holds it now: sluice stack show.',
  members: info,
})

/** It was broken by an admin: somebody else may have written since. */
const refuseLost = ({ name }: StackPlace, lockId: string): Problem => ({
  code: 'conflict',
  title: 'The lock is lost',
  detail: `'${name}' is not locked any more, and its writer holds the lock ${lockId}: an admin has broken it.`,
  remedy: 'Plan again. What was applied already is in errored.tfstate; push it if nobody has written since.',
})

const refuseFull = (): Problem => ({
  code: 'quota-exceeded',
  title: 'There are too many stacks',
  detail: `There are ${stacksPerClientMaximum} stacks already, which is as many as there may be.`,
  remedy: 'Remove states that are not used any more.',
})

const refuseTooLarge = () =>
  refuse({
    code: 'payload-too-large',
    title: 'The state is too large',
    detail: 'Even compressed it is larger than the store takes at once, some 12 MB.',
    remedy: 'Divide the stack into several.',
  })

const refuseVersion = ({ name }: StackPlace, version: number) =>
  refuseField(
    'version',
    `'${name}' has no state of version ${version} any more`,
    'List those that are kept.',
    'not-found',
  )
