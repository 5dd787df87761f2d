/** Where an instance's keepalived has its config, its pid files and its log, and how it is called. Pure. */

import { createHash } from 'node:crypto'
import type { Operation } from '../operations/operation.ts'
import { objectFolder } from '../room.ts'

export interface KeepalivedFiles {
  readonly config: string
  readonly candidate: string
  /** The digest of the config that the running keepalived has read. */
  readonly loaded: string
  /** What keepalived follows: `0` while haproxy serves. */
  readonly fault: string
  readonly parentPid: string
  /** Of the child that speaks VRRP. */
  readonly childPid: string
  readonly log: string
}

export function keepalivedFiles(runFolder: string, instanceId: string): KeepalivedFiles {
  const folder = objectFolder(runFolder, instanceId)
  return {
    config: `${folder}/keepalived.conf`,
    candidate: `${folder}/keepalived.conf.candidate`,
    loaded: `${folder}/keepalived.loaded`,
    fault: `${folder}/haproxy.fault`,
    parentPid: `${folder}/keepalived.pid`,
    childPid: `${folder}/keepalived-vrrp.pid`,
    log: `${folder}/keepalived.log`,
  }
}

/**
 * At realtime priority from the outside, by chrt: keepalived's own setting gets it killed at a reload. Without the
 * priority, VIPs move without need where many instances share a busy host.
 */
export function startKeepalived(
  instanceId: string,
  files: KeepalivedFiles,
): Extract<Operation, { kind: 'startDaemon' }> {
  const argv = [
    'chrt',
    '--rr',
    '50',
    'keepalived',
    '--dont-fork',
    '--vrrp',
    '--log-console',
    '--use-file',
    files.config,
    '--pid',
    files.parentPid,
    '--vrrp_pid',
    files.childPid,
  ]
  return {
    kind: 'startDaemon',
    objectId: instanceId,
    daemon: 'keepalived',
    namespace: instanceId,
    argv,
    fingerprint: createHash('sha256').update(argv.join('\n')).digest('hex').slice(0, 16),
    capabilities: ['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_SYS_NICE'],
    logFile: files.log,
  }
}

/** Within the namespace, since keepalived wants the devices to be there. */
export const checkKeepalivedConfig = (namespace: string, path: string): Operation => ({
  kind: 'checkConfig',
  namespace,
  argv: ['keepalived', '--config-test', '--use-file', path],
})
