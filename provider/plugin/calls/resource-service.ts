/** The calls of resources: each decodes its message, has the work done, and encodes what came of it. */

import type { Resource } from '../define.ts'
import type { RawObject } from '../values/raw.ts'
import { decodeObject, encodeObject } from '../values/wire.ts'
import type { RequestOf } from '../wire/tfplugin6.ts'
import { answer, answerTimed, failCall, required, subjectOf } from './answer.ts'
import { toPathMessage } from './messages.ts'
import { applyChange, importState, planChange, readState } from './resource-calls.ts'
import { type Call, openPrivateState, type Session } from './session.ts'
import { upgradeState } from './upgrade.ts'

type Resources<Client> = ReadonlyMap<string, Resource<Client>>

export const resourceService = <Client>(session: Session<Client>, resources: Resources<Client>) => ({
  UpgradeResourceState: (request: RequestOf<'UpgradeResourceState'>) => upgrade(session, resources, request),
  ReadResource: (request: RequestOf<'ReadResource'>) => read(session, resources, request),
  PlanResourceChange: (request: RequestOf<'PlanResourceChange'>) => plan(session, resources, request),
  ApplyResourceChange: (request: RequestOf<'ApplyResourceChange'>) => apply(session, resources, request),
  ImportResourceState: (request: RequestOf<'ImportResourceState'>) => importById(session, resources, request),
})

function upgrade<Client>(
  session: Session<Client>,
  resources: Resources<Client>,
  { typeName, version, rawState }: RequestOf<'UpgradeResourceState'>,
) {
  const resource = resources.get(typeName)
  return answer(session, subjectOf('Upgrading the state of', typeName, resource), async () => {
    const { schema, upgradeState: steps } = required(resource, typeName)
    const upgraded = upgradeState(schema, steps ?? {}, { version, json: rawState?.json ?? new Uint8Array() })
    return { upgradedState: encodeObject(schema.fields, upgraded) }
  })
}

function read<Client>(
  session: Session<Client>,
  resources: Resources<Client>,
  { typeName, currentState, private: bytes }: RequestOf<'ReadResource'>,
) {
  const resource = resources.get(typeName)
  const subject = { ...subjectOf('Reading', typeName, resource), operation: 'read' as const }
  const run = async (call: Call<Client>, state: RawObject | null) => {
    const definition = required(resource, typeName)
    if (state === null) return { newState: encodeObject({}, null) }
    const privateState = openPrivateState(bytes)
    const found = await readState(definition, state, call, privateState)
    return { newState: encodeObject(definition.schema.fields, found), private: privateState.bytes() }
  }
  return answerTimed(session, subject, currentState, { run, fallback: {} })
}

function plan<Client>(
  session: Session<Client>,
  resources: Resources<Client>,
  { typeName, priorState, config, proposedNewState, priorPrivate }: RequestOf<'PlanResourceChange'>,
) {
  const resource = resources.get(typeName)
  return answer(session, subjectOf('Planning', typeName, resource), async (call) => {
    const definition = required(resource, typeName)
    const { fields } = definition.schema
    const isDeleted = decodeObject(fields, proposedNewState) === null
    const privateState = openPrivateState(priorPrivate)
    const input = { prior: decodeObject(fields, priorState), config: isDeleted ? null : decodeObject(fields, config) }
    const { planned, requiresReplace } = await planChange(definition, input, call, privateState)
    return {
      plannedState: encodeObject(fields, planned),
      requiresReplace: requiresReplace.map((path) => toPathMessage(fields, path)),
      plannedPrivate: privateState.bytes(),
    }
  })
}

const verbs = { create: 'Creating', update: 'Updating', delete: 'Deleting' } as const

function apply<Client>(
  session: Session<Client>,
  resources: Resources<Client>,
  { typeName, priorState, plannedState, config, plannedPrivate }: RequestOf<'ApplyResourceChange'>,
) {
  const resource = resources.get(typeName)
  const operation = isNil(priorState) ? 'create' : isNil(plannedState) ? 'delete' : 'update'
  const subject = { ...subjectOf(verbs[operation], typeName, resource), operation } as const
  const run = async (call: Call<Client>) => {
    const definition = required(resource, typeName)
    const { fields } = definition.schema
    const privateState = openPrivateState(plannedPrivate)
    const input = {
      prior: decodeObject(fields, priorState),
      planned: decodeObject(fields, plannedState),
      config: decodeObject(fields, config),
    }
    const { state, failure } = await applyChange(definition, input, call, privateState)
    if (failure !== undefined) failCall(call, subject.subject, failure)
    return { newState: encodeObject(fields, state), private: privateState.bytes() }
  }
  // An answer without a state would say that the object is gone.
  const fallback = { newState: priorState ?? encodeObject({}, null), private: plannedPrivate }
  return answerTimed(session, subject, isNil(plannedState) ? priorState : plannedState, { run, fallback })
}

/** Told without decoding, since that may fail, and then it has to be known what failed. */
const isNil = (value: RequestOf<'ReadResource'>['currentState']): boolean =>
  value === undefined ||
  (value.msgpack.length === 0 ? value.json.length === 0 : value.msgpack.length === 1 && value.msgpack[0] === 0xc0)

function importById<Client>(
  session: Session<Client>,
  resources: Resources<Client>,
  { typeName, id }: RequestOf<'ImportResourceState'>,
) {
  const resource = resources.get(typeName)
  return answer(session, subjectOf('Importing', typeName, resource), async (call) => {
    const definition = required(resource, typeName)
    const privateState = openPrivateState(new Uint8Array())
    const state = encodeObject(definition.schema.fields, await importState(definition, id, call, privateState))
    return { importedResources: [{ typeName, state, private: privateState.bytes() }] }
  })
}
