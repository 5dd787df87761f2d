/**
 * What is written down of requests, by real haproxies on the loopback device: whatever clients send is one entry each, a
 * sample is as large as was said, an agent that comes back goes on where it was, and switching costs no request.
 *   bun test ./test/lab/access-log.lab.ts
 */

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, createServer } from 'node:net'
import type { InstanceInstructions } from '../../agent/contract/host-instructions.ts'
import { decodeLogLines, type LoggedRequest, type LogLine } from '../../agent/contract/log-lines.ts'
import { haproxyFiles } from '../../agent/haproxy/haproxy-files.ts'
import { createLogRoom, type LogRoom } from '../../agent/logs/log-room.ts'
import { askHaproxy } from '../../agent/operations/haproxy-socket.ts'
import type { HttpLoadResult } from './http-load.ts'
import {
  createRealHaproxy,
  curl,
  makeInstance,
  membersOf,
  type RealHaproxy,
  startMember,
  untilTrue,
  type WebMember,
} from './traffic-ground.ts'

setDefaultTimeout(60_000)

const vip = '127.0.1.7'
const port = 8087
const url = `http://${vip}:${port}`

let web: WebMember
let haproxy: RealHaproxy
const agents: TestAgent[] = []

beforeAll(() => {
  web = startMember(1)
  haproxy = createRealHaproxy()
})
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.stop()
  await haproxy.stop()
  haproxy = createRealHaproxy()
})
afterAll(async () => {
  await haproxy.stop()
  await web.stop()
})

const wanted = (accessLog?: InstanceInstructions['accessLog'], members = membersOf(web)) =>
  makeInstance(vip, { listeners: [{ port, members }], ...(accessLog && { accessLog }) })

/** A member that takes whatever comes for a request. */
async function startPatientMember(): Promise<{ readonly port: number; stop(): Promise<unknown> }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      if (data.includes('\r\n\r\n')) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('BUG: a TCP server has an address')
  return { port: address.port, stop: () => new Promise((resolve) => server.close(resolve)) }
}

interface TestAgent {
  readonly room: LogRoom
  readonly lines: LogLine[]
  requests(): LoggedRequest[]
  dropped(reason: string): number
  stop(): Promise<void>
}

/** The agent's room of logs, whose bus is a list. What it has read is known to whoever comes after it. */
function startAgent(instance: InstanceInstructions, memory: { positions?: string | undefined } = {}): TestAgent {
  const lines: LogLine[] = []
  const room = createLogRoom({
    host: 'north',
    runFolder: haproxy.folder,
    ask: askHaproxy,
    publish: async (_, payload) => {
      lines.push(...(decodeLogLines(new TextEncoder().encode(payload)) ?? []))
      return true
    },
    readPositions: () => memory.positions,
    giveBackHead: async () => undefined,
    savePositions: (text) => {
      memory.positions = text
    },
    now: () => performance.now(),
    clock: Date.now,
  })
  let isStopped = false
  const run = async () => {
    await room.look({
      desired: {
        format: 1,
        host: 'north',
        generation: 1,
        issuedAt: '',
        networks: [],
        machines: [],
        instances: [instance],
      },
      daemons: [],
      strayDaemons: [],
    })
    while (!isStopped) {
      await room.flush()
      await Bun.sleep(20)
    }
  }
  const running = run()
  const agent: TestAgent = {
    room,
    lines,
    requests: () => lines.flatMap((line) => ('request' in line ? [line.request] : [])),
    dropped: (reason) =>
      lines.reduce(
        (sum, line) => sum + ('dropped' in line && line.dropped.reason === reason ? line.dropped.lines : 0),
        0,
      ),
    async stop() {
      isStopped = true
      await running
      room.close()
    },
  }
  agents.push(agent)
  return agent
}

/** One connection, these bytes, and all that is answered until it is closed or nothing more comes. */
function sendRaw(bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect({ host: vip, port })
    socket.setTimeout(2000, () => socket.destroy())
    socket.on('data', (data) => {
      answer += data.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(answer))
    socket.write(bytes)
  })
}

const rawRequest = (path: string, headers: Readonly<Record<string, string>> = {}) =>
  Buffer.from(
    [
      `GET ${path} HTTP/1.1`,
      ...Object.entries({ Host: 'shop.example', ...headers, Connection: 'close' }).map((pair) => pair.join(': ')),
      '\r\n',
    ].join('\r\n'),
    'latin1',
  )

test('whatever clients send is one entry each, and says what they sent', async () => {
  const member = await startPatientMember()
  const members = membersOf({ number: 1, port: member.port })
  const instance = wanted({ oneOf: 1, clientAddress: 'shortened' }, members)
  await haproxy.want(instance)
  const agent = startAgent(instance)
  const everyByte = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join('')
  const headerBytes = everyByte.replaceAll(/[\0\r\n]/g, '')
  const sent: readonly Buffer[] = [
    rawRequest('/plain?token=secret', { 'User-Agent': 'plain' }),
    rawRequest('/quote"back\\slash{}%22', { 'User-Agent': headerBytes }),
    rawRequest(`/${'"'.repeat(900)}`, { 'User-Agent': '\\'.repeat(2000), Host: '"'.repeat(200) }),
    rawRequest('/caf\u00c3\u00a9', { 'User-Agent': '\u00ff\u00fe' }),
    rawRequest('*'),
    Buffer.from('\0\u0001\u0002 not HTTP at all\r\n\r\n'),
    Buffer.from('GET /\n{"at":1} HTTP/1.1\r\n\r\n'),
    rawRequest('/last'),
  ]
  for (const bytes of sent) await sendRaw(bytes)
  await untilTrue('the last one is written down', () => agent.requests().some(({ path }) => path === '/last'))
  const requests = agent.requests()
  expect(requests.length).toBe(sent.length)
  expect(agent.lines.length).toBe(sent.length)
  expect(requests[0]).toMatchObject({
    method: 'GET',
    path: '/plain',
    host: 'shop.example',
    userAgent: 'plain',
    clientAddress: '127.0.0.0',
    status: 200,
    listenerPort: port,
    memberId: members[0]?.id,
    ending: '--',
  })
  expect(requests[1]?.path).toBe('/quote"back\\slash{}%22')
  expect(requests[2]?.path).toBe(`/${'"'.repeat(511)}`)
  expect(requests.filter(({ status }) => status === 400).length).toBeGreaterThan(0)
  expect(JSON.stringify(agent.lines)).not.toContain('secret')
  await haproxy.stop()
  await member.stop()
})

const ask = async (count: number) => {
  for (let i = 0; i < count; i++) await (await fetch(`${url}/${i}`)).text()
}

test('a sample is as large as was said, and leaves the client out where that was said', async () => {
  const instance = wanted({ oneOf: 10, clientAddress: 'none' })
  await haproxy.want(instance)
  const agent = startAgent(instance)
  await ask(400)
  await untilTrue('all of the sample is there', () => agent.requests().length >= 40)
  await ask(10)
  await untilTrue('the next of the sample is there', () => agent.requests().length >= 41)
  expect(agent.requests().length).toBe(41)
  expect(agent.requests().every(({ clientAddress }) => clientAddress === null)).toBe(true)
  expect(agent.lines.length).toBe(41)
})

test('an agent that comes back goes on where the one before it was, and tells what did not last so long', async () => {
  const instance = wanted({ oneOf: 1, clientAddress: 'full' })
  await haproxy.want(instance)
  const memory = {}
  const first = startAgent(instance, memory)
  await ask(30)
  await untilTrue('the first agent has read them', () => first.requests().length === 30)
  await first.stop()
  await ask(40)
  const second = startAgent(instance, memory)
  await untilTrue('the second has read what was said meanwhile', () => second.requests().length === 40)
  expect(second.requests().map(({ path }) => path)).toEqual(Array.from({ length: 40 }, (_, i) => `/${i}`))
  await second.stop()
  // More than the ring holds.
  await ask(2500)
  const third = startAgent(instance, memory)
  const all = () => third.requests().length + third.dropped('rate') + third.dropped('unread')
  await untilTrue('what was lost is told', () => all() >= 2500)
  expect(all()).toBe(2500)
  expect(third.dropped('unread')).toBeGreaterThan(1000)
  expect(third.requests().at(-1)?.path ?? '').toMatch(/^\/\d+$/)
})

test('a worker that a reload has replaced is heard to its end, and not kept alive by being heard', async () => {
  const instance = wanted({ oneOf: 1, clientAddress: 'full' })
  await haproxy.want(instance)
  const { workerPid } = await haproxy.answer()
  const agent = startAgent(instance)
  const hasHeard = (path: string) => agent.requests().some((request) => request.path === path)
  const slow = curl(`${url}/wait/2000`)
  await untilTrue('the slow request is under way', () => web.seen.includes('GET /wait/2000'))
  await haproxy.want({ ...instance, timeouts: { ...instance.timeouts, clientSeconds: 29 } })
  agent.room.onWorker(instance.id)
  await curl(`${url}/quick`)
  await untilTrue('the new worker is heard', () => hasHeard('/quick'))
  expect(hasHeard('/wait/2000')).toBe(false)
  expect((await slow).status).toBe(200)
  await untilTrue('the old worker is heard', () => hasHeard('/wait/2000'))
  await untilTrue('the old worker has ended', async () => {
    const { masterSocket } = haproxyFiles(haproxy.folder, instance.id)
    const processes = await askHaproxy(masterSocket, 'show proc').catch(() => String(workerPid))
    return !new RegExp(`^${workerPid}\\b`, 'm').test(processes)
  })
  expect(agent.lines.length).toBe(2)
})

test('it is switched on, changed and switched off without a lost request, each by one reload', async () => {
  await haproxy.want(wanted())
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/http-load.ts`, 'calm', vip, String(port), '4'], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const steps = [
    wanted({ oneOf: 1, clientAddress: 'full' }),
    wanted({ oneOf: 2, clientAddress: 'full' }),
    wanted({ oneOf: 2, clientAddress: 'none' }),
    wanted(),
  ]
  const workers = new Set<number>([(await haproxy.answer()).workerPid])
  const heard: number[] = []
  try {
    for (const instance of steps) {
      await haproxy.want(instance)
      workers.add((await haproxy.answer()).workerPid)
      if (instance.accessLog === undefined) continue
      const agent = startAgent(instance)
      await untilTrue('requests are written down', () => agent.requests().length > 10)
      heard.push(agent.requests().length)
      await agent.stop()
    }
  } finally {
    child.kill('SIGTERM')
  }
  const result: HttpLoadResult = JSON.parse((await new Response(child.stdout).text()).trim().split('\n').at(-1) ?? '')
  expect([result.failures, result.reasons]).toEqual([0, {}])
  expect(result.requests).toBeGreaterThan(50)
  expect(heard.length).toBe(3)
  expect(workers.size).toBe(1 + steps.length)
})
