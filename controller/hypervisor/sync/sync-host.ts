/**
 * Makes one host as it is desired: observe, take up what is missing in the state, plan, judge the plan, apply. Whoever
 * calls it holds the host's lease. Runs OpenTofu and virsh; what libvirt has is changed by the plan alone, but for domains
 * that are shut down before, so that their guests are not cut off.
 */

import { createOwnRequest } from '../../access/own-request.ts'
import type { Store } from '../../control-plane/store.ts'
import type { ControllerContext } from '../../services.ts'
import type { DesiredHost } from '../desired-domain.ts'
import { synthesizeHostStack } from '../stack/host-stack.ts'
import { readStack, type StackPlace } from '../state/stack-change.ts'
import type { States } from '../state/states.ts'
import { adoptIntoState } from './adopt-state.ts'
import { describeTrouble } from './describe-trouble.ts'
import { judgePlan, type PlannedHarm, parsePlan } from './judge-plan.ts'
import { type HypervisorTrouble, type ObservedHypervisor, observeHypervisor } from './observe-hypervisor.ts'
import type { ProgramCall, ProgramEnd, RunProgram } from './run-program.ts'
import { doorKeeper, type StateDoor } from './state-door.ts'
import { parseTofuLine, type TofuLine } from './tofu-lines.ts'
import { prepareWorkspace, type Workspace } from './workspace.ts'

export interface SyncMeans extends Pick<ControllerContext, 'now' | 'random'> {
  readonly store: Store
  readonly states: States
  readonly door: StateDoor
  readonly run: RunProgram
  readonly sleep: (milliseconds: number) => Promise<unknown>
  /** Each host's stack is applied in a folder of its own below. */
  readonly folder: string
  /** Where the provider lies, in the layout of a registry. */
  readonly mirrorFolder: string
  /** `tofu`, or another that takes the same arguments. */
  readonly program: string
  /** How long a guest may take to go down before it is replaced all the same. */
  readonly shutdownSeconds: number
}

export interface SyncOptions {
  /** Addresses whose destruction or replacement a person has allowed. */
  readonly allowed?: ReadonlySet<string>
  readonly signal: AbortSignal
  readonly onLine?: (line: TofuLine) => void
}

export type SyncOutcome = { readonly observed: ObservedHypervisor | null } & (
  | {
      readonly kind: 'converged'
      /** `create libvirt_domain.mch_…`. */
      readonly changes: readonly string[]
      /** What was ours, and missing in the state. */
      readonly adopted: readonly string[]
      /** What others had changed. */
      readonly drifted: readonly string[]
    }
  /** Nothing was changed: a person decides. */
  | { readonly kind: 'refused'; readonly harms: readonly PlannedHarm[] }
  | { readonly kind: 'failed'; readonly trouble: HypervisorTrouble; readonly addresses: readonly string[] }
)

const initSeconds = 120
const planSeconds = 600
const applySeconds = 3600
const parallelism = 10
const shutdownPollMilliseconds = 500

export const hostStack = (host: string): StackPlace => ({ projectId: null, name: `host-${host}` })

export async function syncHost(means: SyncMeans, desired: DesiredHost, options: SyncOptions): Promise<SyncOutcome> {
  const seen = await observeHypervisor(means.run, desired.connection.uri, options.signal)
  if (seen.kind === 'trouble') return fail(null, seen.words)
  const observed = seen.hypervisor
  const place = hostStack(desired.host)
  const stack = synthesizeHostStack(desired)
  const holder = await releaseOwnLock(means, place)
  if (holder !== null) return fail(observed, `Error acquiring the state lock: ${holder} holds it`)
  let workspace: Workspace
  try {
    workspace = await prepareWorkspace(`${means.folder}/${desired.host}`, means.mirrorFolder, desired, stack)
  } catch (cause) {
    return fail(observed, String(cause instanceof Error ? cause.message : cause))
  }
  const adopted = await adopt(means, place, stack, observed)
  const tofu = createTofu(means, workspace, place, options)
  if (workspace.needsInit) {
    const began = await tofu('init', ['-input=false', '-no-color', '-upgrade'], initSeconds)
    if (began.end.exitCode !== 0) return fail(observed, began.words)
    await workspace.noteInit()
  }
  const unwanted = desired.domains.filter(({ isRunning }) => !isRunning).map(({ id }) => id)
  await shutDown(means, desired, observed, unwanted, options.signal)
  const arguments_ = ['-json', '-input=false', '-out=plan', '-detailed-exitcode', `-parallelism=${parallelism}`]
  const planned = await tofu('plan', arguments_, planSeconds)
  const changes = planned.lines.flatMap((line) => (line.kind === 'planned' ? [`${line.action} ${line.address}`] : []))
  // What a pool has left differs each time: what nobody wants otherwise is no drift.
  const wanted = new Set(addressesOf(planned.lines, 'planned'))
  const drifted = addressesOf(planned.lines, 'drifted').filter((address) => wanted.has(address))
  if (planned.end.exitCode === 0) return { kind: 'converged', observed, changes: [], adopted, drifted }
  if (planned.end.exitCode !== 2) return fail(observed, planned.words, planned.lines)
  if (planned.lines.some(isHarmful)) {
    const shown = await means.run(describeShow(means, workspace, place), options.signal)
    if (shown.exitCode !== 0) return fail(observed, shown.errors)
    const { resizedIds, refused } = judgePlan(parsePlan(shown.output), desired, options.allowed)
    if (refused.length > 0) return { kind: 'refused', observed, harms: refused }
    await shutDown(means, desired, observed, resizedIds, options.signal)
  }
  const applied = await tofu('apply', ['-json', '-input=false', `-parallelism=${parallelism}`, 'plan'], applySeconds)
  if (applied.end.exitCode !== 0) return fail(observed, applied.words, applied.lines)
  return { kind: 'converged', observed, changes, adopted, drifted }
}

const isHarmful = (line: TofuLine) => line.kind === 'planned' && ['delete', 'replace'].includes(line.action)

const addressesOf = (lines: readonly TofuLine[], kind: TofuLine['kind']): readonly string[] =>
  lines.flatMap((line) => (line.kind === kind && line.address !== null ? [line.address] : []))

function fail(observed: ObservedHypervisor | null, words: string, lines: readonly TofuLine[] = []): SyncOutcome {
  const addresses = [...new Set([...addressesOf(lines, 'failed'), ...addressesOf(lines, 'error')])]
  return { kind: 'failed', observed, trouble: describeTrouble(words), addresses }
}

interface Ran {
  readonly end: ProgramEnd
  readonly lines: readonly TofuLine[]
  /** Its errors, in its own words. */
  readonly words: string
}

function createTofu(means: SyncMeans, workspace: Workspace, place: StackPlace, { signal, onLine }: SyncOptions) {
  return async (command: string, argv: readonly string[], timeoutSeconds: number): Promise<Ran> => {
    const lines: TofuLine[] = []
    const take = (text: string) => {
      const line = parseTofuLine(text)
      if (line === null) return
      lines.push(line)
      onLine?.(line)
    }
    const call = { ...describeCall(means, workspace, place, [command, ...argv]), timeoutSeconds, onLine: take }
    const end = await means.run(call, signal)
    const errors = lines.flatMap((line) => (line.kind === 'error' ? [`${line.summary}: ${line.detail}`] : []))
    const late = end.isTimedOut ? [`${command} did not end within ${timeoutSeconds} s`] : []
    return { end, lines, words: [...late, ...errors, ...(errors.length === 0 ? [end.errors] : [])].join('\n') }
  }
}

const describeCall = (
  means: SyncMeans,
  { folder, environment }: Workspace,
  { name }: StackPlace,
  argv: readonly string[],
) => ({
  argv: [means.program, ...argv],
  folder,
  environment: { ...environment, ...means.door.environmentOf(name) },
})

const describeShow = (means: SyncMeans, workspace: Workspace, place: StackPlace): ProgramCall => ({
  ...describeCall(means, workspace, place, ['show', '-json', 'plan']),
  timeoutSeconds: planSeconds,
})

/**
 * A lock of ours is what a program has left that was killed: whoever holds the host's lease is the only one to run any.
 * Answers who else holds it; null: nobody.
 */
async function releaseOwnLock({ store, states, ...means }: SyncMeans, place: StackPlace): Promise<string | null> {
  const { stack } = await readStack(store, place, true)
  const lock = stack?.value.lock ?? null
  if (lock === null) return null
  if (lock.takenBy !== doorKeeper) return lock.info.Who
  await states.breakLock(place, lock.info.ID, createOwnRequest(means, `break ${lock.info.ID}`))
  return null
}

async function adopt(
  { states, ...means }: SyncMeans,
  place: StackPlace,
  stack: Readonly<Record<string, unknown>>,
  observed: ObservedHypervisor,
): Promise<readonly string[]> {
  const text = await states.read(place)
  if (!text.ok) throw new Error(text.problem.detail)
  const { text: whole, adopted } = adoptIntoState(text.value, stack, observed, () => crypto.randomUUID())
  if (whole === null) return []
  const request = createOwnRequest(means, `adopt ${place.name} ${Buffer.from(means.random(8)).toString('hex')}`)
  const written = await states.write(place, { text: whole, lockId: null, md5: null }, request)
  if (!written.ok) throw new Error(written.problem.detail)
  return adopted
}

/** Asks guests to go down, and waits for them, as long as they may take. */
async function shutDown(
  { run, sleep, now, shutdownSeconds }: SyncMeans,
  { connection: { uri } }: DesiredHost,
  { domains }: ObservedHypervisor,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const running = new Set(domains.flatMap(({ name, isRunning, isOurs }) => (isRunning && isOurs ? [name] : [])))
  const wanted = ids.filter((id) => running.has(id))
  if (wanted.length === 0) return
  const ask = (commands: string) =>
    run({ argv: ['virsh', '--quiet', '--connect', uri, commands], timeoutSeconds: initSeconds }, signal)
  await ask(wanted.map((id) => `shutdown ${id}`).join('; '))
  const deadline = now() + shutdownSeconds * 1000
  for (;;) {
    const { exitCode, output } = await ask('list --name')
    const names = new Set(output.split('\n').map((line) => line.trim()))
    const left = wanted.filter((id) => names.has(id))
    if (exitCode !== 0 || left.length === 0 || signal.aborted) return
    if (now() >= deadline) {
      // A guest that takes no notice is switched off, as it was said beforehand.
      await ask(left.map((id) => `destroy ${id}`).join('; '))
      return
    }
    await sleep(shutdownPollMilliseconds)
  }
}
