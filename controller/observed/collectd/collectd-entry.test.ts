import { expect, setDefaultTimeout, test } from 'bun:test'
import pino from 'pino'
import * as v from 'valibot'
import { encodePackets } from '../../../agent/contract/collectd/encode-packet.ts'
import type { ValueList } from '../../../agent/contract/collectd/packet-parts.ts'
import { encryptPacket, signPacket } from '../../../agent/contract/collectd/protect-packet.ts'
import { controllerCollectdSchema } from '../../../agent/contract/collectd/settings.ts'
import { decodePoints, type PointBatch } from '../../../agent/contract/points.ts'
import { createObservedHosts } from '../observed-hosts.ts'
import { openCollectdEntry } from './collectd-entry.ts'

/** A socket of its own, on a machine that may have much else to do. */
setDefaultTimeout(30_000)

const projectId = 'prj_0000000000000000000000001'
const list = (change: Partial<ValueList> = {}): ValueList => ({
  host: 'host-a',
  plugin: 'load',
  pluginInstance: '',
  type: 'load',
  typeInstance: '',
  timeSeconds: Date.now() / 1000 + 1,
  intervalSeconds: 10,
  values: [0.5, 1, 2],
  kinds: ['GAUGE', 'GAUGE', 'GAUGE'],
  ...change,
})

async function findPort(): Promise<number> {
  const socket = await Bun.udpSocket({ hostname: '127.0.0.1', port: 0 })
  const { port } = socket
  socket.close()
  return port
}

test('packets are taken of users alone, each for its host or its project, and requests for theirs', async () => {
  const batches: PointBatch[] = []
  const port = await findPort()
  const entry = await openCollectdEntry({
    context: { now: Date.now, logger: pino({ level: 'silent' }), observed: createObservedHosts({ now: Date.now }) },
    tellCulprits: () => Promise.resolve(),
    settings: v.parse(controllerCollectdSchema, {
      listen: [`127.0.0.1:${port}`],
      users: { a: { password: 'one', host: 'host-a' }, shop: { password: 'two', projectId } },
    }),
    send: ({ subject, payload }) => {
      const batch = decodePoints(subject, payload)
      if (batch !== undefined) batches.push(batch)
      return Promise.resolve()
    },
  })
  const socket = await Bun.udpSocket({ hostname: '127.0.0.1', port: 0 })
  try {
    const packet = (change: Partial<ValueList>) => Buffer.concat(encodePackets([list(change)]))
    const own = { user: 'a', password: 'one' }
    const packets = [
      packet({ plugin: 'bare' }),
      signPacket(packet({ plugin: 'foreign', host: 'host-b' }), own),
      signPacket(packet({ plugin: 'forged' }), { user: 'a', password: 'two' }),
      signPacket(packet({ plugin: 'sluice_host' }), own),
      signPacket(packet({ plugin: 'mine' }), own),
      encryptPacket(packet({ plugin: 'sold', host: 'till' }), { user: 'shop', password: 'two' }, Buffer.alloc(16, 1)),
    ]
    for (const bytes of packets) socket.send(bytes, port, '127.0.0.1')
    expect(entry.take(projectId, [list({ plugin: 'posted', host: 'till' }), list({ type: 'nonsense' })])).toBe(1)
    const found = () =>
      batches.flatMap(({ origin, points }) => points.map(({ plugin }) => [plugin, origin] as const)).toSorted()
    const deadline = performance.now() + 20_000
    while (found().length < 3 && performance.now() < deadline) await Bun.sleep(20)
    expect(found()).toEqual([
      ['mine', { kind: 'host', host: 'host-a' }],
      ['posted', { kind: 'project', projectId }],
      ['sold', { kind: 'project', projectId }],
    ])
  } finally {
    socket.close()
    await entry.close()
  }
})

test('a file that would let anybody in is refused', () => {
  const isGood = (users: unknown, more = {}) =>
    v.is(controllerCollectdSchema, { listen: ['0.0.0.0:25826'], users, ...more })
  expect(isGood({ a: { password: 'x', host: 'host-a' } })).toBe(true)
  expect(isGood({ a: { password: 'x', host: 'host-a' } }, { protection: 'none' })).toBe(false)
  expect(isGood({ a: { password: '', host: 'host-a' } })).toBe(false)
  expect(isGood({ a: { password: 'x' } })).toBe(false)
  expect(isGood({ a: { password: 'x', host: 'host-a', projectId } })).toBe(false)
})
