import { expect, test } from 'bun:test'
import type { HostInstructions } from '../../agent/contract/host-instructions.ts'
import type { InstructionsBus, PublishedInstructions } from './instructions-bus.ts'
import { createPublisher } from './publisher.ts'

const statementOf = (generation: number): HostInstructions => ({
  format: 1,
  host: 'a',
  generation,
  issuedAt: '2030-01-01T00:00:00Z',
  networks: [],
  machines: [],
  instances: [],
})

function createBus(): InstructionsBus {
  const published = new Map<string, PublishedInstructions>()
  return {
    listHosts: async () => [...published.keys()],
    read: async (host) => published.get(host) ?? null,
    async write(statement, revision) {
      if ((published.get(statement.host)?.revision ?? null) !== revision) return null
      const next = (revision ?? 0) + 1
      published.set(statement.host, { statement, revision: next })
      return next
    },
  }
}

test('what another controller has published meanwhile is found out, and read before the next plan', async () => {
  const bus = createBus()
  const [own, other] = [createPublisher(bus), createPublisher(bus)]
  for (const publisher of [own, other]) await publisher.load(['a'])
  expect(await own.isCurrent('a')).toBe(true)
  expect(await other.publish(statementOf(1))).toBe(true)
  expect(await own.isCurrent('a')).toBe(false)
  expect(own.knows(['a'])).toBe(false)
  expect(await own.publish(statementOf(1))).toBe(false)
  await own.load(['a'])
  expect([await own.isCurrent('a'), own.published.get('a')?.generation]).toEqual([true, 1])
})
