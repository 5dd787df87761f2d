/**
 * An etcd server of its own, with its default settings, on free loopback ports and in a folder that goes with it; and runs
 * of the program that loads it.
 */

import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { findFreePort } from '../../controller/control-plane/test-nats-server.ts'
import { type Pace, reportSchema } from './messages.ts'

type Report = v.InferOutput<typeof reportSchema>

export interface Etcd {
  /** Each allocation is a transaction of its own; `name` is nobody else's. */
  loadSingly(name: string, bytes: number, pace: Pace): Promise<Report>
  /** So many allocations at a time are one transaction with the record, which all who name it race for. */
  loadGrouped(name: string, record: string, bytes: number, pace: Pace): Promise<Report>
  /** Changes of keys that others change as well; `owned`: by an owner for each key, who groups them. */
  loadContended(load: ContendedLoad, bytes: number, pace: Pace): Promise<ContendedReport>
  stop(): Promise<void>
}

export interface ContendedLoad {
  readonly mode: 'contended' | 'owned'
  /** What the keys begin with: those who name the same race for them. */
  readonly name: string
  readonly keys: number
  readonly zipf: number
}

const contendedReportSchema = v.object({ ...reportSchema.entries, begun: v.number(), wasted: v.number() })
export type ContendedReport = v.InferOutput<typeof contendedReportSchema>

const folder = new URL('../../dist/bench/', import.meta.url).pathname
const startSecondsMaximum = 20
const loadGraceSeconds = 30
const pollMilliseconds = 50

/** What is missing before an etcd can be started, in words; null: nothing. */
export const findMissingEtcd = (): string | null =>
  ['etcd', 'etcd-load'].every((name) => existsSync(folder + name)) ? null : 'etcd is not built: run scripts/setup-bench'

/** The first line of what it says of itself. */
export function observeEtcdVersion(): string {
  const { stdout } = Bun.spawnSync([`${folder}etcd`, '--version'])
  return stdout.toString().split('\n')[0] ?? 'unknown'
}

export async function startEtcd(): Promise<Etcd> {
  const data = await mkdtemp(join(tmpdir(), 'sluice-etcd-'))
  const [clients, peers] = [await findFreePort(), await findFreePort()].map((port) => `http://127.0.0.1:${port}`)
  if (clients === undefined || peers === undefined) throw new Error('BUG: two ports that are not there')
  const places = ['--data-dir', data, '--listen-client-urls', clients, '--advertise-client-urls', clients]
  const ring = ['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers]
  const argv = [`${folder}etcd`, ...places, ...ring, '--initial-cluster', `default=${peers}`, '--log-level', 'error']
  const child = Bun.spawn(argv, { stdin: 'ignore', stdout: 'ignore', stderr: 'inherit' })
  const stop = async () => {
    child.kill('SIGKILL')
    await child.exited
    await rm(data, { recursive: true, force: true })
  }
  try {
    await awaitHealth(clients, child)
  } catch (cause) {
    await stop()
    throw cause
  }
  return {
    loadSingly: async (name, bytes, pace) =>
      v.parse(reportSchema, await load(clients, ['-mode', 'single', '-name', name], bytes, pace)),
    loadGrouped: async (name, record, bytes, pace) => {
      const words = ['-mode', 'grouped', '-name', name, '-record', `record/${record}`]
      return v.parse(reportSchema, await load(clients, words, bytes, pace))
    },
    async loadContended({ mode, name, keys, zipf }, bytes, pace) {
      const words = ['-mode', mode, '-name', name, '-keys', String(keys), '-zipf', String(zipf)]
      return v.parse(contendedReportSchema, await load(clients, words, bytes, pace))
    },
    stop,
  }
}

async function awaitHealth(url: string, child: Bun.Subprocess): Promise<void> {
  const deadline = performance.now() + 1000 * startSecondsMaximum
  while (performance.now() < deadline && child.exitCode === null) {
    const answer = await fetch(`${url}/health`).catch(() => null)
    if (answer?.ok) return
    await Bun.sleep(pollMilliseconds)
  }
  throw new Error(child.exitCode === null ? `etcd was not ready within ${startSecondsMaximum} s` : 'etcd ended')
}

async function load(endpoint: string, words: readonly string[], bytes: number, pace: Pace): Promise<unknown> {
  const { inFlight, warmUpMilliseconds, milliseconds } = pace
  const times = ['-warm-up', `${warmUpMilliseconds}ms`, '-duration', `${milliseconds}ms`]
  const amounts = ['-in-flight', String(inFlight), '-bytes', String(bytes)]
  const child = Bun.spawn([`${folder}etcd-load`, '-endpoint', endpoint, ...words, ...times, ...amounts], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
    timeout: warmUpMilliseconds + milliseconds + 1000 * loadGraceSeconds,
  })
  const text = await new Response(child.stdout).text()
  if ((await child.exited) !== 0) throw new Error('etcd-load failed; its own words are above')
  return JSON.parse(text)
}
