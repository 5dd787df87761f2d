import { expect, test } from 'bun:test'
import { parseHaproxyAnswer } from './observed-haproxy.ts'

const info = 'Name: HAProxy\nPid: 4711\nUptime_sec: 12\ndescription: sluice lbi_1 0123\nnode: here\n'
const states =
  '1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord\n'
const connections =
  '# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[2]\n'
const row = (name: string, rest: string) => `3 members_80 1 ${name} 10.1.0.11 ${rest} 0 0 0 - 80 -\n`
/** In use, and kept for reuse. */
const connected = (name: string, used: number, idle: number) =>
  `members_80/${name} 3/1 10.1.0.11 80 - 5000 ${used} 9 9 0 0 -1 ${idle} 0 0\n`
const answer = (stateRows: string, connectionRows = '') =>
  `${info}\n${states}${stateRows}\n${connections}${connectionRows}\n`

test('what runs and who answers', () => {
  expect(parseHaproxyAnswer(answer(''))).toEqual({ description: 'sluice lbi_1 0123', workerPid: 4711, servers: [] })
})

test.each<[string, string, object]>([
  ['a member that no check has seen yet', '2 0 1 1 3 1 0 2 6', { health: 'unknown', isDraining: false }],
  ['a healthy member', '2 0 1 1 3 6 3 3 6', { health: 'up', isDraining: false, isInMaintenance: false }],
  ['a healthy member while it is checked again', '2 0 1 1 3 6 0 3 7', { health: 'up' }],
  ['a member that fails its checks', '0 0 1 1 3 8 2 0 6', { health: 'down' }],
  ['a member that fails its checks while it is checked again', '0 0 1 1 3 7 0 0 7', { health: 'down' }],
  ['a draining member', '2 8 1 1 3 6 3 3 6', { health: 'up', isDraining: true, isInMaintenance: false }],
  ['a member in maintenance', '0 1 1 1 3 1 0 0 0', { isInMaintenance: true }],
  ['its weight', '2 0 7 1 3 6 3 3 6', { weight: 7 }],
])('%s', (_, state, expected) => {
  expect(parseHaproxyAnswer(answer(row('a', state)))?.servers[0]).toMatchObject(expected)
})

test('connections in use, and with those kept for reuse', () => {
  const servers = parseHaproxyAnswer(answer(row('a', '2 8 1 1 3 6 3 3 6'), connected('a', 2, 3)))?.servers
  expect(servers?.[0]).toMatchObject({ connectionsInUse: 2, connections: 5 })
})

test('sessions, where a connection is nobody else to use', () => {
  const statistics =
    '# pxname,svname,qcur,qmax,scur,smax,status,\nmembers_80,a,0,0,2,5,DRAIN,\nmembers_80,b,0,0,0,1,UP,\n'
  const rows = `${row('a', '2 8 1 1 3 6 3 3 6')}${row('b', '2 0 1 1 3 6 3 3 6')}`
  const servers = parseHaproxyAnswer(`${answer(rows, connected('a', 0, 0))}\n${statistics}\n`)?.servers
  expect(servers?.map((server) => [server.connectionsInUse, server.connections])).toEqual([
    [2, 2],
    [0, 0],
  ])
})

test.each([
  ['nothing', ''],
  ['an answer that was cut off', info],
  ['another program', 'hello\n'],
])('%s is no answer', (_, text) => {
  expect(parseHaproxyAnswer(text)).toBeUndefined()
})
