/**
 * What the CLI does with one object, by the wire: validate, plan, apply, refresh. And what it checks: that a plan is as
 * configured, that a state is as planned.
 */

import { expect } from 'bun:test'
import type { Fields } from '../attributes.ts'
import { findOverruled, findUnkept } from '../plan/conform.ts'
import { isKnown, keyOf, type Raw, type RawObject } from '../values/raw.ts'
import { decodeObject, encodeObject, objectType } from '../values/wire.ts'
import type { TestClient } from './client.ts'

const nothing = encodeObject({}, null)

export const littleCore = (client: TestClient, typeName: string, fields: Fields) => {
  const encode = (raw: RawObject | null) => encodeObject(fields, raw)
  const plan = async (config: RawObject | null, prior: RawObject | null) => {
    const answer = await client.call('PlanResourceChange', {
      typeName,
      config: encode(config),
      priorState: encode(prior),
      proposedNewState: config === null ? nothing : encode(config),
    })
    expect(answer.diagnostics).toEqual([])
    const planned = decodeObject(fields, answer.plannedState)
    if (config !== null && planned !== null) expect(findOverruled(fields, config, planned)).toEqual([])
    return { planned, requiresReplace: answer.requiresReplace, private: answer.plannedPrivate }
  }
  const apply = async (config: RawObject | null, prior: RawObject | null, planned: RawObject | null) => {
    const answer = await client.call('ApplyResourceChange', {
      typeName,
      config: encode(config),
      priorState: encode(prior),
      plannedState: encode(planned),
    })
    expect(answer.diagnostics).toEqual([])
    const state = decodeObject(fields, answer.newState)
    expect(state === null).toBe(planned === null)
    if (state !== null && planned !== null) {
      expect(findUnkept(fields, planned, state)).toEqual([])
      expect(isKnown(state)).toBe(true)
    }
    return state
  }
  /** What applies a new object, for those who want its diagnostics. */
  const creation = async (config: RawObject) => ({
    typeName,
    config: encode(config),
    priorState: nothing,
    plannedState: encode((await plan(config, null)).planned),
  })
  const read = async (state: RawObject) => {
    const answer = await client.call('ReadResource', { typeName, currentState: encode(state) })
    expect(answer.diagnostics).toEqual([])
    return decodeObject(fields, answer.newState)
  }
  const validate = (config: RawObject) => client.call('ValidateResourceConfig', { typeName, config: encode(config) })
  const key = (raw: Raw) => keyOf(objectType(fields), raw)
  return { plan, apply, creation, read, validate, key }
}
