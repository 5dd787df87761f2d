/**
 * Feels the pulse of all instances' daemons by one timer: notices at once that one has ended, and within a few looks that
 * a keepalived hangs or that the whole host stood still. Reads /proc and pidfds; what is to be done is for others.
 */

import { createDeathWatch } from '../operations/death-watch.ts'
import { readStat } from '../operations/marked-processes.ts'
import { hasStoodStill, judgeHeartbeat, type Pulse, standstillMilliseconds } from './heartbeat.ts'
import { openTurns, type TurnsReader } from './process-facts.ts'

export interface WatchedInstance {
  readonly haproxyPid: number | undefined
  /** Parent and child. */
  readonly keepalivedPids: readonly number[]
  /** The child that speaks VRRP. */
  readonly keepalivedChildPid: number | undefined
  readonly advertIntervalSeconds: number
  readonly isExpectedToSpeak: boolean
}

export type Trouble = 'haproxyEnded' | 'keepalivedEnded' | 'keepalivedHangs' | 'stoodStill'

export interface PulseWatch {
  /** Replaces what is watched of this instance; nothing of it from before is told any more. */
  watch(instanceId: string, watched: WatchedInstance): void
  release(instanceId: string): void
  /** Looks at once: there is reason to think that something has ended. */
  lookForEnds(): void
  close(): void
}

/** An end that nobody tells of is noticed within this time: each look costs the agent more than what it looks at. */
const lookMilliseconds = 80
/** Reads in one look, so that it costs the same however many instances there are. */
const pulsesPerLook = 10

interface Patient {
  readonly watched: WatchedInstance
  readonly turns: TurnsReader | undefined
  pulse: Pulse | undefined
  isHanging: boolean
}

export function createPulseWatch(onTrouble: (instanceId: string, trouble: Trouble) => void): PulseWatch {
  const deaths = createDeathWatch()
  const patients = new Map<string, Patient>()
  let round: string[] = []
  let last = { wall: Date.now(), monotonic: performance.now() }

  const release = (instanceId: string) => {
    const patient = patients.get(instanceId)
    patients.delete(instanceId)
    patient?.turns?.close()
    for (const pid of patient ? pidsOf(patient.watched) : []) deaths.release(pid)
  }

  const feel = (instanceId: string, patient: Patient) => {
    const { keepalivedChildPid: pid, advertIntervalSeconds, isExpectedToSpeak } = patient.watched
    if (pid === undefined || patient.isHanging) return
    const turns = patient.turns?.read()
    if (turns === undefined) return
    const now = { atMilliseconds: performance.now(), turns }
    const before = patient.pulse ?? now
    const readState = () => readStat(pid)?.state ?? ''
    const verdict = judgeHeartbeat({ before, now, readState, advertIntervalSeconds, isExpectedToSpeak })
    patient.pulse = verdict === 'beating' ? now : before
    patient.isHanging = verdict === 'hanging'
    if (patient.isHanging) onTrouble(instanceId, 'keepalivedHangs')
  }

  const feelSome = () => {
    if (round.length === 0) round = [...patients.keys()]
    for (const instanceId of round.splice(0, pulsesPerLook)) {
      const patient = patients.get(instanceId)
      if (patient) feel(instanceId, patient)
    }
  }

  /** After a standstill all pulses are felt at once: who has had no turns meanwhile stood still as well. */
  const feelAfterGap = (gapMilliseconds: number) => {
    for (const [instanceId, patient] of patients) {
      const { advertIntervalSeconds } = patient.watched
      const turns = patient.turns?.read()
      if (turns === undefined || patient.pulse === undefined) continue
      const since = turns - patient.pulse.turns
      patient.pulse = { atMilliseconds: performance.now(), turns }
      if (hasStoodStill(gapMilliseconds, since, advertIntervalSeconds)) onTrouble(instanceId, 'stoodStill')
    }
  }

  const look = () => {
    const now = { wall: Date.now(), monotonic: performance.now() }
    // The one clock stands still with a paused machine, the other jumps when it is set.
    const gap = Math.max(now.wall - last.wall, now.monotonic - last.monotonic)
    last = now
    deaths.poll()
    if (gap >= standstillMilliseconds) feelAfterGap(gap)
    else feelSome()
  }

  const timer = setInterval(look, lookMilliseconds)

  return {
    watch(instanceId, watched) {
      const before = patients.get(instanceId)
      if (before && isSame(before.watched, watched)) return
      release(instanceId)
      const { keepalivedChildPid: pid } = watched
      const turns = pid === undefined ? undefined : openTurns(pid)
      patients.set(instanceId, { watched, turns, pulse: undefined, isHanging: false })
      const watchFor = (pid: number | undefined, trouble: Trouble) => {
        if (pid === undefined) return
        const tell = () => {
          onTrouble(instanceId, trouble)
        }
        if (!deaths.watch(pid, tell)) tell()
      }
      watchFor(watched.haproxyPid, 'haproxyEnded')
      for (const pid of watched.keepalivedPids) watchFor(pid, 'keepalivedEnded')
    },
    release,
    lookForEnds: deaths.poll,
    close() {
      clearInterval(timer)
      for (const instanceId of [...patients.keys()]) release(instanceId)
      deaths.close()
    },
  }
}

const pidsOf = ({ haproxyPid, keepalivedPids }: WatchedInstance) =>
  haproxyPid === undefined ? keepalivedPids : [haproxyPid, ...keepalivedPids]

const isSame = (a: WatchedInstance, b: WatchedInstance) => JSON.stringify(a) === JSON.stringify(b)
