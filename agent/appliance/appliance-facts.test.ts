import { describe, expect, test } from 'bun:test'
import { parseApplianceFacts } from './appliance-facts.ts'

const id = 'lbi_0123456789abcdefghjkmnpqr'
const stat = (pid: number, name: string, parentPid: number, ticks: number, state = 'S') =>
  `${pid} (${name}) ${state} ${parentPid} ${'0 '.repeat(17)}${ticks} 0`
const encode = (text: string) => Buffer.from(text).toString('base64')

const answer = [
  'uptime 12.5',
  `process ${id}/haproxy/abc ${stat(40, 'haproxy', 39, 900)}`,
  `process ${id}/haproxy/abc ${stat(41, 'haproxy (worker)', 40, 950)}`,
  `process ${id}/keepalived/def ${stat(50, 'keepalived', 49, 800)}`,
  `process ${id}/keepalived/def ${stat(51, 'keepalived', 50, 801, 'Z')}`,
  `process elsewhere ${stat(60, 'sh', 1, 100)}`,
  `file /run/sluice/objects/${id}/haproxy.fault ${encode('0\n')}`,
  `file /run/sluice/objects/${id}/keepalived.loaded `,
  'address 198.18.16.2',
  '',
].join('\n')

describe('what an appliance says of itself', () => {
  const parsed = parseApplianceFacts(answer)

  test('names each daemon by its first process, and nobody else', () => {
    expect(parsed?.daemons.map(({ daemon, pid, startTimeTicks }) => [daemon, pid, startTimeTicks])).toEqual([
      ['haproxy', 40, 900],
      ['keepalived', 50, 800],
    ])
  })

  test('answers what observers ask of a host', () => {
    const facts = parsed?.facts
    expect(facts?.readText(`/run/sluice/objects/${id}/haproxy.fault`)).toBe('0\n')
    expect(facts?.readText(`/run/sluice/objects/${id}/keepalived.loaded`)).toBe('')
    expect(facts?.readText('/etc/passwd')).toBeUndefined()
    expect([40, 41, 50, 51, 60].map((pid) => facts?.isAlive(pid))).toEqual([true, true, true, false, false])
    expect(facts?.uptimeSeconds()).toBe(12.5)
    expect(facts?.heldAddresses(1, ['198.18.16.2', '198.18.16.20'])).toEqual(['198.18.16.2'])
  })

  test('counts for nothing where it is not whole', () => {
    expect(parseApplianceFacts('')).toBeUndefined()
    expect(parseApplianceFacts('uptime soon')).toBeUndefined()
  })
})
