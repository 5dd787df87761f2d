/**
 * Looks at each instance's keepalived from the outside: its processes, its pid files and the VIPs in its namespace; and
 * remembers what seldom changes, so that a turn costs little however many there are. Reads only.
 */

import { ageSeconds, hostFacts, type InstanceFacts } from '../health/process-facts.ts'
import type { ObservedDaemon } from '../operations/operation.ts'
import type { KeepalivedFiles } from './keepalived-files.ts'
import type { ObservedKeepalived } from './plan-keepalived.ts'

export interface KeepalivedSubject {
  readonly instanceId: string
  readonly vips: readonly { readonly address: string }[]
  readonly files: KeepalivedFiles
  readonly daemon: ObservedDaemon | undefined
  /** Of any process in the namespace: it shows which addresses are there. */
  readonly witnessPid: number | undefined
  readonly isHanging: boolean
}

export interface SeenKeepalived {
  readonly observed: ObservedKeepalived
  /** Of the child that speaks VRRP, once it is known. */
  readonly childPid: number | undefined
}

export interface KeepalivedObserver {
  observe(subjects: readonly KeepalivedSubject[]): ReadonlyMap<string, SeenKeepalived>
  /** There is news of this instance: the next turn looks at everything again. */
  mark(instanceId: string): void
  forget(instanceId: string): void
}

/** By this age both processes have written down who they are. */
const settledSeconds = 2
/** Without news, in one turn. */
const looksWithoutNewsMaximum = 6

interface Known {
  daemonKey: string
  status: 'stopped' | 'broken' | 'running'
  childPid: number | undefined
  loaded: string | undefined
  heldVips: readonly string[]
  isMarked: boolean
}

/** `facts`: of where it runs; left out: of this host. */
export function createKeepalivedObserver(facts: InstanceFacts = hostFacts): KeepalivedObserver {
  const known = new Map<string, Known>()
  let round: string[] = []

  const takeTurns = (subjects: readonly KeepalivedSubject[]): ReadonlySet<string> => {
    if (round.length === 0) round = subjects.map(({ instanceId }) => instanceId)
    return new Set(round.splice(0, looksWithoutNewsMaximum))
  }

  const recall = (subject: KeepalivedSubject, age: number, isItsTurn: boolean): Known => {
    const { instanceId, daemon } = subject
    const before = known.get(instanceId)
    const daemonKey = daemon === undefined ? '' : `${daemon.pid}/${daemon.startTimeTicks}`
    const isStale = before === undefined || before.isMarked || before.daemonKey !== daemonKey
    if (!isStale && !isItsTurn && isSettled(before, age)) return before
    const seen: Known = {
      daemonKey,
      ...observeProcesses(daemon, age, subject.files, facts),
      loaded: facts.readText(subject.files.loaded),
      heldVips: observeHeldVips(subject, facts),
      isMarked: false,
    }
    known.set(instanceId, seen)
    return seen
  }

  return {
    observe(subjects) {
      const turns = takeTurns(subjects)
      const uptimeSeconds = facts.uptimeSeconds()
      return new Map(
        subjects.map((subject): [string, SeenKeepalived] => {
          const age = subject.daemon === undefined ? 0 : ageSeconds(subject.daemon.startTimeTicks, uptimeSeconds)
          const seen = recall(subject, age, turns.has(subject.instanceId))
          const status: ObservedKeepalived['status'] =
            seen.status === 'running' && subject.isHanging ? 'hanging' : seen.status
          const observed = { status, ageSeconds: age, loaded: seen.loaded, heldVips: seen.heldVips }
          return [subject.instanceId, { observed, childPid: seen.childPid }]
        }),
      )
    },
    mark(instanceId) {
      const seen = known.get(instanceId)
      if (seen) seen.isMarked = true
    },
    forget(instanceId) {
      known.delete(instanceId)
    },
  }
}

/** Before that, another look may find more. */
const isSettled = ({ status, childPid }: Known, age: number) =>
  status === 'running' && childPid !== undefined && age >= settledSeconds

function observeProcesses(
  daemon: ObservedDaemon | undefined,
  age: number,
  files: KeepalivedFiles,
  { isAlive, readText }: InstanceFacts,
): Pick<Known, 'status' | 'childPid'> {
  if (daemon === undefined) return { status: 'stopped', childPid: undefined }
  const parentPid = parsePid(readText(files.parentPid))
  const childPid = parsePid(readText(files.childPid))
  // Where the parent has gone, its child is the first process that still bears the mark.
  const isParentThere = parentPid === daemon.pid
  const isChildThere = childPid !== undefined && isAlive(childPid)
  if (isParentThere && isChildThere) return { status: 'running', childPid }
  const isStarting = age < settledSeconds && (parentPid === undefined || isParentThere) && childPid === undefined
  return { status: isStarting ? 'running' : 'broken', childPid: undefined }
}

const observeHeldVips = ({ witnessPid, vips }: KeepalivedSubject, facts: InstanceFacts): readonly string[] =>
  witnessPid === undefined
    ? []
    : facts.heldAddresses(
        witnessPid,
        vips.map(({ address }) => address),
      )

function parsePid(text: string | undefined): number | undefined {
  const pid = Number.parseInt(text ?? '', 10)
  return Number.isInteger(pid) ? pid : undefined
}
