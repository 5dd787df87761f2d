/**
 * Carries out operations: with its folder the only place in agent/ that spawns programs and writes files. It decides
 * nothing. A failure is a value that names its object, and never stops the others.
 */

import type { RunLines } from './batch.ts'
import type { Daemons } from './daemons.ts'
import { executeFileOperation } from './files.ts'
import { type AskHaproxy, reloadHaproxy } from './haproxy-socket.ts'
import { type Channel, compileKernelOperation } from './kernel-commands.ts'
import {
  type FileOperation,
  isKernelOperation,
  type KernelOperation,
  type Operation,
  type OperationFailure,
  type OperationGroup,
} from './operation.ts'
import type { RunCommand } from './run-command.ts'

export interface ExecutorParts {
  readonly run: RunCommand
  readonly runLines: RunLines
  readonly daemons: Pick<Daemons, 'start' | 'stop'> & {
    signal(operation: Extract<Operation, { kind: 'signalDaemon' }>): string | undefined | Promise<string | undefined>
  }
  readonly askHaproxy: AskHaproxy
  /** Left out: on this host. */
  readonly files?: (operation: FileOperation) => Promise<string | undefined>
}

/** Does the groups in parallel, what is in a group in order up to its first failure; gives all the failures. */
export type Execute = (groups: readonly OperationGroup[]) => Promise<readonly OperationFailure[]>

export function createExecute(parts: ExecutorParts): Execute {
  return async (groups) => {
    const failures = await Promise.all(groups.map((group) => executeGroup(parts, group)))
    return failures.filter((failure) => failure !== undefined)
  }
}

async function executeGroup(parts: ExecutorParts, group: OperationGroup): Promise<OperationFailure | undefined> {
  for (const step of gatherSteps(group.operations)) {
    const message = await executeStep(parts, step).catch((error: unknown) => String(error))
    if (message !== undefined) return { objectId: group.objectId, operation: step.operation, message }
  }
  return undefined
}

/** Kernel operations in a row that go through the same process are one step; any other operation is one by itself. */
type Step =
  | { readonly kind: 'lines'; readonly channel: Channel; readonly lines: string[]; readonly operation: KernelOperation }
  | { readonly kind: 'single'; readonly operation: Exclude<Operation, KernelOperation> }

export function gatherSteps(operations: readonly Operation[]): Step[] {
  const steps: Step[] = []
  for (const operation of operations) {
    if (!isKernelOperation(operation)) {
      steps.push({ kind: 'single', operation })
      continue
    }
    const { channel, lines } = compileKernelOperation(operation)
    const last = steps.at(-1)
    if (last?.kind === 'lines' && last.channel === channel) last.lines.push(...lines)
    else steps.push({ kind: 'lines', channel, lines: [...lines], operation })
  }
  return steps
}

function executeStep(parts: ExecutorParts, step: Step): Promise<string | undefined> {
  return step.kind === 'lines' ? parts.runLines(step.channel, step.lines) : executeSingle(parts, step.operation)
}

async function executeSingle(
  { run, daemons, askHaproxy, files }: ExecutorParts,
  operation: Exclude<Operation, KernelOperation>,
): Promise<string | undefined> {
  switch (operation.kind) {
    case 'startDaemon':
      return daemons.start(operation)
    case 'stopDaemon':
      return daemons.stop(operation)
    case 'signalDaemon':
      return daemons.signal(operation)
    case 'writeFile':
    case 'renameFile':
    case 'removeFile':
    case 'removeFolder':
      return files === undefined ? executeFileOperation(operation) : files(operation)
    case 'replaceRuleSet': {
      const result = await run(['nft', '-f', '-'], { input: operation.ruleSet })
      return result.exitCode === 0 ? undefined : `nft: ${result.stderr.trim()}`
    }
    case 'checkConfig': {
      const enter =
        operation.namespace === undefined ? [] : ['nsenter', `--net=/run/netns/${operation.namespace}`, '--']
      const result = await run([...enter, ...operation.argv])
      if (result.exitCode === 0) return undefined
      return `${operation.argv[0]}: ${withoutNotices(result.stderr || result.stdout)}`
    }
    case 'haproxyCommand': {
      const answer = (await askHaproxy(operation.socket, operation.command)).trim()
      const accepted = answer === '' || (operation.accepted ?? []).some((words) => answer.startsWith(words))
      return accepted ? undefined : `haproxy refused '${operation.command}': ${answer}`
    }
    case 'reloadHaproxy':
      return reloadHaproxy(askHaproxy, operation)
    default:
      return operation satisfies never
  }
}

/** haproxy begins with who it is, which would push the reason out of sight. */
function withoutNotices(words: string): string {
  const lines = words.split('\n').filter((line) => !line.startsWith('[NOTICE]'))
  return lines.join('\n').trim()
}
