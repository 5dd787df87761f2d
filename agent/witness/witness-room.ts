/**
 * The room of the witness: while others are suspected it asks the uplink whether they are there, and says what it found.
 * It changes nothing, and a turn never waits for it.
 */

import type { WitnessInstructions } from '../contract/host-instructions.ts'
import type { Testimony } from '../contract/host-report.ts'
import type { RunCommand } from '../operations/run-command.ts'
import type { ReportTestimony, Room } from '../room.ts'
import { type AskUplink, createUplinkQuestions } from './ask-uplink.ts'

export interface WitnessRoomOptions {
  readonly run: RunCommand
  /** The host's own: it may have no address there. */
  readonly uplinkDevice: string
  /** Told when there is something new to report. */
  readonly onNews: () => void
  /** In milliseconds, of a clock that never goes back. */
  readonly now: () => number
}

export interface WitnessRoom extends Room {
  readonly reportTestimony: ReportTestimony
}

/** A little less than a tick, so that each tick begins another round. */
const roundMillisecondsMinimum = 900
/** A host that is lost with all that was on it makes many suspects: then rounds are rarer. */
const roundMillisecondsPerSuspect = 50

export function createWitnessRoom({ run, uplinkDevice, onNews, now }: WitnessRoomOptions): WitnessRoom {
  const questions = createUplinkQuestions(run, uplinkDevice)
  let asked: WitnessInstructions | undefined
  let found: Testimony | undefined
  let namespace: string | undefined
  let isAsking = false
  let askedAt = Number.NEGATIVE_INFINITY

  async function askRound(witness: WitnessInstructions): Promise<void> {
    isAsking = true
    askedAt = now()
    const findings = await inquire(questions, witness, namespace)
    isAsking = false
    const before = found
    found = findings
    // Who has been added meanwhile is asked at once.
    if (asked !== undefined && !Bun.deepEquals(asked, witness)) void askRound(asked)
    if (!Bun.deepEquals(before, found)) onNews()
  }

  return {
    name: 'witness',
    look({ desired }) {
      asked = desired.witness
      namespace = desired.instances[0]?.id
      if (asked === undefined) found = undefined
      else if (!isAsking && (hasNews(asked, found) || now() - askedAt >= roundMilliseconds(asked))) void askRound(asked)
      return Promise.resolve([])
    },
    /** Of those alone that it is still asked about. */
    reportTestimony() {
      if (asked === undefined || found === undefined) return undefined
      const wanted = new Set(asked.suspects.map(({ id, since }) => `${id} ${since}`))
      const suspects = found.suspects.filter(({ id, since }) => wanted.has(`${id} ${since}`))
      return { sees: found.sees, suspects }
    },
  }
}

const roundMilliseconds = ({ suspects }: WitnessInstructions) =>
  Math.max(roundMillisecondsMinimum, suspects.length * roundMillisecondsPerSuspect)

const hasNews = ({ suspects }: WitnessInstructions, found: Testimony | undefined) =>
  suspects.some(({ id, since }) => found?.suspects.some((one) => one.id === id && one.since === since) !== true)

/**
 * First who has the addresses; then, of those that are there, whether a haproxy answers. One that says nothing is believed
 * to be silent only if another one answered the very same way, since the way may be what is broken; one that refuses is
 * heard.
 *
 * @param namespace an instance of this host, from whose address on the uplink can be asked; undefined: it has none
 */
async function inquire(
  { isThere, askHaproxy }: AskUplink,
  { controls, suspects }: WitnessInstructions,
  namespace: string | undefined,
): Promise<Testimony> {
  const there = await isThere([...new Set([...controls, ...suspects.map(({ address }) => address)])])
  const answers = namespace === undefined ? new Map() : await askHaproxy(namespace, [...there])
  const isWayOpen = controls.some((address) => answers.get(address) === 'answers')
  const serves = (address: string): { serves?: boolean } => {
    switch (answers.get(address)) {
      case 'answers':
        return { serves: true }
      case 'refuses':
        return { serves: false }
      default:
        return isWayOpen && there.has(address) ? { serves: false } : {}
    }
  }
  return {
    sees: controls.some((address) => there.has(address)),
    suspects: suspects.map(({ id, since, address }) => ({
      id,
      since,
      answers: there.has(address),
      ...serves(address),
    })),
  }
}
