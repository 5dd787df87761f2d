import { beforeEach, describe, expect, test } from 'bun:test'
import { httpInstance } from '../../templates/golden/instances.ts'
import type { ObservedDaemon } from '../operations/operation.ts'
import { haproxyFiles } from './haproxy-files.ts'
import { createHaproxyObserver, type HaproxyObserver, type HaproxySubject } from './observe-haproxy.ts'

const answer = (pid: number) =>
  `Pid: ${pid}\ndescription: sluice x 1\n\n1\n# be_id be_name\n\n# bkname/svname bkid/svid\n\n`

const instanceOf = (number: number) => ({ ...httpInstance, id: `lbi_${String(number).padStart(25, '0')}` })
/** Begun with the machine, so that it is no start any more. */
const daemon = (objectId: string, pid: number): ObservedDaemon => ({
  objectId,
  daemon: 'haproxy',
  pid,
  startTimeTicks: 0,
  fingerprint: '',
  namespaceInode: 1,
})
const subject = (number: number, pid: number | undefined = 1000 + number): HaproxySubject => {
  const instance = instanceOf(number)
  const files = haproxyFiles('/nowhere', instance.id)
  return { instance, files, faultFile: '/nowhere', daemon: pid === undefined ? undefined : daemon(instance.id, pid) }
}

let at = 0
let asked: string[] = []
let workers: string[] = []
/** Of every process, as a share of the time. */
let waitingShare = 0
let reply: () => Promise<string> = () => Promise.resolve('')
let observer: HaproxyObserver

beforeEach(() => {
  at = 0
  asked = []
  workers = []
  waitingShare = 0
  reply = () => Promise.resolve(answer(7))
  observer = createHaproxyObserver({
    ask: (socket) => {
      asked.push(socket)
      return reply()
    },
    now: () => at,
    readWaitedSeconds: () => (waitingShare * at) / 1000,
    onWorker: (_, worker) => workers.push(worker),
  })
})

const subjects = Array.from({ length: 30 }, (_, number) => subject(number))
const look = async (of: HaproxySubject) => (await observer.observe([of])).get(of.instance.id)?.status

describe('who is asked', () => {
  test('everybody at first, then nobody while there is no news', async () => {
    await observer.observe(subjects)
    expect(asked.length).toBe(30)
    at = 1000
    await observer.observe(subjects)
    expect(asked.length).toBe(30)
  })

  test('those of which there is news', async () => {
    await observer.observe(subjects)
    asked = []
    observer.mark(instanceOf(3).id)
    await observer.observe(subjects)
    expect(asked).toEqual([haproxyFiles('/nowhere', instanceOf(3).id).statsSocket])
  })

  test('of the others some in each turn, and all in the end', async () => {
    await observer.observe(subjects)
    asked = []
    for (let turn = 1; turn <= 8; turn += 1) {
      at = turn * 3000
      const before = asked.length
      await observer.observe(subjects)
      expect(asked.length - before).toBeLessThanOrEqual(4)
    }
    expect(new Set(asked).size).toBe(30)
  })
})

describe('a haproxy', () => {
  test('without a process has stopped, and is not asked', async () => {
    expect(await look({ ...subject(1), daemon: undefined })).toBe('stopped')
    expect(asked).toEqual([])
  })

  test('that answers serves', async () => {
    expect(await look(subject(1))).toBe('answering')
  })

  test('may be late once, e.g. while it is reloaded', async () => {
    await look(subject(1))
    reply = () => Promise.reject(new Error('refused'))
    at = 2000
    expect(await look(subject(1))).toBe('answering')
    reply = () => Promise.resolve(answer(7))
    at = 3000
    expect(await look(subject(1))).toBe('answering')
  })

  test('that says nothing for longer is silent', async () => {
    await look(subject(1))
    reply = () => Promise.reject(new Error('refused'))
    for (at of [2000, 6000]) expect(await look(subject(1))).toBe('answering')
    at = 7000
    expect(await look(subject(1))).toBe('silent')
  })

  test('that is silent as it has no processor is given time, and not for ever', async () => {
    await look(subject(1))
    reply = () => Promise.reject(new Error('refused'))
    waitingShare = 0.5
    for (at of [2000, 7000, 31_000]) expect(await look(subject(1))).toBe('answering')
    at = 32_000
    expect(await look(subject(1))).toBe('silent')
  })

  test('that has been replaced is a new one, and may be late once as well', async () => {
    await look(subject(1))
    reply = () => Promise.reject(new Error('refused'))
    expect(await look(subject(1, 2001))).toBe('starting')
    at = 5000
    expect(await look(subject(1, 2001))).toBe('silent')
  })

  test('whose worker has not been heard before is told of', async () => {
    await look(subject(1))
    reply = () => Promise.resolve(answer(8))
    observer.mark(instanceOf(1).id)
    await look(subject(1))
    expect(workers).toEqual(['first', 'another'])
  })
})
