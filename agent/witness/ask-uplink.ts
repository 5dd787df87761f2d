/** Asks the uplink who is there: by ARP who has an address, by HTTP whether a haproxy answers at it. Changes nothing. */

import { witnessPort } from '../../templates/haproxy-traffic.ts'
import type { RunCommand } from '../operations/run-command.ts'

export type HaproxyAnswer = 'answers' | 'refuses' | 'silent'

export interface AskUplink {
  /** Those of these addresses that somebody has. */
  isThere(addresses: readonly string[]): Promise<ReadonlySet<string>>
  /** @param namespace of an instance of this host, which has an address on the uplink */
  askHaproxy(namespace: string, addresses: readonly string[]): Promise<ReadonlyMap<string, HaproxyAnswer>>
}

/** Each is a process that waits. */
const questionsAtOnceMaximum = 128

export const createUplinkQuestions = (run: RunCommand, device: string): AskUplink => ({
  async isThere(addresses) {
    const taken = await askAll(addresses, async (address) => (await isTaken(run, device, address)) || undefined)
    return new Set(taken.keys())
  },
  askHaproxy: (namespace, addresses) => askAll(addresses, (address) => askOne(run, namespace, address)),
})

async function askAll<Answer>(
  addresses: readonly string[],
  ask: (address: string) => Promise<Answer | undefined>,
): Promise<ReadonlyMap<string, Answer>> {
  const answers = new Map<string, Answer>()
  const waiting = [...addresses]
  const work = async () => {
    for (let address = waiting.shift(); address !== undefined; address = waiting.shift()) {
      const answer = await ask(address)
      if (answer !== undefined) answers.set(address, answer)
    }
  }
  await Promise.all(Array.from({ length: Math.min(questionsAtOnceMaximum, addresses.length) }, work))
  return answers
}

/** Of busybox's arping: somebody has the address that it was asked to find free. */
const isTakenCode = 1

/**
 * From the device itself, as one does who looks for an address that is free (RFC 5227): that needs no address of one's own,
 * no route and no namespace, and the kernel of whoever has the address answers, whatever became of the programs there.
 * Two questions, a second apart; the first answer ends it. An instance of this very host is not heard that way, since a
 * macvlan can't talk to the device that it lies on: a host is never asked about its own.
 */
async function isTaken(run: RunCommand, device: string, address: string): Promise<boolean> {
  const { exitCode } = await run(['busybox', 'arping', '-D', '-q', '-f', '-c', '2', '-w', '1', '-I', device, address])
  return exitCode === isTakenCode
}

const request = 'GET / HTTP/1.0\r\n\r\n'
const haproxyMilliseconds = 2000

/** A haproxy that hangs takes connections and says nothing, so it is an answer that is waited for. */
async function askOne(run: RunCommand, namespace: string, address: string): Promise<HaproxyAnswer> {
  const argv = ['nsenter', `--net=/run/netns/${namespace}`, '--', 'busybox', 'nc', '-w', '1', address, `${witnessPort}`]
  const { stdout, stderr } = await run(argv, { input: request, timeoutMilliseconds: haproxyMilliseconds })
  if (/^HTTP\/1\.[01] 200 /.test(stdout)) return 'answers'
  return stderr.includes('Connection refused') ? 'refuses' : 'silent'
}
