/**
 * How traffic is treated, by real haproxies on the loopback device and real curl: members that drain, requests that are
 * tried again, PROXY headers, slow start, timeouts, and members that are followed by their names.
 *   bun test ./test/lab/traffic.lab.ts
 */

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import {
  createRealHaproxy,
  curl,
  makeInstance,
  memberId,
  membersOf,
  type RealHaproxy,
  startMember,
  untilTrue,
  type WebMember,
} from './traffic-ground.ts'

setDefaultTimeout(60_000)

const vip = '127.0.1.3'
const port = 8080
const url = `http://${vip}:${port}/`
let web: WebMember[] = []
let haproxy: RealHaproxy
const closers: (() => Promise<unknown> | unknown)[] = []

beforeAll(() => {
  web = [1, 2].map((number) => startMember(number))
  haproxy = createRealHaproxy()
})
afterEach(async () => {
  await haproxy.stop()
  haproxy = createRealHaproxy()
  for (const close of closers.splice(0)) await close()
  for (const member of web) member.seen.length = 0
})
afterAll(async () => {
  await haproxy.stop()
  await Promise.all(web.map((member) => member.stop()))
})

type Change = Parameters<typeof makeInstance>[1]
type Traffic = Parameters<typeof makeInstance>[2]
const timeouts = { connectSeconds: 1, clientSeconds: 5, serverSeconds: 5, drainSeconds: 10 }
const wanted = (numbers: readonly number[], change: Change = {}, traffic: Traffic = {}) =>
  makeInstance(
    vip,
    {
      timeouts,
      listeners: [{ port, members: membersOf(...web.filter(({ number }) => numbers.includes(number))) }],
      ...change,
    },
    traffic,
  )
const answerers = async (count: number) => {
  const answers = await Promise.all(Array.from({ length: count }, () => curl(url)))
  return answers.map(({ body }) => body.split(' ')[0] ?? '')
}

describe('a member that drains', () => {
  test('ends what it has begun, and gets nothing new', async () => {
    await haproxy.want(wanted([1]))
    const long = Array.from({ length: 8 }, () => curl(`${url}wait/1500`))
    await untilTrue('the long requests are under way', () => web[0]?.seen.length === 8)
    await haproxy.want(wanted([1, 2]))
    await haproxy.turn(wanted([2]))
    await haproxy.turn(wanted([2]))
    expect(new Set(await answerers(10))).toEqual(new Set(['2']))
    expect((await Promise.all(long)).map(({ status }) => status)).toEqual(Array(8).fill(200))
    await haproxy.want(wanted([2]))
    expect((await haproxy.answer()).servers.length).toBe(1)
  })

  test('is cut off when its time is over', async () => {
    const short = { timeouts: { ...timeouts, drainSeconds: 1 } }
    await haproxy.want(wanted([1, 2], short))
    const long = [1, 2].map(() => curl(`${url}wait/4000`, '-X', 'POST'))
    await untilTrue('the long requests are under way', () => web.every(({ seen }) => seen.length === 1))
    const begunAt = performance.now()
    await untilTrue('it is gone', async () => {
      await haproxy.turn(wanted([2], short))
      return (await haproxy.answer()).servers.length === 1
    })
    expect(performance.now() - begunAt).toBeGreaterThan(900)
    expect(performance.now() - begunAt).toBeLessThan(3500)
    // What may be tried again would have been answered by the other one.
    const answers = await Promise.all(long)
    expect(answers.filter(({ status }) => status === 200).map(({ body }) => body.split(' ')[0])).toEqual(['2'])
  })
})

describe('a request is tried again', () => {
  /** Takes a request and goes, without a word. */
  const startMute = async () => {
    const heard: string[] = []
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', (text) => {
        heard.push(String(text).split(' ')[0] ?? '')
        socket.destroy()
      })
    })
    await listen(server)
    return { heard, port: portOf(server) }
  }
  /** Of two members the first says nothing. */
  const withMute = async (traffic: Traffic = {}) => {
    const mute = await startMute()
    const [sound] = web
    const members = membersOf({ number: 8, port: mute.port, weight: 256 }, { number: 1, port: sound?.port ?? 0 })
    await haproxy.want(wanted([], { listeners: [{ port, members }] }, traffic))
    return mute
  }

  test.each(['GET', 'PUT', 'DELETE'])('where %s may be, and another member answers', async (method) => {
    const mute = await withMute()
    const answer = await curl(url, '-X', method)
    expect([answer.status, answer.body.split(' ')[0]]).toEqual([200, '1'])
    expect(mute.heard).toContain(method)
  })

  test.each(['POST', 'PATCH'])('but not %s, which is done once or not at all', async (method) => {
    const mute = await withMute()
    expect((await curl(url, '-X', method)).status).toBe(502)
    expect(mute.heard).toEqual([method])
    expect(web[0]?.seen).toEqual([])
  })

  test('as often as it is said: not at all', async () => {
    const mute = await withMute({ retries: 0 })
    expect((await curl(url)).status).toBe(502)
    expect(mute.heard).toEqual(['GET'])
  })
})

describe('PROXY headers', () => {
  const startRecorder = async () => {
    const heard: string[] = []
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.setEncoding('latin1')
      let text = ''
      socket.on('data', (data) => {
        // The header and the request may come one by one.
        text += String(data)
        if (!text.includes('GET / ')) return
        heard.push(text)
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
      })
    })
    await listen(server)
    return { heard, port: portOf(server) }
  }
  const client = '127.0.2.77'

  test.each([
    ['v1', (header: string) => header.includes(`PROXY TCP4 ${client} ${vip} `)],
    ['v2', (header: string) => header.includes('\r\n\r\n\0\r\nQUIT\n')],
  ] as const)('of version %s tell members of the client', async (send, isThere) => {
    const recorder = await startRecorder()
    const members = membersOf({ number: 7, port: recorder.port })
    await haproxy.want(wanted([], { listeners: [{ port, members }] }, { sendProxy: send }))
    expect((await curl(url, '--interface', client)).status).toBe(200)
    const said = recorder.heard.find((text) => text.includes('GET / '))
    expect(isThere(said ?? '')).toBe(true)
  })

  test('are taken from those who are trusted, and from nobody else', async () => {
    await haproxy.want(wanted([1], {}, { acceptProxyFrom: ['127.0.2.0/24'] }))
    const told = await say(client, 'PROXY TCP4 192.0.2.9 192.0.2.1 4711 80\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(told).toContain('1 192.0.2.9')
    const forged = await say('127.0.3.1', 'PROXY TCP4 192.0.2.9 192.0.2.1 4711 80\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(forged).toStartWith('HTTP/1.1 400')
    expect((await curl(url, '--interface', '127.0.3.1')).body).toBe('1 127.0.3.1\n')
    // One who is trusted and says nothing of a client is not believed to be one.
    expect((await curl(url, '--interface', client)).status).not.toBe(200)
  })
})

test('a member that has come up gets its share little by little', async () => {
  await haproxy.want(wanted([1], {}, { slowStartSeconds: 20 }))
  await haproxy.want(wanted([1, 2], {}, { slowStartSeconds: 20 }))
  const answers = await answerers(40)
  const share = answers.filter((number) => number === '2').length / answers.length
  expect(share).toBeGreaterThan(0)
  expect(share).toBeLessThan(0.45)
})

describe('time that is over', () => {
  test('for a header that does not end: 408', async () => {
    await haproxy.want(wanted([1], {}, { requestSeconds: 1 }))
    expect(await say('127.0.2.1', 'GET / HTTP/1.1\r\nHost: x\r\n')).toStartWith('HTTP/1.1 408')
  })

  test('for a member’s answer: 504', async () => {
    await haproxy.want(wanted([1], { timeouts: { ...timeouts, serverSeconds: 1 } }, { retries: 0 }))
    expect((await curl(`${url}wait/3000`)).status).toBe(504)
  })

  test('for a tunnel is told apart: a WebSocket outlives the others', async () => {
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: (request, self) => (self.upgrade(request) ? undefined : new Response('plain')),
      websocket: { message: (socket, text) => void socket.send(`again ${text}`) },
    })
    closers.push(() => server.stop(true))
    const members = membersOf({ number: 5, port: server.port ?? 0 })
    const brief = { ...timeouts, clientSeconds: 1, serverSeconds: 1 }
    await haproxy.want(wanted([], { timeouts: brief, listeners: [{ port, members }] }))
    const socket = new WebSocket(`ws://${vip}:${port}/`)
    const heard = new Promise<string>((resolve, reject) => {
      socket.onmessage = ({ data }) => {
        resolve(String(data))
      }
      socket.onclose = () => {
        reject(new Error('it was closed'))
      }
      socket.onopen = () => {
        setTimeout(() => {
          socket.send('hello')
        }, 2500)
      }
    })
    expect(await heard).toBe('again hello')
    socket.onclose = null
    socket.close()
  })
})

describe('a member that is followed by its name', () => {
  const nameServer = '127.0.1.53'
  const host = 'web.shop.internal'
  const folder = mkdtempSync(`${tmpdir()}/sluice-names-`)
  const hosts = `${folder}/hosts`
  let dns: Bun.Subprocess | undefined
  const startDns = () => {
    const argv = ['--keep-in-foreground', '--no-resolv', '--no-hosts', '--user=root', `--addn-hosts=${hosts}`]
    const place = [`--listen-address=${nameServer}`, '--bind-interfaces', '--local=/shop.internal/', '--local-ttl=1']
    dns = Bun.spawn(['dnsmasq', ...argv, ...place, `--pid-file=${folder}/pid`], { stdout: 'ignore', stderr: 'ignore' })
  }
  const name = (...addresses: string[]) => {
    writeFileSync(hosts, addresses.map((address) => `${address} ${host}\n`).join(''))
    dns?.kill('SIGHUP')
  }
  const stopDns = async () => {
    dns?.kill('SIGKILL')
    await dns?.exited
    dns = undefined
  }
  afterAll(async () => {
    await stopDns()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Two places of one port, told apart by their address. */
  const startPlaces = () => {
    const one = Bun.serve({ port: 0, hostname: '127.0.4.1', fetch: () => new Response('one') })
    const two = Bun.serve({ port: one.port ?? 0, hostname: '127.0.4.2', fetch: () => new Response('two') })
    closers.push(
      () => one.stop(true),
      () => two.stop(true),
    )
    return one.port ?? 0
  }
  const said = async () => (await curl(url)).body

  test('is found, followed, missed, and kept while nobody can tell', async () => {
    const memberPort = startPlaces()
    name()
    startDns()
    const listeners = [{ port, members: [], namedMembers: [{ id: memberId(6), host, port: memberPort, weight: 1 }] }]
    const instance = wanted([], { listeners }, { nameServers: [nameServer] })
    await untilTrue('haproxy answers', async () => {
      await haproxy.turn(instance)
      return (await haproxy.answer().catch(() => undefined)) !== undefined
    })
    const unresolved = async () => (await haproxy.answer()).servers.every(({ isUnresolved }) => isUnresolved)
    expect(await unresolved()).toBe(true)
    expect((await curl(url)).status).toBe(503)
    name('127.0.4.1')
    await untilTrue('it is found', async () => (await said()) === 'one')
    expect(await haproxy.turn(instance)).toEqual([])
    name('127.0.4.2')
    await untilTrue('it is followed', async () => (await said()) === 'two')
    name('127.0.4.1', '127.0.4.2')
    await untilTrue('both addresses serve', async () => {
      const answers = [await said(), await said(), await said(), await said()]
      return new Set(answers).size === 2
    })
    await stopDns()
    await Bun.sleep(3000)
    expect((await curl(url)).status).toBe(200)
    name()
    startDns()
    await untilTrue('it is missed', unresolved)
    expect((await curl(url)).status).toBe(503)
    await stopDns()
  })

  test('and leads back to the balancer: a request that comes again is refused, and goes round no more', async () => {
    name(vip)
    startDns()
    const listeners = [{ port, members: [], namedMembers: [{ id: memberId(7), host, port, weight: 1 }] }]
    const instance = wanted([], { listeners }, { nameServers: [nameServer] })
    await untilTrue('it is found, and the circle seen', async () => {
      await haproxy.turn(instance)
      return (await curl(url)).status === 508
    })
    const sessions = /^CumReq: (\d+)$/m.exec(await haproxy.ask('show info'))
    expect(Number(sessions?.[1])).toBeLessThan(1000)
  })
})

async function listen(server: Server): Promise<void> {
  const ready = new Promise<void>((resolve) => server.once('listening', resolve))
  server.listen(0, '127.0.0.1')
  await ready
  closers.push(() => server.close())
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** What is answered to a text, whole or until nothing more comes. */
function say(from: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect({ host: vip, port, localAddress: from })
    socket.setTimeout(8000, () => socket.destroy())
    socket.on('connect', () => socket.write(text))
    socket.on('data', (data) => {
      answer += String(data)
      if (answer.includes('\r\n\r\n')) setTimeout(() => socket.destroy(), 100)
    })
    socket.on('error', reject)
    socket.on('close', () => {
      resolve(answer)
    })
  })
}
