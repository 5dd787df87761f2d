/**
 * Who stays with whom, by real haproxies on the loopback device and real curl: by cookie, by the client's address in a
 * table that two instances share, and by the hash of the address.
 *   bun test ./test/lab/sticky-sessions.lab.ts
 */

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  cookieOf,
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

const [north, south] = ['127.0.1.1', '127.0.1.2'] as const
const port = 8080
const url = (vip: string) => `http://${vip}:${port}/`
let web: WebMember[] = []
let haproxies: RealHaproxy[] = []

beforeAll(() => {
  web = [1, 2, 3, 4].map((number) => startMember(number))
})
afterEach(async () => {
  await Promise.all(haproxies.map((haproxy) => haproxy.stop()))
  haproxies = []
})
afterAll(async () => {
  await Promise.all(web.map((member) => member.stop()))
})

const startHaproxy = () => {
  const haproxy = createRealHaproxy()
  haproxies.push(haproxy)
  return haproxy
}
/** haproxy's flags of a table of peers that has heard of all there is to know. */
const allKnown = 3

const listenersOf = (...numbers: number[]) => [
  { port, members: membersOf(...web.filter(({ number }) => numbers.includes(number))) },
]
const answerer = async (vip: string, ...options: string[]) => (await curl(url(vip), ...options)).body.split(' ')[0]

describe('by a cookie', () => {
  const sticky = { stickySessions: { by: 'cookie', cookieName: 'SLUICE' } } as const
  const wanted = (leg: string, numbers: number[], change = {}) =>
    makeInstance(leg, { listeners: listenersOf(...numbers), ...change }, sticky)

  test('a client stays through changes of members, a reload and a failover', async () => {
    const [here, there] = [startHaproxy(), startHaproxy()]
    await here.want(wanted(north, [1, 2, 3]))
    await there.want(wanted(south, [1, 2, 3]))
    const first = await curl(url(north))
    const cookie = cookieOf(first) ?? ''
    expect(cookie).toStartWith('SLUICE=mem_')
    const [own = ''] = first.body.split(' ')
    const stays = async (vip: string, when: string) => {
      for (let i = 0; i < 6; i += 1) {
        const answer = await curl(url(vip), '-b', cookie)
        expect([when, answer.body.split(' ')[0], cookieOf(answer)]).toEqual([when, own, undefined])
      }
    }
    await stays(north, 'at once')
    await stays(south, 'by the other instance')
    const [gone = 0] = [1, 2, 3].filter((number) => String(number) !== own)
    const rest = [1, 2, 3, 4].filter((number) => number !== gone)
    await here.want(wanted(north, rest))
    await stays(north, 'after one came and another went')
    await here.want(wanted(north, rest, { algorithm: 'least-connections' }))
    await stays(north, 'after a reload')
    await here.want(
      wanted(
        north,
        rest.filter((number) => String(number) !== own),
      ),
    )
    const moved = await curl(url(north), '-b', cookie)
    expect(moved.status).toBe(200)
    expect(moved.body.split(' ')[0]).not.toBe(own)
    expect(cookieOf(moved)).toStartWith('SLUICE=mem_')
  })

  test('a member that was added at runtime binds clients as well', async () => {
    const here = startHaproxy()
    await here.want(wanted(north, [1]))
    await here.want(wanted(north, [1, 2]))
    await untilTrue('both bind', async () => {
      const cookies = await Promise.all([1, 2, 3, 4].map(async () => cookieOf(await curl(url(north)))))
      return new Set(cookies).size === 2
    })
    const answers = await Promise.all([1, 2, 3, 4].map(() => curl(url(north))))
    for (const answer of answers) {
      const [own] = answer.body.split(' ')
      for (let i = 0; i < 3; i += 1) expect(await answerer(north, '-b', cookieOf(answer) ?? '')).toBe(own)
    }
  })

  test('whatever else a cookie says, somebody answers', async () => {
    const here = startHaproxy()
    await here.want(wanted(north, [1, 2]))
    for (const value of ['nobody', `${memberId(9)}.n1`, '%[src]', 'x'.repeat(4000), '']) {
      expect((await curl(url(north), '-H', `Cookie: SLUICE=${value}`)).status).toBe(200)
    }
  })
})

describe('by the client’s address', () => {
  const wanted = (leg: string, mate: string, numbers: number[], change = {}) =>
    makeInstance(
      leg,
      { listeners: listenersOf(...numbers), ...change },
      {
        stickySessions: {
          by: 'source',
          idleSeconds: 60,
          mates: [{ id: makeInstance(mate, {}).id, address: mate }],
        },
      },
    )
  const clients = [10, 11, 12, 13, 14, 15].map((last) => `127.0.2.${last}`)
  const whoServes = async (vip: string) =>
    Object.fromEntries(
      await Promise.all(clients.map(async (client) => [client, await answerer(vip, '--interface', client)])),
    )

  test('clients stay through changes of members, a reload and a failover', async () => {
    const [here, there] = [startHaproxy(), startHaproxy()]
    await here.want(wanted(north, south, [1, 2, 3]))
    await there.want(wanted(south, north, [1, 2, 3]))
    // A worker passes on what it knows once it has asked everybody else for it, or waited for them in vain.
    await untilTrue('the instances have told each other all', async () => {
      const said = await Promise.all([here, there].map((haproxy) => haproxy.ask('show peers')))
      return said.every((peers) => (Number(/ flags=(0x[0-9a-f]+)/.exec(peers)?.[1]) & allKnown) === allKnown)
    })
    const before = await whoServes(north)
    expect(new Set(Object.values(before)).size).toBeGreaterThan(1)
    expect(await whoServes(north)).toEqual(before)
    await here.want(wanted(north, south, [1, 2, 3, 4]))
    expect(await whoServes(north)).toEqual(before)
    await here.want(wanted(north, south, [1, 2, 3, 4], { algorithm: 'least-connections' }))
    expect(await whoServes(north)).toEqual(before)
    await untilTrue('the other instance knows of all', async () => {
      const table = await there.ask(`show table members_${port}`)
      return clients.every((client) => table.includes(client))
    })
    expect(await whoServes(south)).toEqual(before)
    await here.want(wanted(north, south, [2, 3, 4]))
    const after = await whoServes(north)
    for (const client of clients) {
      if (before[client] === '1') expect(after[client]).not.toBe('1')
      else expect(after[client]).toBe(before[client])
    }
  })

  test('a tcp member that leaves keeps what it has begun, and gets nothing new', async () => {
    const here = startHaproxy()
    const tcp = (...numbers: number[]) =>
      wanted(north, south, numbers, { trafficType: 'tcp', timeouts: { ...drainTimeouts, drainSeconds: 20 } })
    await here.want(tcp(1))
    const long = curl(`${url(north)}wait/1500`)
    await untilTrue('the long request is under way', () => web[0]?.seen.includes('GET /wait/1500') === true)
    await here.turn(tcp(2))
    await untilTrue('the other one has taken over', async () => {
      await here.turn(tcp(2))
      return (await answerer(north)) === '2'
    })
    expect((await long).status).toBe(200)
    await here.want(tcp(2))
  })

  const drainTimeouts = { connectSeconds: 2, clientSeconds: 30, serverSeconds: 30, drainSeconds: 10 }
})

describe('by the hash of the client’s address', () => {
  const wanted = (leg: string, ...numbers: number[]) =>
    makeInstance(leg, { algorithm: 'source', listeners: listenersOf(...numbers) })
  const clients = Array.from({ length: 24 }, (_, index) => `127.0.3.${index + 1}`)
  const whoServes = async (vip: string) => {
    const answers: (string | undefined)[] = []
    for (const client of clients) answers.push(await answerer(vip, '--interface', client))
    return answers
  }

  test('both instances choose the same, and a change of members moves few', async () => {
    const [here, there] = [startHaproxy(), startHaproxy()]
    await here.want(wanted(north, 1, 2))
    await here.want(wanted(north, 1, 2, 3))
    await there.want(wanted(south, 1, 2, 3))
    const before = await whoServes(north)
    expect(await whoServes(south)).toEqual(before)
    await here.want(wanted(north, 1, 2, 3, 4))
    const after = await whoServes(north)
    // The ring gives the new one a share, and moves nobody between the others.
    for (const [index, own] of after.entries()) expect([before[index], '4']).toContain(own)
    expect(after).not.toEqual(before)
  })
})
