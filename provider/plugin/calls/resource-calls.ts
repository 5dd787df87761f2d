/** The life of a resource: plan, apply, read, import. Decodes, asks the definition, checks what it answers, encodes. */

import type { Fields, Operation } from '../attributes.ts'
import type { ChangeContext } from '../context.ts'
import type { Resource } from '../define.ts'
import { type AttributePath, type Diagnostic, ProviderError } from '../diagnostics.ts'
import { parseDuration } from '../durations.ts'
import { findOverruled, findUnkept } from '../plan/conform.ts'
import { showPath } from '../plan/path.ts'
import { changedFields, proposeObject } from '../plan/propose.ts'
import { findReplacing } from '../plan/replace.ts'
import {
  fieldsOf,
  isKnown,
  isRawList,
  isRawObject,
  mapObject,
  member,
  objectOf,
  type Raw,
  type RawObject,
  ValueError,
} from '../values/raw.ts'
import { settleObject } from '../values/settle.ts'
import { fromTyped, toTyped } from '../values/typed.ts'
import {
  type Call,
  type openPrivateState,
  planContext,
  resourceContext,
  timeoutSecondsDefault,
  wasInterrupted,
} from './session.ts'

type Private = ReturnType<typeof openPrivateState>
type State = RawObject | null
type Definition<Client> = Resource<Client>
/** The types of a definition's values follow from its schema, and are gone here: these fit all of them. */
type Erased = never

export type PlanInput = { readonly prior: State; readonly config: State }
export type PlanOutput = { readonly planned: State; readonly requiresReplace: readonly AttributePath[] }

export async function planChange<Client>(
  definition: Definition<Client>,
  { prior, config }: PlanInput,
  call: Call<Client>,
  privateState: Private,
): Promise<PlanOutput> {
  const { fields } = definition.schema
  const proposed = config === null ? null : proposeObject(fields, config, prior)
  const typed = (raw: State, view: 'state' | 'planned') =>
    raw === null ? null : (toTyped(fields, raw, view) as Erased)
  const changes = await definition.modifyPlan?.(
    { prior: typed(prior, 'state'), planned: typed(proposed, 'planned'), config: typed(config, 'planned') },
    planContext(call, privateState),
  )
  const planned = proposed === null ? null : replaceFields(fields, proposed, changes?.planned ?? {})
  if (planned !== null && config !== null) assertKept(definition, findOverruled(fields, config, planned), 'configured')
  if (planned === null || prior === null) return { planned, requiresReplace: [] }
  const hasUpdate = definition.update !== undefined
  const requiresReplace = [...findReplacing(fields, prior, planned, hasUpdate), ...(changes?.requiresReplace ?? [])]
  return { planned, requiresReplace }
}

function replaceFields(fields: Fields, planned: RawObject, changes: object): RawObject {
  const changed = objectOf(Object.entries(fields).filter(([name]) => Object.hasOwn(changes, name)))
  return { ...planned, ...fromTyped(changed, changes, { admitsUnknown: true, admitsMissing: true }) }
}

export type ApplyInput = { readonly prior: State; readonly planned: State; readonly config: State }
/** The state is what is there, whether or not something failed. */
export type ApplyOutput = { readonly state: State; readonly failure: unknown }

export async function applyChange<Client>(
  definition: Definition<Client>,
  { prior, planned, config }: ApplyInput,
  call: Call<Client>,
  privateState: Private,
): Promise<ApplyOutput> {
  const { fields } = definition.schema
  const context = resourceContext(call, privateState)
  let kept: State = null
  let begun: object = {}
  const keep = (known: object) => {
    begun = known
    kept = keptState(fields, prior, planned, known)
  }
  try {
    if (planned === null) {
      if (prior !== null) await definition.delete({ state: toTyped(fields, prior, 'state') as Erased }, context)
      return { state: null, failure: undefined }
    }
    const result = await change(definition, { prior, planned, config }, { ...context, keep })
    // Whatever is wrong with the answer, the object is there, and must not be forgotten.
    keep(result)
    const state = admitResult(fields, result, planned)
    const unkept = findUnkept(fields, planned, state)
    return { state, failure: unkept.length === 0 ? undefined : brokenPromise(definition, unkept, 'planned') }
  } catch (failure) {
    const made = prior === null && planned !== null && wasInterrupted(call) ? wholeState(fields, planned, begun) : null
    if (made === null) return { state: kept ?? prior, failure }
    // An error would have the CLI call the object tainted, and replace what is in order.
    call.context.report(tellInterrupted(`${call.session.provider.name}_${definition.name}`, failure))
    return { state: made, failure: undefined }
  }
}

/** What was begun, where it is all that was planned: it may stand as what was made. */
function wholeState(fields: Fields, planned: RawObject, begun: object): State {
  try {
    const state = admitResult(fields, begun, planned)
    return findUnkept(fields, planned, state).length === 0 ? state : null
  } catch (error) {
    if (error instanceof ValueError) return null
    throw error
  }
}

const tellInterrupted = (typeName: string, failure: unknown): Diagnostic => ({
  severity: 'warning',
  summary: `This ${typeName} is made, but the run was interrupted before it was ready`,
  detail: `Apply again to go on; it is not made anew. What it was stopped at: ${failure instanceof Error ? failure.message : String(failure)}`,
})

type Change = { readonly prior: State; readonly planned: RawObject; readonly config: State }

/** What the resource answers with; the prior state when only timeouts are another. */
async function change<Client>(
  definition: Definition<Client>,
  { prior, planned, config }: Change,
  context: ChangeContext<Client, object>,
): Promise<object> {
  const { fields } = definition.schema
  const wanted = toTyped(fields, withWriteOnly(fields, planned, config), 'desired') as Erased
  if (prior === null) return definition.create({ desired: wanted }, context)
  const names = changedFields(fields, prior, planned).filter((name) => wanted[name] !== undefined)
  const before = toTyped(fields, prior, 'state') as Erased
  if (names.length === 0 && isKnown(planned)) return before
  if (definition.update === undefined) {
    throw new Error(`BUG: ${definition.name} has no update, and the CLI asks for one`)
  }
  const changes = objectOf(names.map((name) => [name, wanted[name]] as const))
  return definition.update({ prior: before, desired: wanted, changes: changes as Erased }, context)
}

/** They are in the configuration and nowhere else. */
function withWriteOnly(fields: Fields, planned: RawObject, config: State): RawObject {
  return fieldsOf(fields, planned, (attribute, value, name) => {
    const configured = member(config, name)
    return attribute.writeOnly ? configured : writeOnlyWithin(attribute.type, value, configured)
  })
}

function writeOnlyWithin(type: Fields[string]['type'], planned: Raw, config: Raw): Raw {
  if (type.kind === 'object' && isRawObject(planned))
    return withWriteOnly(type.fields, planned, isRawObject(config) ? config : null)
  if (type.kind === 'list' && isRawList(planned)) {
    const configured = isRawList(config) ? config : []
    return planned.map((element, index) => writeOnlyWithin(type.of.type, element, configured[index] ?? null))
  }
  if (type.kind === 'map' && isRawObject(planned)) {
    const configured = isRawObject(config) ? config : null
    return mapObject(planned, (element, key) => writeOnlyWithin(type.of.type, element, member(configured, key)))
  }
  return planned
}

/** `before` is what was planned or in the state: the form of what is the same stays, and the user's timeouts. */
function admitResult(fields: Fields, result: object, before: State): RawObject {
  const settled = settleObject(fields, before, fromTyped(fields, result))
  return withTimeouts(fields, settled, before)
}

const withTimeouts = (fields: Fields, raw: RawObject, from: State): RawObject =>
  fieldsOf(fields, raw, (attribute, value, name) => (attribute.timeouts === null ? value : member(from, name)))

/** What was begun goes on top of what was there, and of nothing at creation. What can't be kept of it is left out. */
function keptState(fields: Fields, prior: State, planned: State, begun: object): RawObject {
  const said = Object.entries(fields).filter(([name]) => Object.hasOwn(begun, name))
  const kept = said.flatMap((entry) => Object.entries(keptField(objectOf([entry]), begun)))
  const none = fieldsOf(fields, null, ({ presence }) => (presence === 'blocks' ? [] : null))
  return withTimeouts(fields, settleObject(fields, planned, { ...(prior ?? none), ...objectOf(kept) }), planned)
}

function keptField(field: Fields, begun: object): RawObject {
  try {
    return fromTyped(field, begun, { admitsUnknown: false, admitsMissing: true })
  } catch (error) {
    if (error instanceof ValueError) return {}
    throw error
  }
}

export async function readState<Client>(
  definition: Definition<Client>,
  state: RawObject,
  call: Call<Client>,
  privateState: Private,
): Promise<State> {
  const { fields } = definition.schema
  const found = await definition.read(
    { state: toTyped(fields, state, 'state') as Erased },
    resourceContext(call, privateState),
  )
  return found === null ? null : admitResult(fields, found, state)
}

export async function importState<Client>(
  definition: Definition<Client>,
  id: string,
  call: Call<Client>,
  privateState: Private,
): Promise<RawObject> {
  if (definition.importState === undefined) throw new ProviderError(`A ${definition.name} can't be imported`)
  const found = await definition.importState({ id }, resourceContext(call, privateState))
  if (found === null) {
    throw new ProviderError(`There is no ${definition.name} ${JSON.stringify(id)}`, {
      detail: 'Look the id up, and mind whose it is: it may be out of reach of these credentials.',
    })
  }
  return admitResult(definition.schema.fields, found, null)
}

/** The user's, else the schema's, else none of its own. */
export function timeoutSeconds(fields: Fields, operation: Operation, state: State): number {
  const [name, attribute] = Object.entries(fields).find(([, one]) => one.timeouts !== null) ?? []
  if (name === undefined || attribute === undefined) return timeoutSecondsDefault
  const block = member(state, name)
  const text = isRawObject(block) ? member(block, operation) : null
  const said = typeof text === 'string' ? parseDuration(text) : undefined
  return said ?? attribute.timeouts?.[`${operation}Seconds`] ?? timeoutSecondsDefault
}

type Broken = ReturnType<typeof findUnkept>

function assertKept<Client>(definition: Definition<Client>, broken: Broken, what: 'configured' | 'planned'): void {
  if (broken.length > 0) throw brokenPromise(definition, broken, what)
}

const brokenPromise = <Client>(definition: Definition<Client>, broken: Broken, what: 'configured' | 'planned') =>
  new ProviderError(
    broken.map(
      ({ path, promised, actual }): Diagnostic => ({
        severity: 'error',
        summary: `${showPath(definition.schema.fields, path)} is not as ${what}`,
        detail: `It was ${what} as ${promised}, and ${what === 'planned' ? 'is' : 'planned as'} ${actual}. This is a fault in the provider's ${definition.name}; please report it.`,
        path,
      }),
    ),
  )
