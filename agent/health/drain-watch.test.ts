import { describe, expect, test } from 'bun:test'
import { httpInstance } from '../../templates/golden/instances.ts'
import { countOpen, createDrainWatch, type DrainSubject } from './drain-watch.ts'

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 650112C6:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 650112C6:0050 0A0012C6:C350 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 650112C6:0050 0A0012C6:C351 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0 100 0 0 10 0
   3: 650112C6:0050 0A0012C6:C352 08 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   4: 660112C6:0050 0A0012C6:C353 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 100 0 0 10 0
   5: C91012C6:9C40 0B1012C6:0050 01 00000000:00000000 00:00000000 00000000     0        0 5 1 0 100 0 0 10 0
`

describe('clients are counted', () => {
  test.each<[string, string[], number]>([
    ['of one VIP', ['198.18.1.101'], 2],
    ['of both', ['198.18.1.101', '198.18.1.102'], 3],
    ['and neither who listens, who is gone, nor what goes to members', ['198.18.1.103'], 0],
  ])('%s', (_, addresses, expected) => {
    expect(countOpen(table, addresses)).toBe(expected)
  })
})

describe('an instance that is to drain', () => {
  const instance = { ...httpInstance, draining: true, timeouts: { ...httpInstance.timeouts, drainSeconds: 10 } }
  const subject: DrainSubject = { instance, pid: 7, isClosing: true }
  let at = 0
  let clients: number | undefined = 3
  const start = () => {
    at = 0
    clients = 3
    return createDrainWatch({ now: () => at, countClients: () => clients })
  }

  test('keeps its clients until they have gone', () => {
    const watch = start()
    expect(watch.hasDrained(subject)).toBe(false)
    clients = 0
    expect([watch.hasDrained(subject), watch.connectionsCut(instance.id)]).toEqual([true, 0])
  })

  test('has drained then, whoever comes', () => {
    const watch = start()
    clients = 0
    watch.hasDrained(subject)
    clients = 1
    expect(watch.hasDrained(subject)).toBe(true)
  })

  test('waits no longer than its time, and knows whom it cuts off', () => {
    const watch = start()
    for (at of [0, 9999]) expect(watch.hasDrained(subject)).toBe(false)
    at = 10_000
    expect(watch.hasDrained(subject)).toBe(true)
    clients = 0
    watch.hasDrained(subject)
    expect(watch.connectionsCut(instance.id)).toBe(3)
  })

  test('has not drained where nobody can count, or before haproxy closes connections', () => {
    const watch = start()
    clients = 0
    expect(watch.hasDrained({ ...subject, isClosing: false })).toBe(false)
    clients = undefined
    expect(watch.hasDrained(subject)).toBe(false)
  })

  test('has no clients where nothing runs', () => {
    expect(start().hasDrained({ ...subject, pid: undefined })).toBe(true)
  })

  test('that is to stay after all begins anew the next time', () => {
    const watch = start()
    clients = 0
    watch.hasDrained(subject)
    expect(watch.hasDrained({ ...subject, instance: { ...instance, draining: false } })).toBe(false)
    clients = 1
    expect(watch.hasDrained(subject)).toBe(false)
  })
})
