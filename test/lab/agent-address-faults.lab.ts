/**
 * What goes wrong while addresses move, on two hosts with agents alone: an agent is killed in the middle, somebody else
 * changes an address, and a machine asks for its address by DHCP. Needs root, and makes everything within namespaces of
 * its own: bun test ./test/lab/agent-address-faults.lab.ts
 */

import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import {
  type AddressLab,
  type EchoClient,
  machineOf,
  mover,
  neighbour,
  newAddress,
  oldAddress,
  shards,
  startAddressLab,
  stranger,
  until,
} from './address-lab.ts'
import type { TestMachine } from './agent-instructions.ts'

setDefaultTimeout(150_000)

const id = machineOf(mover.number)
const alone: Partial<TestMachine> = { address: oldAddress, otherAddresses: [], restartsForAddress: false }
const both: Partial<TestMachine> = { ...alone, otherAddresses: [newAddress] }
const switched: Partial<TestMachine> = { ...alone, address: newAddress, otherAddresses: [oldAddress] }
const moved: Partial<TestMachine> = { ...alone, address: newAddress }

let lab: AddressLab

beforeAll(async () => {
  lab = await startAddressLab()
})

afterAll(async () => {
  await lab?.stop()
})

/** What is left of the agent's work when it is killed after some of its lines. */
const byHand = (lines: readonly string[]) =>
  lab.north.run('sh', '-c', `printf '${lines.join('\\n')}\\n' | ip -n ${id} -batch -`)

/** Tells what is wanted to an agent that is about to be killed, or is dead already, and lets its successor do it. */
async function resume(wanted: Partial<TestMachine>): Promise<void> {
  await lab.north.killAgent()
  lab.tell({ machine: { ...wanted, number: mover.number } })
  lab.north.startAgent()
  await lab.converged()
}

const expectAddresses = async (...addresses: readonly string[]) => {
  expect(await lab.addresses(lab.north, id)).toEqual([...addresses].sort())
}

/** It is reached from the one shard and from the other, by the gateway and without it. */
async function expectReached(address: string): Promise<void> {
  for (const { number } of [neighbour, stranger]) {
    const ask = () => lab.onMachine(lab.south, number, 'curl', '-s', '--max-time', '1', `http://${address}/`)
    await until(`${address} is reached by ${number}`, async () => (await ask()).stdout === `web-1 north ${address}\n`)
  }
}

async function expectGoingOn(client: EchoClient): Promise<void> {
  const { echoes } = client.result()
  await until('it goes on or has ended', () => client.result().echoes > echoes || client.result().end !== undefined)
  expect(client.result().end).toBeUndefined()
}

/** Something that is not what was told is put right without being told again. */
const untilRepaired = (what: string, isRight: () => Promise<boolean>) => until(`${what} is repaired`, isRight)

describe('an agent that is killed in the middle of a restart', () => {
  const lines = (from: string, to: string) => [
    'link set eth0 down',
    `address delete ${from}/24 dev eth0`,
    `address add ${to}/24 dev eth0`,
  ]
  test.each([1, 2, 3])('has a successor that carries on after %i of its lines', async (done) => {
    await lab.change(mover.number, alone)
    await lab.north.killAgent()
    await byHand(lines(oldAddress, newAddress).slice(0, done))
    await resume({ ...moved, restartsForAddress: true })
    await expectAddresses(`${newAddress}/24`)
    await expectReached(newAddress)
  })
})

describe('an agent that is killed while addresses change places', () => {
  const lines = [
    `address add ${newAddress}/24 dev eth0`,
    `address add ${oldAddress}/32 dev eth0`,
    'route replace default via 10.1.1.1 dev eth0',
    `address delete ${oldAddress}/24 dev eth0`,
  ]
  test.each([1, 2, 3, 4])('has a successor that carries on after %i of its lines', async (done) => {
    await lab.change(mover.number, both)
    const into = await lab.startClient(lab.south, neighbour.number, oldAddress)
    const out = await lab.startClient(lab.north, mover.number, stranger.address)
    const clients = [into, out]
    await lab.north.killAgent()
    await byHand(lines.slice(0, done))
    await resume(switched)
    await expectAddresses(`${newAddress}/24`, `${oldAddress}/32`)
    await expectReached(newAddress)
    await expectReached(oldAddress)
    for (const client of clients) await expectGoingOn(client)
    await lab.change(mover.number, moved)
    for (const client of clients) await until('its end is known', () => client.result().end !== undefined)
    expect(clients.map((client) => client.result().end)).toEqual(['ECONNRESET', 'ECONNABORTED'])
  })
})

describe('an agent that is killed at any time', () => {
  /** After so long; in this order, so that each begins where the one before has ended. */
  const kills: readonly [Partial<TestMachine>, number, string[]][] = [
    [both, 0, [`${newAddress}/32`, `${oldAddress}/24`]],
    [switched, 20, [`${newAddress}/24`, `${oldAddress}/32`]],
    [both, 40, [`${newAddress}/32`, `${oldAddress}/24`]],
    [switched, 60, [`${newAddress}/24`, `${oldAddress}/32`]],
    [moved, 30, [`${newAddress}/24`]],
    [{ ...alone, restartsForAddress: true }, 10, [`${oldAddress}/24`]],
    [{ ...moved, restartsForAddress: true }, 30, [`${newAddress}/24`]],
  ]
  test('has a successor that carries on, and connections do as well', async () => {
    await lab.change(mover.number, alone)
    const client = await lab.startClient(lab.south, stranger.number, oldAddress)
    for (const [wanted, milliseconds, addresses] of kills) {
      const isKept = wanted.otherAddresses?.length !== 0
      lab.tell({ machine: { ...wanted, number: mover.number } })
      await Bun.sleep(milliseconds)
      await resume(wanted)
      await expectAddresses(...addresses)
      for (const address of addresses) await expectReached(address.slice(0, address.indexOf('/')))
      if (isKept) await expectGoingOn(client)
      else await until('the other end knows', () => client.result().end !== undefined)
      if (isKept) await lab.untilReported(lab.north, id, (all) => all.every(({ answers }) => answers))
    }
    expect(client.result().end).toBe('ECONNRESET')
  })
})

describe('what somebody else changes', () => {
  const addresses = [`${oldAddress}/32`, `${newAddress}/24`]
  const areRight = async () => (await lab.addresses(lab.north, id)).join() === addresses.join()

  beforeEach(async () => {
    await lab.change(mover.number, switched)
  })

  test.each([
    ['the first address is lost, and the way out with it', `address delete ${newAddress}/24 dev eth0`],
    ['the other address is lost', `address delete ${oldAddress}/32 dev eth0`],
    ['the way out is lost', 'route delete default'],
    ['another address comes', 'address add 10.1.0.99/24 dev eth0'],
    ['the interface goes down', 'link set eth0 down'],
  ])('%s: it is put right, and connections go on', async (what, line) => {
    const into = await lab.startClient(lab.south, neighbour.number, oldAddress)
    const out = await lab.startClient(lab.north, mover.number, neighbour.address)
    await byHand([line])
    await untilRepaired(what, async () => {
      const routes = await lab.north.run('ip', '-n', id, 'route', 'show', 'default')
      return (await areRight()) && routes.startsWith('default via 10.1.1.1 dev eth0')
    })
    for (const client of [into, out]) {
      await expectGoingOn(client)
      await client.stop()
    }
  })
})

describe('a machine that asks for its address by DHCP', () => {
  const [oldGateway, newGateway] = shards.map((shard) => `${shard}.1`)

  /** A client that asks and tells what it gets, and sets nothing. */
  function describeClient(...options: readonly string[]): { argv: string[]; told: () => string[] } {
    const { folder } = lab.balancers.hosts
    const [script, answers] = [`${folder}/dhcp-script`, `${folder}/dhcp-answers`]
    writeFileSync(script, `#!/bin/sh\n[ "$1" = deconfig ] || echo "$ip/$mask for $lease, ask $router" >> ${answers}\n`)
    chmodSync(script, 0o755)
    writeFileSync(answers, '')
    const patience = ['-t', '5', '-T', '1']
    return {
      argv: ['busybox', 'udhcpc', '-i', 'eth0', '-f', ...patience, '-s', script, ...options],
      told: () => readFileSync(answers, 'utf8').trim().split('\n'),
    }
  }

  const untilTold = async (answer: string) => {
    let last: string | undefined
    const ask = async () => {
      const { argv, told } = describeClient('-n', '-q')
      await lab.onMachine(lab.north, mover.number, ...argv)
      last = told().at(-1)
      return last === answer
    }
    await until(`it is told ${answer}`, ask).catch((cause: unknown) => {
      throw new Error(`it was told ${last}`, { cause })
    })
  }

  test('gets short leases while its address moves, and the new one when it is time', async () => {
    await lab.change(mover.number, alone)
    await untilTold(`${oldAddress}/24 for 3600, ask ${oldGateway}`)
    await lab.change(mover.number, { ...alone, restartsForAddress: true })
    await untilTold(`${oldAddress}/24 for 120, ask ${oldGateway}`)
    await lab.change(mover.number, { ...moved, restartsForAddress: true })
    await untilTold(`${newAddress}/24 for 120, ask ${newGateway}`)
    await lab.change(mover.number, moved)
    await untilTold(`${newAddress}/24 for 3600, ask ${newGateway}`)
  })

  test('is told no when it wants its lease of the old one to go on, and gets the new one', async () => {
    await lab.change(mover.number, both)
    const pidFile = `${lab.balancers.hosts.folder}/dhcp-pid`
    const { argv, told } = describeClient('-p', pidFile)
    lab.north.spawn('ip', 'netns', 'exec', id, ...argv)
    await until('it has a lease', () => told().at(-1)?.startsWith(`${oldAddress}/24 for 120,`))
    await lab.change(mover.number, switched)
    await lab.north.run('sh', '-c', `kill -USR1 $(cat ${pidFile})`)
    await until('it has the other', () => told().at(-1)?.startsWith(`${newAddress}/24 for 120,`))
    await lab.north.run('sh', '-c', `kill $(cat ${pidFile})`)
  })
})
