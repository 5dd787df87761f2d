import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { httpInstance } from '../../templates/golden/instances.ts'
import { keepalivedFiles } from '../keepalived/keepalived-files.ts'
import { createLogRoom } from './log-room.ts'

// A machine that is busy with other things takes its time.
setDefaultTimeout(30_000)

let runFolder = ''
beforeEach(() => {
  runFolder = mkdtempSync(`${tmpdir()}/sluice-log-room-`)
})
afterEach(() => rmSync(runFolder, { recursive: true }))

function createBench() {
  const path = keepalivedFiles(runFolder, httpInstance.id).log
  mkdirSync(dirname(path), { recursive: true })
  let isThere = true
  const given: number[] = []
  const room = createLogRoom({
    host: 'host-1',
    runFolder,
    ask: () => Promise.reject(new Error('nobody is there')),
    publish: () => Promise.resolve(isThere),
    readPositions: () => undefined,
    savePositions: () => undefined,
    giveBackHead: async (file, bytes) => {
      expect(file).toBe(path)
      given.push(bytes)
    },
    now: () => 0,
    clock: () => 0,
  })
  const desired = {
    format: 1 as const,
    host: 'host-1',
    generation: 1,
    issuedAt: '',
    networks: [],
    machines: [],
    instances: [httpInstance],
  }
  return {
    room,
    given,
    follow: () => room.look({ desired, daemons: [], strayDaemons: [] }),
    write: (bytes: number) => writeFileSync(path, `${'x'.repeat(63)}\n`.repeat(bytes / 64)),
    setThere: (value: boolean) => {
      isThere = value
    },
    flush: async (times: number) => {
      for (let i = 0; i < times; i++) await room.flush()
    },
  }
}

const mebibyte = 1024 * 1024
/** At 64 KiB each. */
const flushesPerMebibyte = 16

test('the room of a file is given back once the bus has what was in it, a mebibyte at a time', async () => {
  const { room, given, follow, write, setThere, flush } = createBench()
  await follow()
  write(2.5 * mebibyte)
  setThere(false)
  await flush(flushesPerMebibyte)
  expect(given).toEqual([])
  setThere(true)
  await flush(2 * flushesPerMebibyte)
  expect(given.map((bytes) => Math.floor(bytes / mebibyte))).toEqual([1, 2])
  room.close()
})

test('a file that was begun anew is given back anew', async () => {
  const { room, given, follow, write, flush } = createBench()
  await follow()
  write(1.5 * mebibyte)
  await flush(2 * flushesPerMebibyte)
  write(mebibyte)
  await flush(2 * flushesPerMebibyte)
  expect(given).toEqual([mebibyte, mebibyte])
  room.close()
})
