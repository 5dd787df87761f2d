/** What haproxy's runtime API says, parsed into the facts that the plan and the report need. Pure. */

import type { InstanceInstructions } from '../contract/host-instructions.ts'

/**
 * One line to the runtime API that answers everything. Connections that haproxy can't use for anybody else, as those of
 * `tcp`, are not counted among the servers' own: they are told in the statistics alone, which are long.
 */
export const haproxyQuestion = (trafficType: InstanceInstructions['trafficType']): string =>
  `show info;show servers state;show servers conn${trafficType === 'tcp' ? ';show stat -1 4 -1' : ''}`

export interface ObservedServer {
  readonly backend: string
  readonly name: string
  /** By which tables name it. */
  readonly number: number
  readonly address: string
  readonly port: number
  readonly weight: number
  /** What its checks say; `unknown` before the first one. */
  readonly health: 'up' | 'down' | 'unknown'
  readonly isDraining: boolean
  readonly isInMaintenance: boolean
  /** It is followed by a name that has no address for it. */
  readonly isUnresolved: boolean
  /** In use or kept for reuse. */
  readonly connections: number
  readonly connectionsInUse: number
}

export interface HaproxyAnswer {
  /** Which config it runs; see renderHaproxyConfig. */
  readonly description: string
  readonly workerPid: number
  readonly servers: readonly ObservedServer[]
}

/** Undefined where the answer is not whole, e.g. cut off by a reload. */
export function parseHaproxyAnswer(text: string): HaproxyAnswer | undefined {
  const description = /^description: ?(.*)$/m.exec(text)?.[1]
  const workerPid = Number(/^Pid: (\d+)$/m.exec(text)?.[1])
  const states = parseTable(text, '# be_id ')
  const connections = parseTable(text, '# bkname/svname ')
  if (description === undefined || !Number.isInteger(workerPid) || !states || !connections) return undefined
  const connectionsByServer = new Map(connections.map((row) => [row['bkname/svname'], row]))
  const sessionsByServer = parseSessions(text)
  return {
    description: description.trim(),
    workerPid,
    servers: states.map((row) => {
      const path = `${row.be_name}/${row.srv_name}`
      return parseServer(row, connectionsByServer.get(path) ?? {}, sessionsByServer.get(path) ?? 0)
    }),
  }
}

/** By server, where statistics were asked for: `# pxname,svname,qcur,qmax,scur,…`. */
function parseSessions(text: string): ReadonlyMap<string, number> {
  const start = text.indexOf('# pxname,svname,qcur,qmax,scur,')
  const lines = start === -1 ? [] : text.slice(start).split('\n').slice(1)
  return new Map(
    lines.flatMap((line): [string, number][] => {
      const [backend, server, , , sessions] = line.split(',', 5)
      return server === undefined ? [] : [[`${backend}/${server}`, Number(sessions) || 0]]
    }),
  )
}

type Row = Readonly<Record<string, string>>

/** See haproxy's include/haproxy/server-t.h: the bits of a server's administrative state. */
const maintenanceBits = 0x01 | 0x02 | 0x04 | 0x20
const unresolvedBit = 0x20
const drainBits = 0x08 | 0x10
/**
 * include/haproxy/check-t.h, enum hchk_status: from HCHK_STATUS_HANA on there has been a check. Not the check's result,
 * which is unknown again each time while a check is under way.
 */
const checkStatusFirst = 3

function parseServer(state: Row, connections: Row, sessions: number): ObservedServer {
  const number = (row: Row, name: string) => Number(row[name] ?? 0) || 0
  const adminState = number(state, 'srv_admin_state')
  const isChecked = number(state, 'srv_check_status') >= checkStatusFirst
  const inUse = Math.max(number(connections, 'used_cur'), sessions)
  return {
    backend: state.be_name ?? '',
    name: state.srv_name ?? '',
    number: number(state, 'srv_id'),
    address: state.srv_addr ?? '',
    port: number(state, 'srv_port'),
    weight: number(state, 'srv_uweight'),
    health: !isChecked ? 'unknown' : number(state, 'srv_op_state') === 0 ? 'down' : 'up',
    isDraining: (adminState & drainBits) !== 0,
    isInMaintenance: (adminState & maintenanceBits) !== 0,
    isUnresolved: (adminState & unresolvedBit) !== 0,
    connections: inUse + number(connections, 'idle_cur'),
    connectionsInUse: inUse,
  }
}

/** Tables begin with a line of names and end with an empty line. */
function parseTable(text: string, head: string): Row[] | undefined {
  const start = text.indexOf(head)
  if (start === -1) return undefined
  const end = text.indexOf('\n\n', start)
  const [names = '', ...lines] = text.slice(start, end === -1 ? undefined : end).split('\n')
  const columns = names.slice(2).split(' ')
  return lines
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const values = line.split(' ')
      return Object.fromEntries(columns.map((column, index) => [column, values[index] ?? '']))
    })
}
