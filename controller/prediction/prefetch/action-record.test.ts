import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { type ActionRecord, decodeActions, encodeActions } from './action-record.ts'

const record: ActionRecord = {
  userAccountId: 'tok_1',
  scope: 'project',
  projectId: 'prj_1',
  actionType: 'showNetworkHistory',
  at: 1,
  isRead: true,
  parameters: { id: 'net_1' },
  query: {},
  status: 200,
  milliseconds: 3,
  bytes: 10,
}
const bytesOf = (text: string) => new TextEncoder().encode(text)

test('a batch comes back as it was', () => {
  expect(decodeActions(bytesOf(encodeActions('a', [record, record])))).toEqual({
    controller: 'a',
    actions: [record, record],
  })
})

test('an action of a type that is not known is an action', () => {
  const strange = { ...record, actionType: 'neverHeardOf' }
  expect(decodeActions(bytesOf(encodeActions('a', [strange]))).actions).toEqual([strange])
})

test('what is malformed is left out, and the rest is taken', () => {
  const bad = [{ ...record, at: null }, { ...record, milliseconds: -1 }, { ...record, scope: 'root' }, 7, null]
  const text = JSON.stringify({ format: 1, controller: 'a', actions: [...bad, record] })
  expect(decodeActions(bytesOf(text)).actions).toEqual([record])
})

test('of another format nothing is taken', () => {
  const text = JSON.stringify({ format: 2, controller: 'a', actions: [record] })
  expect(decodeActions(bytesOf(text)).actions).toEqual([])
})

test('whatever the bytes are, it does not throw', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => decodeActions(bytes).actions.length === 0))
})
