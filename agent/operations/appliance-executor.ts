/**
 * How operations are carried out in an appliance: the same operations as on the host itself, by programs that its sshd runs
 * and sockets that it forwards. Where the image brings a program of ours for it, that is in /usr/lib/sluice.
 */

import { dirname } from 'node:path'
import { createBatcher } from './batch.ts'
import type { ExecutorParts } from './execute.ts'
import { formatMark } from './marked-processes.ts'
import type { DaemonReference, FileOperation, ObservedDaemon, Operation } from './operation.ts'
import type { CommandResult, RunCommand } from './run-command.ts'
import type { SshSession } from './ssh-session.ts'

export const applianceProgram = (name: 'look' | 'run-daemon' | 'end-daemon') => `/usr/lib/sluice/${name}`

/** `observed`: the daemons of the appliance as of the last look. */
export function createApplianceExecutor(
  { run, ask }: Pick<SshSession, 'run' | 'ask'>,
  observed: () => readonly ObservedDaemon[],
): ExecutorParts {
  const find = (reference: DaemonReference) =>
    observed().filter(({ objectId, daemon }) => objectId === reference.objectId && daemon === reference.daemon)
  return {
    run,
    runLines: createBatcher(run),
    askHaproxy: ask,
    files: async (operation) => judge(operation, await changeFile(run, operation)),
    daemons: {
      start: async (operation) => judge(operation, await run(startArgv(operation))),
      stop: async (operation) => {
        const tenths = Math.ceil(operation.graceMilliseconds / 100)
        const mark = `${operation.objectId}/${operation.daemon}`
        const signal = operation.signal.slice('SIG'.length)
        const argv = [applianceProgram('end-daemon'), mark, signal, `${tenths}`, ...find(operation).map(pidOf)]
        return judge(operation, await run(argv))
      },
      signal: async (operation) => {
        const pids = find(operation).map(pidOf)
        if (pids.length === 0) return `${operation.daemon} does not run, so it can't be sent ${operation.signal}`
        return judge(operation, await run(['kill', '-s', operation.signal.slice('SIG'.length), ...pids]))
      },
    },
  }
}

const pidOf = ({ pid }: ObservedDaemon) => `${pid}`

const judge = ({ kind }: Operation, { exitCode, stdout, stderr }: CommandResult): string | undefined =>
  exitCode === 0 ? undefined : `${kind} in the appliance: ${(stderr || stdout).trim() || `exit code ${exitCode}`}`

/** It is told to the shell, which puts it into the background: a session would wait for what it has started. */
function startArgv(operation: Extract<Operation, { kind: 'startDaemon' }>): string[] {
  const { daemon, argv, logFile, fingerprint } = operation
  const keep = [applianceProgram('run-daemon'), daemon, dirname(logFile), logFile, formatMark(operation, fingerprint)]
  return ['sh', '-c', 'setsid "$@" </dev/null >/dev/null 2>&1 &', 'start', ...keep, ...argv]
}

const defaultMode = 0o640

/** A file is replaced whole or not at all. */
function changeFile(run: RunCommand, operation: FileOperation): Promise<CommandResult> {
  switch (operation.kind) {
    case 'writeFile': {
      const { path, content, mode = defaultMode } = operation
      const script = 'mkdir -p "$1" && cat >"$2.new" && chmod "$3" "$2.new" && mv "$2.new" "$2"'
      return run(['sh', '-c', script, 'write', dirname(path), path, mode.toString(8)], { input: content })
    }
    case 'renameFile':
      return run(['mv', operation.from, operation.to])
    case 'removeFile':
      return run(['rm', '-f', operation.path])
    case 'removeFolder':
      return run(['rm', '-rf', operation.path])
    default:
      return operation satisfies never
  }
}
