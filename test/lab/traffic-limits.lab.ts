/**
 * What is let in and what is not, by a real haproxy on the loopback device, real curl and wrk: headers and bodies that are
 * too long, clients that ask too often, members that are full; and how members are checked. The service goes on each time.
 *   bun test ./test/lab/traffic-limits.lab.ts
 */

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
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

const vip = '127.0.1.4'
const port = 8080
const url = `http://${vip}:${port}/`
let web: WebMember[] = []
let haproxy: RealHaproxy

beforeAll(() => {
  web = [1, 2].map((number) => startMember(number))
  haproxy = createRealHaproxy()
})
afterEach(async () => {
  await haproxy.stop()
  haproxy = createRealHaproxy()
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
const serves = async () => expect((await curl(url)).status).toBe(200)

describe('a request that is too long', () => {
  test.each<[string, string[]]>([
    ['one header of 16 kB', ['-H', `X-Long: ${'a'.repeat(16_384)}`]],
    [
      'many headers of 20 kB together',
      Array.from({ length: 20 }, (_, i) => ['-H', `X-${i}: ${'a'.repeat(1000)}`]).flat(),
    ],
    ['more than a hundred header lines', Array.from({ length: 110 }, (_, i) => ['-H', `X-${i}: 1`]).flat()],
  ])('%s is answered 400, and the next is served', async (_, options) => {
    await haproxy.want(wanted([1]))
    expect((await curl(url, ...options)).status).toBe(400)
    await serves()
  })

  test('a path of 20 kB is as well', async () => {
    await haproxy.want(wanted([1]))
    expect((await curl(`${url}${'a'.repeat(20_000)}`)).status).toBe(400)
    await serves()
  })

  test('a header of 14 kB is not too long', async () => {
    await haproxy.want(wanted([1]))
    expect((await curl(url, '-H', `X-Long: ${'a'.repeat(14_000)}`)).status).toBe(200)
  })

  test('a body over the limit is answered 413, one of unknown length 411, one within it is served', async () => {
    await haproxy.want(wanted([1], {}, { limits: { requestBodyBytes: 1000 } }))
    const body = (length: number) => ['--data-binary', 'b'.repeat(length)]
    expect((await curl(url, ...body(1001))).status).toBe(413)
    expect((await curl(url, '-H', 'Transfer-Encoding: chunked', ...body(10))).status).toBe(411)
    expect((await curl(url, ...body(1000))).status).toBe(200)
    await serves()
  })

  test('without a limit a body of 20 MB goes through as it comes', async () => {
    await haproxy.want(wanted([1]))
    const send = Bun.spawn(
      ['sh', '-c', `head -c 20000000 /dev/zero | curl -s -T - -o /dev/null -w '%{http_code}' ${url}`],
      {
        stdout: 'pipe',
      },
    )
    expect(await new Response(send.stdout).text()).toBe('200')
  })
})

describe('a client that asks too often', () => {
  const [greedy, modest] = ['127.0.2.1', '127.0.2.2']

  test('is answered 429, and another one is served', async () => {
    await haproxy.want(wanted([1], {}, { limits: { sourceRate: 5 } }))
    const answers = await Promise.all(Array.from({ length: 20 }, () => curl(url, '--interface', greedy)))
    const refused = answers.filter(({ status }) => status === 429).length
    expect(refused).toBeGreaterThan(5)
    expect(refused).toBeLessThan(20)
    expect((await curl(url, '--interface', modest)).status).toBe(200)
    await untilTrue('it is served again', async () => {
      await Bun.sleep(1000)
      return (await curl(url, '--interface', greedy)).status === 200
    })
  })

  test('of a tcp balancer is turned away', async () => {
    await haproxy.want(wanted([1], { trafficType: 'tcp' }, { limits: { sourceRate: 5 } }))
    const answers = await Promise.all(Array.from({ length: 20 }, () => curl(url, '--interface', greedy)))
    expect(answers.filter(({ status }) => status === 0).length).toBeGreaterThan(5)
    expect((await curl(url, '--interface', modest)).status).toBe(200)
  })
})

describe('a member that is full', () => {
  test('has the next one wait, and turns it away when its time is over', async () => {
    await haproxy.want(wanted([1], {}, { limits: { memberConnections: 1 }, queueSeconds: 1, retries: 0 }))
    const first = curl(`${url}wait/700`)
    await untilTrue('the first is under way', () => web[0]?.seen.includes('GET /wait/700') === true)
    expect((await curl(url)).status).toBe(200)
    expect((await first).status).toBe(200)
    const long = curl(`${url}wait/2500`)
    await untilTrue('the long one is under way', () => web[0]?.seen.includes('GET /wait/2500') === true)
    expect((await curl(url)).status).toBe(503)
    expect((await long).status).toBe(200)
  })

  test('is passed over where its queue is full as well', async () => {
    const limits = { memberConnections: 1, memberQueue: 1 }
    await haproxy.want(wanted([1, 2], {}, { limits, queueSeconds: 5 }))
    const answers = await Promise.all(Array.from({ length: 4 }, () => curl(`${url}wait/300`)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  })

  test('a listener with a limit serves all in the end, under wrk', async () => {
    await haproxy.want(wanted([1, 2], {}, { limits: { connections: 10 } }))
    const wrk = Bun.spawn(['wrk', '-t1', '-c40', '-d2s', url], { stdout: 'pipe' })
    const said = await new Response(wrk.stdout).text()
    expect(Number(/(\d+) requests in/.exec(said)?.[1])).toBeGreaterThan(100)
    expect(said).not.toContain('Non-2xx')
    const most = (await haproxy.ask('show stat'))
      .split('\n')
      .find((line) => line.startsWith(`listener_${port},FRONTEND`))
    expect(Number(most?.split(',')[5])).toBeLessThanOrEqual(10)
  })
})

describe('a member is checked', () => {
  const thresholds = { intervalSeconds: 0.5, timeoutSeconds: 0.5, healthyThreshold: 1, unhealthyThreshold: 1 }
  const http = {
    method: 'GET',
    path: '/ready',
    hostHeader: 'web.example',
    expectedStatus: '200',
    ...thresholds,
  } as const
  let answer: () => Response = () => new Response('all is well')
  let asked: { host: string | null; method: string }[] = []

  const start = (tls: Bun.TLSOptions | undefined) => {
    asked = []
    return Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      ...(tls && { tls }),
      fetch(request) {
        asked.push({ host: request.headers.get('host'), method: request.method })
        return answer()
      },
    })
  }
  const health = async () => (await haproxy.answer()).servers[0]?.health
  const checked = async (healthCheck: NonNullable<Change['healthCheck']>, memberPort: number) => {
    const listeners = [{ port, members: membersOf({ number: 4, port: memberPort }) }]
    await haproxy.want(wanted([], { listeners, healthCheck }))
  }

  test('by status and by what its answer holds', async () => {
    const server = start(undefined)
    answer = () => new Response('all is well')
    await checked({ protocol: 'http', ...http, expectedBody: 'is well' }, server.port ?? 0)
    await untilTrue('it is up', async () => (await health()) === 'up')
    expect(asked[0]).toEqual({ host: 'web.example', method: 'GET' })
    answer = () => new Response('all is lost')
    await untilTrue('it is down for its body', async () => (await health()) === 'down')
    answer = () => new Response('all is well', { status: 201 })
    await untilTrue('it is still down for its status', async () => asked.length > 4 && (await health()) === 'down')
    answer = () => new Response('all is well')
    await untilTrue('it is up again', async () => (await health()) === 'up')
    await server.stop(true)
  })

  test('by HTTPS, whatever its certificate is, with the name that is asked for', async () => {
    const folder = Bun.spawnSync(['mktemp', '-d']).stdout.toString().trim()
    const files = { key: `${folder}/key.pem`, certificate: `${folder}/certificate.pem` }
    const made = Bun.spawnSync(
      [
        'openssl',
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '1',
      ].concat(['-subj', '/CN=other.example', '-keyout', files.key, '-out', files.certificate]),
    )
    expect(made.exitCode).toBe(0)
    const server = start({ key: Bun.file(files.key), cert: Bun.file(files.certificate), serverName: 'web.example' })
    answer = () => new Response('fine')
    await checked({ protocol: 'https', ...http, serverName: 'web.example' }, server.port ?? 0)
    await untilTrue('it is up', async () => (await health()) === 'up')
    await server.stop(true)
    await untilTrue('it is down', async () => (await health()) === 'down')
    Bun.spawnSync(['rm', '-r', folder])
  })
})
