/** Where an instance's haproxy has its config, its sockets and its log, and how it is called. Pure. */

import { createHash } from 'node:crypto'
import type { Operation } from '../operations/operation.ts'
import { objectFolder } from '../room.ts'

export interface HaproxyFiles {
  readonly config: string
  /** A config that haproxy has not yet checked. */
  readonly candidate: string
  readonly statsSocket: string
  readonly masterSocket: string
  readonly log: string
}

export function haproxyFiles(runFolder: string, instanceId: string): HaproxyFiles {
  const folder = objectFolder(runFolder, instanceId)
  return {
    config: `${folder}/haproxy.cfg`,
    candidate: `${folder}/haproxy.cfg.candidate`,
    statsSocket: `${folder}/haproxy.sock`,
    masterSocket: `${folder}/haproxy-master.sock`,
    log: `${folder}/haproxy.log`,
  }
}

/** A master and its worker, in the foreground: it outlives the agent by how it is started. */
export function startHaproxy(instanceId: string, files: HaproxyFiles): Extract<Operation, { kind: 'startDaemon' }> {
  const argv = ['haproxy', '-W', '-db', '-f', files.config, '-S', `${files.masterSocket},mode,600`]
  return {
    kind: 'startDaemon',
    objectId: instanceId,
    daemon: 'haproxy',
    namespace: instanceId,
    argv,
    fingerprint: createHash('sha256').update(argv.join('\n')).digest('hex').slice(0, 16),
    // To bind low ports, to become another user than root, and to end workers of that user.
    capabilities: ['CAP_NET_BIND_SERVICE', 'CAP_SETUID', 'CAP_SETGID', 'CAP_KILL'],
    logFile: files.log,
  }
}

export const checkHaproxyConfig = (path: string): Operation => ({
  kind: 'checkConfig',
  argv: ['haproxy', '-c', '-f', path],
})
