import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { makeTestInstructions, testId } from '../../test/lab/agent-instructions.ts'
import { measuredOf } from '../contract/point-names.ts'
import { type PointType, pointTypes, sourceValue } from '../contract/point-types.ts'
import { measureHaproxy } from './haproxy-measures.ts'
import { countTransitions, createInstanceMeter } from './instance-measures.ts'
import {
  parseConnectionTracking,
  parseDevices,
  parseDisks,
  parseMemory,
  parseProcessors,
  parseSockets,
} from './kernel-tables.ts'
import { createMetricsRoom } from './metrics-room.ts'

const ids = { projectId: testId('prj', 1), loadBalancerId: testId('lb', 1), instanceId: testId('ins', 1) }
const member = testId('mch', 1)

const answer = `Name: HAProxy
Nbthread: 2
Pid: 7
Uptime_sec: 60
Idle_pct: 75

# pxname,svname,qcur,scur,stot,bin,bout,dreq,ereq,econ,eresp,wretr,wredis,status,weight,act,chkfail,chkdown,downtime,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,req_tot,cli_abrt,srv_abrt,qtime,ctime,rtime,ttime,mode,
listener_80,FRONTEND,,4,50,1000,2000,1,2,,,,,OPEN,,,,,,,0,800,0,90,10,900,,,,,,,http,
members_80,${member}.1f2e3d4c-aabbccdd,1,3,600,700,1700,,,5,6,7,8,UP,100,1,1,1,12,3,0,700,0,1,2,700,9,10,1,2,7,20,http,
members_80,${member}.n1,0,0,0,0,0,,,0,0,0,0,MAINT (resolution),1,0,0,0,0,,0,0,0,0,0,0,0,0,0,0,0,0,http,
members_80,BACKEND,2,3,700,1000,2000,,,5,6,7,8,UP,100,1,,1,12,,0,800,0,90,10,890,9,10,1,2,7,20,http,
other,BACKEND,2,3,700,1000,2000,,,5,6,7,8,UP,100,1,,1,12,,0,800,0,90,10,890,9,10,1,2,7,20,http,

`

describe('what haproxy counts', () => {
  const measures = measureHaproxy(ids, answer, () => ({ cpuSeconds: 1.5, residentBytes: 4096 }))
  const value = (type: PointType, source: string) => {
    const point = measures.find((measure) => measure.type === type)
    return point === undefined ? undefined : sourceValue(point, type, source)
  }

  test('is told of the process, its listeners and its servers, and of nothing else', () => {
    expect(measures.map((measure) => measuredOf(measure))).toEqual([
      { kind: 'instance', ...ids },
      { kind: 'listener', ...ids, port: 80 },
      { kind: 'member', ...ids, port: 80, memberId: member, server: '1f2e3d4c-aabbccdd' },
    ])
    for (const { type, values } of measures) expect(values).toHaveLength(pointTypes[type as PointType].length)
  })

  test('is in its place', () => {
    expect(value('haproxy_process', 'requests_total')).toBe(900)
    expect(value('haproxy_process', 'cpu')).toBe(1.5)
    expect(value('haproxy_process', 'idle')).toBe(0.75)
    expect(value('haproxy_listener', 'responses_5xx')).toBe(10)
    expect(value('haproxy_listener', 'queue')).toBe(2)
    expect(value('haproxy_member', 'healthy')).toBe(1)
    expect(value('haproxy_member', 'response_time')).toBe(0.007)
    expect(value('haproxy_member', 'server_aborts')).toBe(10)
  })

  test('is nothing where the answer breaks off', () => {
    expect(measureHaproxy(ids, answer.slice(0, 60), () => ({ cpuSeconds: 0, residentBytes: 0 }))).toEqual([])
  })
})

describe('the tables of the kernel', () => {
  test('of devices', () => {
    const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 10 1 0 0 0 0 0 0 10 1 0 0 0 0 0 0
uplink:12345678901 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0
`
    expect(parseDevices(text).get('uplink')).toEqual({
      rx_bytes: 12_345_678_901,
      rx_packets: 2,
      rx_errors: 3,
      rx_dropped: 4,
      tx_bytes: 5,
      tx_packets: 6,
      tx_errors: 7,
      tx_dropped: 8,
    })
  })

  test('of sockets and tracked connections', () => {
    const sockets = 'sockets: used 16\nTCP: inuse 3 orphan 1 tw 2 alloc 28 mem 26\nUDP: inuse 4 mem 0\n'
    expect(parseSockets(sockets)).toEqual({
      tcp_in_use: 3,
      tcp_orphan: 1,
      tcp_time_wait: 2,
      udp_in_use: 4,
      tcp_memory: 26 * 4096,
    })
    const tracking =
      'entries  insert_failed drop early_drop\n0000000a  00000001 00000002 00000003\n0000000a  00000010 00000000 00000000\n'
    expect(parseConnectionTracking(tracking)).toEqual({ entries: 10, drops: 5, insert_failures: 17 })
  })

  test('of the host', () => {
    expect(parseProcessors('cpu  10 1 5 100 2 0 3 4 0 0\ncpu0 1 1\ncpu1 1 1\nintr 7\n')).toEqual({
      user: 110_000,
      system: 50_000,
      idle: 1_000_000,
      wait: 20_000,
      interrupt: 30_000,
      steal: 40_000,
      processors: 2,
    })
    expect(parseMemory('MemTotal: 10 kB\nMemAvailable:   4 kB\nCached: 1 kB\n')).toMatchObject({
      total: 10_240,
      available: 4096,
      swap_free: Number.NaN,
    })
    const disks =
      ' 7 0 loop0 5 0 0 0 5 0 0 0 0 0 0\n 8 0 sda 4 0 8 0 2 0 16 0 0 30 0\n 8 1 sda1 4 0 8 0 2 0 16 0 0 30 0\n'
    expect(parseDisks(disks)).toEqual([
      { name: 'sda', disk: { read_bytes: 4096, written_bytes: 8192, reads: 4, writes: 2, busy: 30_000 } },
    ])
  })
})

describe("keepalived's log", () => {
  test('tells of each VIP that comes or goes', () => {
    expect(countTransitions('x (vip_1) Entering MASTER STATE\n(vip_1) Entering BACKUP STATE\n(vip_1) removing')).toBe(2)
  })

  test('is counted on from where it ended, and anew when it was begun anew', () => {
    const folder = mkdtempSync(`${tmpdir()}/sluice-meter-`)
    try {
      const log = `${folder}/keepalived.log`
      const meter = createInstanceMeter()
      const instance = {
        ids,
        haproxyPid: 0,
        keepalivedPid: 0,
        keepalivedChildPidFile: '',
        keepalivedLog: log,
        vips: [],
      }
      const count = () =>
        meter.measure(instance).map((measure) => sourceValue(measure, 'keepalived_process', 'transitions'))[0]
      expect(count()).toBe(0)
      writeFileSync(log, '(vip_1) Entering MASTER STATE\n(vip_1) Enter')
      expect(count()).toBe(1)
      writeFileSync(log, '(vip_1) Entering MASTER STATE\n(vip_1) Entering BACKUP STATE\n')
      expect(count()).toBe(2)
      writeFileSync(log, '(vip_1) Entering FAULT STATE\n')
      expect(count()).toBe(3)
      meter.keep(new Set())
      expect(count()).toBe(1)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

test('a pass measures the host and the agent, and whatever the last turn saw', async () => {
  const room = createMetricsRoom({
    host: 'here',
    runFolder: '/nowhere',
    place: { devices: ['lo'], stateFolder: '/' },
    takeWholeAnswers: () => [{ instanceId: ids.instanceId, text: answer, atUnixSeconds: 5 }],
    measurePoints: () => [],
    unixSeconds: () => 7,
  })
  const typesOf = async () => [...new Set((await room.measure()).map(({ type }) => type))]
  expect(await typesOf()).toEqual(
    expect.arrayContaining(['host_cpu', 'host_memory', 'host_load', 'device', 'agent_process']),
  )
  expect(await typesOf()).not.toContain('haproxy_process')
  const desired = makeTestInstructions('here', 1, [], [])
  await room.look({ desired, daemons: [], strayDaemons: [] })
  const points = await room.measure()
  expect(points.every(({ host, timeSeconds }) => host === 'here' && timeSeconds === 7)).toBe(true)
})
