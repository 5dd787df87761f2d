import { describe, expect, test } from 'bun:test'
import { httpInstance } from '../../templates/golden/instances.ts'
import type { InstanceInstructions } from '../contract/host-instructions.ts'
import type { Operation } from '../operations/operation.ts'
import { keepalivedFiles } from './keepalived-files.ts'
import {
  type DesiredKeepalived,
  type ObservedKeepalived,
  planKeepalived,
  renderKeepalivedTexts,
} from './plan-keepalived.ts'

const files = keepalivedFiles('/run/sluice', httpInstance.id)
const desire = (change: Partial<InstanceInstructions> = {}): DesiredKeepalived => {
  const instance = { ...httpInstance, ...change }
  return { instance, texts: renderKeepalivedTexts(instance, files), files }
}
const desired = desire()
const { starting, steady } = desired.texts
const notes: ObservedKeepalived = { status: 'stopped', ageSeconds: 0, loaded: undefined, heldVips: [] }
const running: ObservedKeepalived = { status: 'running', ageSeconds: 60, loaded: steady.digest, heldVips: [] }
const tell = (operations: readonly Operation[]): string[] => operations.map(({ kind }) => kind)

const start = ['removeFile', 'removeFile', 'writeFile', 'writeFile', 'startDaemon']
const fence = ['withdrawAddress', 'withdrawAddress', 'stopDaemon']
const reload = ['writeFile', 'checkConfig', 'renameFile', 'signalDaemon', 'writeFile']

describe('keepalived', () => {
  test.each<[string, ObservedKeepalived, string[]]>([
    ['is started where it never ran', notes, start],
    [
      'is fenced before it is started again, and checked meanwhile',
      { ...notes, loaded: steady.digest },
      [...fence, ...start, 'checkConfig'],
    ],
    [
      'that left VIPs behind without a trace of its own is fenced as well',
      { ...notes, heldVips: ['198.18.1.101'] },
      [...fence, ...start],
    ],
    ['of which one process is gone is fenced', { ...running, status: 'broken' }, [...fence, ...start, 'checkConfig']],
    ['that hangs is fenced', { ...running, status: 'hanging' }, [...fence, ...start, 'checkConfig']],
    ['that has just started keeps to its own VIPs', { ...running, ageSeconds: 0.5, loaded: starting.digest }, []],
    ['backs its neighbours up a while later', { ...running, ageSeconds: 1.5, loaded: starting.digest }, reload],
    ['that runs as it should is left alone', running, []],
    ['is reloaded when anything changed', { ...running, loaded: 'another' }, reload],
  ])('%s', (_, observed, expected) => {
    expect(tell(planKeepalived(desired, observed))).toEqual(expected)
  })

  test('gives its VIPs up before anything is killed', () => {
    const [first, second, third] = planKeepalived(desired, { ...running, status: 'hanging' })
    expect(first).toEqual({
      kind: 'withdrawAddress',
      namespace: httpInstance.id,
      device: 'uplink',
      address: '198.18.1.101',
    })
    expect(second).toMatchObject({ address: '198.18.1.102' })
    expect(third).toMatchObject({ kind: 'stopDaemon', signal: 'SIGKILL' })
  })

  test('waits for its turn to start or reload, never to be fenced', () => {
    expect(planKeepalived(desired, notes, false)).toEqual([])
    expect(planKeepalived(desired, { ...running, loaded: 'another' }, false)).toEqual([])
    expect(tell(planKeepalived(desired, { ...running, status: 'hanging' }, false))).toEqual(fence)
  })

  test('does not run without a VIP to keep', () => {
    const without = desire({ vips: [] })
    expect(planKeepalived(without, notes)).toEqual([])
    expect(tell(planKeepalived(without, running))).toEqual(['stopDaemon'])
  })

  test('that is nobody’s home is steady from the start', () => {
    const backup = desire({ vips: httpInstance.vips.filter(({ home }) => !home) })
    const write = planKeepalived(backup, notes).find(({ kind }) => kind === 'writeFile')
    expect(write).toMatchObject({ content: backup.texts.steady.text })
  })

  test('is what it should be after each plan', () => {
    const states: ObservedKeepalived[] = [notes, { ...running, status: 'broken' }, { ...running, loaded: 'another' }]
    for (const observed of states) {
      const written = planKeepalived(desired, observed).filter((operation) => operation.kind === 'writeFile')
      const loaded = written.find(({ path }) => path === files.loaded)?.content
      const ageSeconds = observed.status === 'running' ? observed.ageSeconds : 0.1
      expect(planKeepalived(desired, { status: 'running', ageSeconds, loaded, heldVips: [] })).toEqual([])
    }
  })
})
