import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { encodePackets } from '../contract/collectd/encode-packet.ts'
import type { ValueList } from '../contract/collectd/packet-parts.ts'
import { signPacket } from '../contract/collectd/protect-packet.ts'
import { agentCollectdSchema } from '../contract/collectd/settings.ts'
import { renderWriteHttp } from '../contract/collectd/write-http.ts'
import type { Point } from '../contract/points.ts'
import { runCollectdExec } from './collectd-exec.ts'
import { type CollectdReceiver, httpPaths, measureIntake, startCollectdReceiver } from './collectd-receiver.ts'

/** Sockets of its own, on a machine that may have much else to do. */
setDefaultTimeout(30_000)

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

let receiver: CollectdReceiver | undefined
afterEach(async () => {
  await receiver?.stop()
  receiver = undefined
})

/** Of both kinds, since nobody else may take it before the receiver does. */
async function findPort(): Promise<number> {
  const socket = await Bun.udpSocket({ hostname: '127.0.0.1', port: 0 })
  const { port } = socket
  socket.close()
  return port
}

/** Between being found and being taken a port may become somebody else's. */
async function listenSomewhere(
  change: Readonly<Record<string, unknown>>,
  taken: Point[],
  triesLeft = 20,
): Promise<number> {
  const port = await findPort()
  const address = `127.0.0.1:${port}`
  const settings = v.parse(agentCollectdSchema, { listen: [address], httpListen: address, ...change })
  const onPoints = (points: readonly Point[]) => void taken.push(...points)
  try {
    receiver = await startCollectdReceiver({ host: 'host-a', settings, onPoints, log: () => undefined })
    return port
  } catch (error) {
    if (triesLeft === 0) throw error
    return await listenSomewhere(change, taken, triesLeft - 1)
  }
}

async function start(change: Readonly<Record<string, unknown>> = {}) {
  const taken: Point[] = []
  const port = await listenSomewhere(change, taken)
  const address = `127.0.0.1:${port}`
  const socket = await Bun.udpSocket({ hostname: '127.0.0.1', port: 0 })
  const send = (packet: Uint8Array) => socket.send(packet, port, '127.0.0.1')
  const url = `http://${address}`
  if (receiver === undefined) throw new Error('BUG: nothing listens')
  return { receiver, taken, send, url, socket }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`)
    await Bun.sleep(5)
  }
}

describe("an agent's ear", () => {
  test('takes packets of its own host, and counts what it refuses', async () => {
    const { receiver: ear, taken, send, socket } = await start()
    const good = Buffer.concat(encodePackets([list(), list({ plugin: 'other' })]))
    send(good)
    await until('both are taken', () => taken.length === 2)
    send(good)
    send(Buffer.concat(encodePackets([list({ host: 'host-b' })])))
    send(good.subarray(0, 30))
    send(signPacket(good, { user: 'nobody', password: 'x' }))
    await until('all have come', () => ear.intake.counts().packets === 5)
    expect(ear.intake.counts().drops).toEqual({ replayed: 2, foreignHost: 1, malformed: 1, unknownUser: 1 })
    expect(taken).toHaveLength(2)
    expect(measureIntake(ear.intake).map(({ type, typeInstance }) => `${type} ${typeInstance}`)).toEqual([
      'collectd_packets ',
      'collectd_drops malformed',
      'collectd_drops unknownUser',
      'collectd_drops replayed',
      'collectd_drops foreignHost',
    ])
    socket.close()
  })

  test('takes only what is protected as it is asked for', async () => {
    const { receiver: ear, taken, send, socket } = await start({ protection: 'signed', users: { me: 'secret' } })
    const packet = Buffer.concat(encodePackets([list()]))
    send(packet)
    send(signPacket(packet, { user: 'me', password: 'guess' }))
    send(signPacket(packet, { user: 'me', password: 'secret' }))
    await until('all have come', () => ear.intake.counts().packets === 3)
    expect(ear.intake.counts().drops).toEqual({ unprotected: 1, badSignature: 1 })
    expect(taken).toHaveLength(1)
    socket.close()
  })

  test('that finds one of its ports taken leaves the others', async () => {
    const taken = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('') })
    const port = await findPort()
    const settings = v.parse(agentCollectdSchema, {
      listen: [`127.0.0.1:${port}`],
      httpListen: `127.0.0.1:${taken.port}`,
    })
    const attempt = startCollectdReceiver({ host: 'host-a', settings, onPoints: () => undefined, log: () => undefined })
    await expect(attempt).rejects.toThrow()
    const socket = await Bun.udpSocket({ hostname: '127.0.0.1', port })
    expect(socket.port).toBe(port)
    socket.close()
    await taken.stop(true)
  })

  test('takes what write_http posts', async () => {
    const { taken, url, socket } = await start()
    const post = (body: string, type = 'application/json') =>
      fetch(`${url}${httpPaths.collectd}`, { method: 'POST', body, headers: { 'content-type': type } })
    const response = await post(renderWriteHttp([list(), list({ host: 'host-b' })]))
    expect(await response.json()).toEqual({ taken: 1, refused: 1 })
    expect(taken).toHaveLength(1)
    expect((await post('{')).status).toBe(400)
    expect((await post('[]', 'text/plain')).status).toBe(415)
    expect((await fetch(`${url}${httpPaths.collectd}`)).status).toBe(405)
    expect((await fetch(`${url}/else`)).status).toBe(404)
    socket.close()
  })

  test('gives each pass to whoever reads along, in lines of the exec plugin', async () => {
    const { receiver: ear, url, socket } = await start()
    let read = ''
    const ended = runCollectdExec({
      url: `${url}${httpPaths.points}`,
      write: (lines) => {
        read += lines
        return read.includes('/second/') ? Promise.reject(new Error('nobody reads any more')) : Promise.resolve()
      },
      sleep: (milliseconds) => Bun.sleep(milliseconds),
      log: () => undefined,
    }).catch(String)
    await until('the first pass is read', () => {
      ear.tell([list({ plugin: 'first' })])
      return read.includes('/first/')
    })
    ear.tell([list({ plugin: 'second' })])
    expect(await ended).toBe('Error: nobody reads any more')
    for (const line of read.trim().split('\n')) {
      expect(line).toMatch(/^PUTVAL "host-a\/(first|second)\/load" interval=10 \d+\.\d{3}:0\.5:1:2$/)
    }
    socket.close()
  })
})

test('settings that would let anybody in are refused', () => {
  const isGood = (value: unknown) => v.is(agentCollectdSchema, value)
  expect(isGood({})).toBe(true)
  expect(isGood({ listen: ['127.0.0.1:25826'], httpListen: '127.0.0.1:25827' })).toBe(true)
  expect(isGood({ listen: ['0.0.0.0:25826'] })).toBe(false)
  expect(isGood({ listen: ['198.18.0.11:25826'], protection: 'signed', users: { a: 'b' } })).toBe(true)
  expect(isGood({ httpListen: '198.18.0.11:25827' })).toBe(false)
  expect(isGood({ listen: ['localhost:25826'] })).toBe(false)
  expect(isGood({ listen: ['127.0.0.1:0'] })).toBe(false)
  expect(isGood({ users: { a: '' } })).toBe(false)
  expect(isGood({ lisen: [] })).toBe(false)
})
