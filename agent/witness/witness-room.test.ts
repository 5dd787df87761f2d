import { beforeEach, expect, test } from 'bun:test'
import type { HostInstructions, WitnessInstructions } from '../contract/host-instructions.ts'
import { createWitnessRoom, type WitnessRoom } from './witness-room.ts'

const gateway = '198.18.32.1'
const suspect = { id: 'lbi_0000000000000000000000001', address: '198.18.32.20', since: '2030-01-01T00:00:00.000Z' }
const witness: WitnessInstructions = { controls: [gateway], suspects: [suspect] }

let reachable: Set<string>
let asked: string[]
let news: number
let now: number
let room: WitnessRoom

beforeEach(() => {
  reachable = new Set([gateway, suspect.address])
  asked = []
  news = 0
  now = 0
  room = createWitnessRoom({
    uplinkDevice: 'uplink0',
    run: async (argv) => {
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
    instances: [],
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
