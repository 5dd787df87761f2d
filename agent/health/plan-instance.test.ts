import { describe, expect, test } from 'bun:test'
import { httpInstance } from '../../templates/golden/instances.ts'
import { renderHaproxyConfig } from '../../templates/haproxy-config.ts'
import { haproxyFiles } from '../haproxy/haproxy-files.ts'
import type { ObservedHaproxy } from '../haproxy/plan-haproxy.ts'
import { keepalivedFiles } from '../keepalived/keepalived-files.ts'
import { renderKeepalivedTexts } from '../keepalived/plan-keepalived.ts'
import { changesAtOnceMaximum, type DesiredInstance, planInstance, planInstances } from './plan-instance.ts'

function desire(id: string): DesiredInstance {
  const instance = { ...httpInstance, id, listeners: [] }
  const files = haproxyFiles('/run/sluice', id)
  const own = keepalivedFiles('/run/sluice', id)
  return {
    haproxy: {
      instance,
      files,
      rendered: renderHaproxyConfig(instance, { statsSocket: files.statsSocket, threads: 1 }),
    },
    keepalived: { instance, files: own, texts: renderKeepalivedTexts(instance, own) },
  }
}

const desired = desire(httpInstance.id)
const { rendered } = desired.haproxy
const answering: ObservedHaproxy = {
  status: 'answering',
  config: rendered.text,
  answer: { description: rendered.description, workerPid: 2, servers: [] },
  drainingSeconds: new Map(),
  fault: '0\n',
}
const keepalived = {
  status: 'running' as const,
  ageSeconds: 60,
  loaded: desired.keepalived.texts.steady.digest,
  heldVips: [],
}
const written = (haproxy: ObservedHaproxy, hasDrained = false) => {
  const [first] = planInstance(desired, { haproxy, keepalived, hasDrained })
  return first?.kind === 'writeFile' && first.path === desired.keepalived.files.fault ? first.content : undefined
}

describe('what keepalived is told of haproxy', () => {
  test.each<[string, Partial<ObservedHaproxy>, string | undefined]>([
    ['nothing new while it serves', {}, undefined],
    [
      'no fault at the first start, so that both start at the same time',
      { status: 'stopped', fault: undefined },
      '0\n',
    ],
    ['a fault when it has ended', { status: 'stopped' }, '1\n'],
    ['nothing new while it starts again', { status: 'starting', fault: '1\n' }, undefined],
    ['no fault any more when it serves again', { fault: '1\n' }, '0\n'],
    ['a fault when it says nothing any more', { status: 'silent' }, '1\n'],
  ])('%s', (_, change, expected) => {
    expect(written({ ...answering, ...change })).toBe(expected)
  })

  test('a fault from the start where it takes a VIP over, until it serves itself', () => {
    const instance = { ...httpInstance, takesOver: true }
    const takingOver = { ...desired, keepalived: { ...desired.keepalived, instance } }
    const told = (haproxy: ObservedHaproxy) =>
      planInstance(takingOver, { haproxy, keepalived, hasDrained: false }).find(({ kind }) => kind === 'writeFile')
    const path = desired.keepalived.files.fault
    const first: ObservedHaproxy = { ...answering, status: 'stopped', fault: undefined }
    expect(told(first)).toMatchObject({ path, content: '1\n' })
    expect(told({ ...answering, fault: '1\n' })).toMatchObject({ path, content: '0\n' })
  })

  test('a fault once it has drained, though it serves, and no more', () => {
    expect(written(answering, true)).toBe('1\n')
    expect(written({ ...answering, fault: '1\n' }, true)).toBeUndefined()
  })
})

test('at rest there is nothing to do', () => {
  expect(planInstance(desired, { haproxy: answering, keepalived })).toEqual([])
})

test('keepalived comes before haproxy, so that a config that haproxy refuses holds nothing up', () => {
  const plan = planInstance(desired, {
    haproxy: { ...answering, config: 'old', answer: undefined, status: 'stopped' },
    keepalived: { ...keepalived, status: 'broken' },
  })
  const kinds = plan.map((operation) =>
    'daemon' in operation ? `${operation.kind} ${operation.daemon}` : operation.kind,
  )
  expect(kinds.indexOf('startDaemon keepalived')).toBeLessThan(kinds.indexOf('startDaemon haproxy'))
  expect(kinds.indexOf('startDaemon haproxy')).toBeLessThan(kinds.lastIndexOf('checkConfig'))
})

describe('many at once', () => {
  const idOf = (number: number) => `lbi_${String(number).padStart(25, '0')}`
  const many = Array.from({ length: changesAtOnceMaximum + 5 }, (_, number) => ({
    desired: desire(idOf(number)),
    observed: {
      haproxy: { ...answering, status: 'starting' as const },
      keepalived: { ...keepalived, loaded: 'another', heldVips: number < 7 ? ['198.18.1.101'] : [] },
    },
  }))
  const { groups, waiting } = planInstances(many)
  const changing = groups.filter(({ operations }) => operations.length > 0).map(({ objectId }) => objectId)

  test('only some keepaliveds change in one turn', () => {
    expect(changing.length).toBe(changesAtOnceMaximum)
    expect(waiting).toBe(5)
  })

  test('those that hold no VIP change first', () => {
    expect(changing).toEqual(expect.arrayContaining([7, 8, 9, 10, 11, 12].map(idOf)))
  })

  test('a fence is never put off', () => {
    const broken = many.map((each) => ({
      ...each,
      observed: { ...each.observed, keepalived: { ...keepalived, status: 'broken' as const } },
    }))
    for (const { operations } of planInstances(broken).groups) expect(operations[0]?.kind).toBe('withdrawAddress')
  })
})
