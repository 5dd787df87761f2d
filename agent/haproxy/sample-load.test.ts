import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { readCpuSeconds, readUptimeSeconds } from '../health/process-facts.ts'
import { askHaproxy } from '../operations/haproxy-socket.ts'
import { parseStatistics } from './haproxy-statistics.ts'
import { createLoadSampler, parseLoad } from './sample-load.ts'

// A real haproxy takes a moment to begin, and much more on a busy machine.
setDefaultTimeout(30_000)

const answer = (parts: { readonly pid?: number; readonly requests?: number } = {}) => `Name: HAProxy
Pid: ${parts.pid ?? 7}
Nbthread: 2
CurrConns: 3

# pxname,svname,scur,stot,req_tot,qtime,ctime,rtime,ttime,mode,
listener_80,FRONTEND,4,50,${parts.requests ?? 900},,,,,http,
listener_81,FRONTEND,2,10,0,,,,,tcp,
stats,FRONTEND,9,99,99,,,,,http,
members_80,BACKEND,1,900,,1,2,7,99,http,
members_81,BACKEND,1,100,,0,1,0,99,tcp,

`

describe('an answer', () => {
  test('tells requests of http, connections of tcp, and the mean of what members took by how much went to them', () => {
    expect(parseLoad(answer())).toEqual({
      worker: 7,
      threads: 2,
      requests: 910,
      connections: 6,
      latencyMilliseconds: 9.1,
    })
  })

  test('that is cut off is none', () => {
    expect(parseLoad('')).toBeUndefined()
    expect(parseLoad('Pid: 7\n')).toBeUndefined()
  })
})

function createWorld() {
  let at = 0
  const asked: string[] = []
  const sampler = createLoadSampler({
    ask: async (socket) => {
      asked.push(socket)
      if (socket === 'deaf') throw new Error('nobody is there')
      return answer({ requests: asked.length })
    },
    now: () => at,
    unixSeconds: () => 1_700_000_000 + at / 1000,
    readCpuSeconds: () => 1.5,
    readUptimeSeconds: () => at / 1000,
  })
  const round = async (names: readonly string[]) => {
    asked.length = 0
    sampler.take(names.map((name) => ({ instanceId: name, statsSocket: name })))
    await sampler.settled()
    at += 1000
    return [...asked]
  }
  return { sampler, round }
}

describe('a sampler', () => {
  test('asks each every other second, and says the same of it meanwhile', async () => {
    const { sampler, round } = createWorld()
    expect(await round(['a'])).toEqual(['a'])
    expect(sampler.list()).toMatchObject([{ id: 'a', atSeconds: 0, requests: 11, cpuSeconds: 1.5 }])
    expect(await round(['a'])).toEqual([])
    expect(sampler.list()).toMatchObject([{ id: 'a', atSeconds: 0 }])
    expect(await round(['a'])).toEqual(['a'])
    expect(sampler.list()).toMatchObject([{ id: 'a', atSeconds: 2 }])
  })

  test('asks only so many at a time, those first that have waited longest', async () => {
    const { round } = createWorld()
    const names = Array.from({ length: 40 }, (_, i) => `i${i}`)
    const rounds = [await round(names), await round(names), await round(names), await round(names)]
    expect(rounds.map((asked) => asked.length)).toEqual([16, 16, 16, 16])
    expect(new Set(rounds.flat()).size).toBe(40)
  })

  test('keeps the last sample of one that does not answer, and none of one that is gone', async () => {
    const { sampler, round } = createWorld()
    await round(['a', 'deaf'])
    expect(sampler.list().map(({ id }) => id)).toEqual(['a'])
    await round([])
    expect(sampler.list()).toEqual([])
  })
})

test('a real haproxy tells all of it', async () => {
  const folder = mkdtempSync(`${tmpdir()}/sluice-load-`)
  const socket = `${folder}/haproxy.sock`
  const member = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('hello') })
  const probe = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('') })
  const port = probe.port ?? 0
  await probe.stop(true)
  const config = `global
  stats socket ${socket} mode 600 level admin
  nbthread 1
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend listener_80
  bind 127.0.0.1:${port}
  default_backend members_80
backend members_80
  server one 127.0.0.1:${member.port}
`
  writeFileSync(`${folder}/haproxy.cfg`, config)
  const haproxy = Bun.spawn(['haproxy', '-db', '-f', `${folder}/haproxy.cfg`], { stdout: 'ignore', stderr: 'ignore' })
  try {
    const sampler = createLoadSampler({
      ask: askHaproxy,
      now: () => performance.now(),
      unixSeconds: () => Date.now() / 1000,
      readCpuSeconds,
      readUptimeSeconds,
    })
    for (let tries = 0; tries < 200; tries++) {
      const isUp = await askHaproxy(socket, 'show info').catch(() => '')
      if (isUp !== '') break
      await Bun.sleep(20)
    }
    for (let i = 0; i < 25; i++) expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('hello')
    sampler.take([{ instanceId: 'one', statsSocket: socket }])
    await sampler.settled()
    const [load] = sampler.list()
    expect(load).toMatchObject({ id: 'one', worker: haproxy.pid, threads: 1, requests: 25 })
    expect(load?.cpuSeconds).toBeGreaterThanOrEqual(0)
    expect(load?.latencyMilliseconds).toBeLessThan(1000)
    const [whole] = sampler.takeWhole()
    expect(whole?.instanceId).toBe('one')
    const server = parseStatistics(whole?.text ?? '')?.find((row) => row.server === 'one')
    expect(server?.number('stot')).toBe(25)
    expect(sampler.takeWhole()).toEqual([])
  } finally {
    haproxy.kill()
    await haproxy.exited
    await member.stop(true)
    rmSync(folder, { recursive: true })
  }
})
