import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeTestInstance, makeTestInstructions } from '../test/lab/agent-instructions.ts'
import type { HostInstructions } from './contract/host-instructions.ts'
import {
  createInstructionsSaver,
  parseInstructions,
  readInstructions,
  saveInstructionsOperation,
} from './instructions-store.ts'
import { writeDurably } from './operations/files.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-store-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

function instruct(generation: number): HostInstructions {
  const machines = [{ number: 1, name: 'web-1', host: 'here', address: '10.1.0.11' }]
  const networks = [{ number: 1, project: 1, vni: 1, shards: ['10.1.0'], machines }]
  return makeTestInstructions('here', generation, [], networks, [makeTestInstance(1, 1, 1, ['10.1.0'])])
}

describe('the last instructions', () => {
  test('are read back as they were saved, and nobody else can read them', async () => {
    const operation = saveInstructionsOperation(folder, instruct(4))
    expect(await writeDurably(operation)).toBeUndefined()
    expect(readInstructions(folder)).toEqual({ kind: 'kept', instructions: instruct(4) })
    expect(readdirSync(folder)).toEqual(['instructions.json'])
    expect(statSync(operation.path).mode & 0o777).toBe(0o600)
  })

  test('may be absent', () => {
    expect(readInstructions(folder)).toEqual({ kind: 'absent' })
  })

  test('may be spoilt, which is said and does no harm', () => {
    writeFileSync(join(folder, 'instructions.json'), '{"format": 1, "host"')
    expect(readInstructions(folder)).toMatchObject({ kind: 'unreadable' })
  })

  test('that can not be written are a failure in words', async () => {
    writeFileSync(join(folder, 'file'), '')
    expect(await writeDurably(saveInstructionsOperation(join(folder, 'file'), instruct(1)))).toContain('file')
  })
})

describe('what is said of instructions that are not as the contract says', () => {
  const rows: [string, unknown, string][] = [
    ['not an object', 7, 'Invalid type'],
    ['a domain that would end its line in a config', withNetwork({ domain: 'a\ndhcp-script=/bin/sh' }), 'domain'],
    ['a VNI that is too large', withNetwork({ vni: 2 ** 24 }), 'vni'],
    ['an id that is none', { ...instruct(1), machines: [{ ...instruct(1).machines[0], id: '../x' }] }, 'id'],
  ]
  test.each(rows)('%s', (_, value, words) => {
    expect(parseInstructions(JSON.stringify(value))).toContain(words)
  })

  function withNetwork(changes: object) {
    const instructions = instruct(1)
    return { ...instructions, networks: instructions.networks.map((network) => ({ ...network, ...changes })) }
  }
})

test('of statements that come while one is being saved, the last counts', async () => {
  const saved: number[] = []
  const doors: (() => void)[] = []
  const save = createInstructionsSaver(async ({ generation }) => {
    saved.push(generation)
    const { promise, resolve } = Promise.withResolvers<void>()
    doors.push(resolve)
    await promise
  })
  for (const generation of [1, 2, 3]) save(instruct(generation))
  expect(saved).toEqual([1])
  doors[0]?.()
  await Bun.sleep(0)
  expect(saved).toEqual([1, 3])
  doors[1]?.()
  await Bun.sleep(0)
  save(instruct(4))
  expect(saved).toEqual([1, 3, 4])
})
