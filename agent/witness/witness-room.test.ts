import { beforeEach, describe, expect, test } from 'bun:test'
import { httpInstance } from '../../templates/golden/instances.ts'
import type { HostInstructions, WitnessInstructions } from '../contract/host-instructions.ts'
import { createWitnessRoom, type WitnessRoom } from './witness-room.ts'

const gateway = '198.18.32.1'
const suspect = { id: 'lbi_0000000000000000000000001', address: '198.18.32.20', since: '2030-01-01T00:00:00.000Z' }
const witness: WitnessInstructions = { controls: [gateway], suspects: [suspect] }

const mate = { address: '198.18.32.21' }
const own = 'lbi_0000000000000000000000009'

let reachable: Set<string>
/** What is said at the address when haproxy is asked. */
let haproxies: Map<string, { stdout?: string; stderr?: string }>
let instances: HostInstructions['instances']
let asked: string[]
let news: number
let now: number
let room: WitnessRoom

beforeEach(() => {
  reachable = new Set([gateway, suspect.address])
  haproxies = new Map()
  instances = []
  asked = []
  news = 0
  now = 0
  room = createWitnessRoom({
    uplinkDevice: 'uplink0',
    run: async (argv) => {
      if (argv[0] === 'nsenter') {
        const said = haproxies.get(argv.at(-2) ?? '')
        return { exitCode: 0, stdout: said?.stdout ?? '', stderr: said?.stderr ?? '' }
      }
      const address = argv.at(-1) ?? ''
      asked.push(address)
      return { exitCode: reachable.has(address) ? 1 : 0, stdout: '', stderr: '' }
    },
    onNews: () => news++,
    now: () => now,
  })
})

async function look(wanted: WitnessInstructions | undefined): Promise<void> {
  const desired: HostInstructions = {
    format: 1,
    host: 'a',
    generation: 1,
    issuedAt: '',
    networks: [],
    machines: [],
    instances,
    ...(wanted && { witness: wanted }),
  }
  now += 1000
  await room.look({ desired, daemons: [], strayDaemons: [] })
  await new Promise((resolve) => setImmediate(resolve))
}

const answers = (is: boolean, since = suspect.since) => [{ id: suspect.id, since, answers: is }]

test('a host that is asked about nobody asks nobody and says nothing', async () => {
  await look(undefined)
  expect([asked, room.reportTestimony(), news]).toEqual([[], undefined, 0])
})

test('it says who answers, and wakes the loop when that is new', async () => {
  await look(witness)
  expect(room.reportTestimony()).toEqual({ sees: true, suspects: answers(true) })
  await look(witness)
  expect(news).toBe(1)
  reachable.delete(suspect.address)
  await look(witness)
  expect([room.reportTestimony(), news]).toEqual([{ sees: true, suspects: answers(false) }, 2])
})

test('it says so when it reaches nobody at all', async () => {
  reachable.clear()
  await look(witness)
  expect(room.reportTestimony()).toEqual({ sees: false, suspects: answers(false) })
})

test('what was found of an earlier suspicion is not said of a later one', async () => {
  reachable.delete(suspect.address)
  await look(witness)
  const later = { ...witness, suspects: [{ ...suspect, since: '2030-01-01T01:00:00.000Z' }] }
  const looking = look(later)
  expect(room.reportTestimony()?.suspects).toEqual([])
  await looking
  expect(room.reportTestimony()?.suspects).toEqual(answers(false, '2030-01-01T01:00:00.000Z'))
})

test('when it is asked no more it forgets', async () => {
  await look(witness)
  await look(undefined)
  expect(room.reportTestimony()).toBeUndefined()
})

describe('a host with an instance of its own asks for the haproxy as well', () => {
  const refused = { stderr: "nc: can't connect to remote host (198.18.32.20): Connection refused\n" }
  const answered = { stdout: 'HTTP/1.0 200 OK\r\n\r\n' }
  const ask = async (suspectSays: typeof refused | typeof answered | object, mateSays: object) => {
    instances = [{ ...httpInstance, id: own }]
    reachable.add(mate.address)
    haproxies = new Map([
      [suspect.address, suspectSays],
      [mate.address, mateSays],
    ])
    await look({ ...witness, controls: [gateway, mate.address] })
    return room.reportTestimony()?.suspects[0]
  }

  test.each<[string, object, object, boolean | undefined]>([
    ['that answers', answered, {}, true],
    ['that is not there, as the kernel says', refused, {}, false],
    ['that says nothing, though another one answers', {}, answered, false],
    ['and has no opinion where nobody answers: the way may be broken', {}, {}, undefined],
  ])('%s', async (_, suspectSays, mateSays, expected) => {
    expect((await ask(suspectSays, mateSays))?.serves).toBe(expected)
  })

  test('and of an address that nobody has says no more than that', async () => {
    reachable.delete(suspect.address)
    expect(await ask(refused, answered)).toEqual({ id: suspect.id, since: suspect.since, answers: false })
  })
})
