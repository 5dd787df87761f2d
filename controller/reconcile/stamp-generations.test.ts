import { describe, expect, test } from 'bun:test'
import type { HostInstructions, MachineInstructions } from '../../agent/contract/host-instructions.ts'
import { createNamedId } from '../control-plane/shard-key.ts'
import type { HostContent } from './render-host-instructions.ts'
import { stampGenerations } from './stamp-generations.ts'

type Machine = HostContent['machines'][number]
const machine = (name: string, parts: Partial<MachineInstructions> = {}): Machine => ({
  id: createNamedId('mch', 'project', name),
  projectId: createNamedId('prj', 'x', 'y'),
  networkId: createNamedId('net', 'x', 'y'),
  name,
  driver: 'netns',
  mac: '06:00:00:00:00:01',
  addresses: [],
  workloads: [],
  ...parts,
})
const content = (...machines: readonly Machine[]): HostContent => ({ host: 'a', networks: [], machines, instances: [] })
const stamp = (wanted: HostContent, published: HostInstructions | null, floor = 0) =>
  stampGenerations(wanted, published, { floor, issuedAt: '2030-01-01T00:00:00Z' })
const generationsOf = (statement: HostInstructions | null) =>
  statement === null ? null : [statement.generation, ...statement.machines.map(({ generation }) => generation)]

describe('a statement', () => {
  const first = stamp(content(machine('one'), machine('two')), null)

  test('begins at 1', () => expect(generationsOf(first)).toEqual([1, 1, 1]))

  test('that says the same is not written again', () => {
    expect(stamp(content(machine('one'), machine('two')), first)).toBeNull()
  })

  test('gives what changed the generation in which it changed, and leaves the rest', () => {
    const second = stamp(content(machine('one'), machine('two', { workloads: [{ kind: 'web', port: 80 }] })), first)
    expect(generationsOf(second)).toEqual([2, 1, 2])
  })

  test('of which something went is another, and so is what comes back', () => {
    const without = stamp(content(machine('one')), first)
    expect(generationsOf(without)).toEqual([2, 1])
    expect(generationsOf(stamp(content(machine('one'), machine('two')), without))).toEqual([3, 1, 3])
  })

  test('of another trace alone is the same', () => {
    const traced = content(machine('one', { traceparent: '00-1-1-01' }), machine('two'))
    expect(stamp(traced, first)).toBeNull()
  })

  test('is said again, as a newer one, to a host that has seen a newer one', () => {
    expect(generationsOf(stamp(content(machine('one'), machine('two')), first, 7))).toEqual([8, 1, 1])
    expect(generationsOf(stamp(content(machine('one')), null, 7))).toEqual([8, 8])
  })
})
