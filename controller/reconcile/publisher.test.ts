import { expect, test } from 'bun:test'
import type { HostInstructions } from '../../agent/contract/host-instructions.ts'
import type { InstructionsBus, PublishedInstructions } from './instructions-bus.ts'
import { createPublisher } from './publisher.ts'

test('the statement of a host whose write is in doubt is read again before it is written, though the host was deleted', async () => {
  const bus = createMemoryBus()
  await bus.write(statementOf('host-1', 1), null)
  const publisher = createPublisher(bus)
  await publisher.load([])
  bus.failNext()
  await expect(publisher.publish(statementOf('host-1', 2))).rejects.toThrow('no answer')
  expect(publisher.knows([])).toBe(false)
  await publisher.load([])
  expect(publisher.knows([])).toBe(true)
  expect(await publisher.publish(statementOf('host-1', 2))).toBe(true)
  await expect(publisher.published.get('host-1')?.generation).toBe(2)
})

test('what another controller has published meanwhile is found out, and read before the next plan', async () => {
  const bus = createMemoryBus()
  const [own, other] = [createPublisher(bus), createPublisher(bus)]
  for (const publisher of [own, other]) await publisher.load(['host-1'])
  expect(await own.isCurrent('host-1')).toBe(true)
  expect(await other.publish(statementOf('host-1', 1))).toBe(true)
  expect(await own.isCurrent('host-1')).toBe(false)
  expect(own.knows(['host-1'])).toBe(false)
  expect(await own.publish(statementOf('host-1', 1))).toBe(false)
  await own.load(['host-1'])
  expect([await own.isCurrent('host-1'), own.published.get('host-1')?.generation]).toEqual([true, 1])
})

function statementOf(host: string, generation: number): HostInstructions {
  return { format: 1, host, generation, issuedAt: '2026-11-21T00:00:00Z', networks: [], machines: [], instances: [] }
}

function createMemoryBus(): InstructionsBus & { failNext(): void } {
  const kept = new Map<string, PublishedInstructions>()
  let fails = false
  return {
    failNext: () => {
      fails = true
    },
    listHosts: async () => [...kept.keys()],
    read: async (host) => kept.get(host) ?? null,
    async write(statement, revision) {
      if (fails) {
        fails = false
        throw new Error('no answer')
      }
      const { host } = statement
      const current = kept.get(host)?.revision ?? null
      if (current !== revision) return null
      const next = (current ?? 0) + 1
      kept.set(host, { statement, revision: next })
      return next
    },
  }
}
