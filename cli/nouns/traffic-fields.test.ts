import { expect, test } from 'bun:test'
import { connectToController } from '../api.ts'
import { stickySessions } from './traffic-fields.ts'

const api = connectToController({ SLUICE_ADDR: 'http://127.0.0.1:1', SLUICE_TOKEN: 'none' })
const context = { api, flag: '--sticky', projectId: undefined }

test.each<[string, object | null]>([
  ['cookie', { by: 'cookie' }],
  ['cookie:SHOP', { by: 'cookie', cookieName: 'SHOP' }],
  ['source', { by: 'source' }],
  ['source:60', { by: 'source', idleSeconds: 60 }],
  ['none', null],
])('--sticky %s', (value, expected) => {
  expect(stickySessions(value, context)).toEqual(expected)
})

test('a time that is no number is refused before anything is sent', () => {
  expect(() => stickySessions('source:soon', context)).toThrow('--sticky takes a number')
})
