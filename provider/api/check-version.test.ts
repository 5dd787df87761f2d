import { expect, test } from 'bun:test'
import { checkVersion } from './check-version.ts'

const say = (controller: string, provider: string) => checkVersion(controller, provider)?.summary ?? 'known'

test('a controller is known within the versions that break nothing', () => {
  expect([say('0.1.0', '0.1.7'), say('0.1.9', '0.1.0'), say('2.0.0', '2.9.1')]).toEqual(['known', 'known', 'known'])
})

test('an older one and a newer one are told, each with what to do', () => {
  expect(say('0.1.4', '0.2.0')).toBe('The controller is too old for this provider')
  expect(say('1.0.0', '0.9.0')).toBe('The controller is too new for this provider')
  expect(checkVersion('3.1.0', '2.0.0')?.detail).toContain('Require version 3 of the provider')
})

test('what is no version is only a warning', () => {
  expect(checkVersion('dev', '0.1.0')?.severity).toBe('warning')
})
