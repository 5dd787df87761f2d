/**
 * The room of the witness: while others are suspected it asks the uplink whether they are there, and says what it found.
 * It changes nothing, and a turn never waits for it.
 */

import type { WitnessInstructions } from '../contract/host-instructions.ts'
import type { Testimony } from '../contract/host-report.ts'
import type { RunCommand } from '../operations/run-command.ts'
import type { ReportTestimony, Room } from '../room.ts'

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
/** Each is a process that waits. */
const questionsAtOnceMaximum = 128

export function createWitnessRoom({ run, uplinkDevice, onNews, now }: WitnessRoomOptions): WitnessRoom {
  let asked: WitnessInstructions | undefined
  let found: Testimony | undefined
  let isAsking = false
  let askedAt = Number.NEGATIVE_INFINITY

  async function askRound(witness: WitnessInstructions): Promise<void> {
    isAsking = true
    askedAt = now()
    const addresses = [...new Set([...witness.controls, ...witness.suspects.map(({ address }) => address)])]
    const answering = await askAll(run, uplinkDevice, addresses)
    isAsking = false
    const before = found
    found = {
      sees: witness.controls.some((address) => answering.has(address)),
      suspects: witness.suspects.map(({ id, since, address }) => ({ id, since, answers: answering.has(address) })),
    }
    // Who has been added meanwhile is asked at once.
    if (asked !== undefined && !Bun.deepEquals(asked, witness)) void askRound(asked)
    if (!Bun.deepEquals(before, found)) onNews()
  }

  return {
    name: 'witness',
    look({ desired }) {
      asked = desired.witness
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

async function askAll(run: RunCommand, device: string, addresses: readonly string[]): Promise<ReadonlySet<string>> {
  const answering = new Set<string>()
  const waiting = [...addresses]
  const work = async () => {
    for (let address = waiting.shift(); address !== undefined; address = waiting.shift()) {
      if (await isThere(run, device, address)) answering.add(address)
    }
  }
  await Promise.all(Array.from({ length: Math.min(questionsAtOnceMaximum, addresses.length) }, work))
  return answering
}

/** Of busybox's arping: somebody has the address that it was asked to find free. */
const isTakenCode = 1

/**
 * Asks by ARP from the device itself, as one does who looks for an address that is free (RFC 5227): that needs no address
 * of one's own, no route and no namespace, and the kernel of whoever has the address answers, whatever became of the
 * programs there. Two questions, a second apart; the first answer ends it. An instance of this very host is not heard
 * that way, since a macvlan can't talk to the device that it lies on: a host is never asked about its own.
 */
async function isThere(run: RunCommand, device: string, address: string): Promise<boolean> {
  const { exitCode } = await run(['busybox', 'arping', '-D', '-q', '-f', '-c', '2', '-w', '1', '-I', device, address])
  return exitCode === isTakenCode
}
