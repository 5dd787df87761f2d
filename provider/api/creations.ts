/**
 * Remembers on disk what is being created, so that an apply that was killed in the middle is carried on by the next one:
 * the same creation is sent with the same Idempotency-Key, and the controller answers with what the first one made. The
 * one place of the provider that writes files; it touches a folder of its own and nothing else.
 *
 * A remembered creation is forgotten when the controller has refused it, when its object is read (so the state has it),
 * and when the CLI ends the run in order. Why it is kept here and not derived: docs/decisions/0051-provider.md.
 */

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import type { JsonObject } from '../plugin/index.ts'

export interface Creation {
  readonly idempotencyKey: string
  /** An earlier run began it, and may have made it. */
  readonly isResumed: boolean
  /** Nothing was made: it is forgotten. */
  refused(): void
  /** It is kept until the state is sure to have the object. */
  made(id: string): void
}

export interface Creations {
  /** The same for the same path and body in one run after the other; within a run, each its own. */
  begin(path: string, body: unknown): Creation
  /** The state has this object. */
  found(id: string): void
  /** The CLI ends this run in order, so the state has all that was made. */
  settle(): void
}

export interface CreationsMeans {
  /** Null: nothing is remembered. It is made when it is needed. */
  readonly folder: string | null
  /** Of whom things are created: one controller's objects are not another's. */
  readonly endpoint: string
  /** The run of the CLI: what another run has left may be carried on, what this one has begun is somebody else's. */
  readonly run: string
  readonly createKey: () => string
  readonly log: (message: string, fields: JsonObject) => void
}

const entrySchema = v.object({
  key: v.string(),
  run: v.string(),
  path: v.string(),
  id: v.nullable(v.string()),
})
type Entry = v.InferOutput<typeof entrySchema>

const suffix = '.json'

export function createCreations(means: CreationsMeans): Creations {
  const { folder, endpoint, run } = means
  /** What is remembered on disk, by the name of its file; read once. */
  const entries = folder === null ? new Map<string, Entry>() : readEntries(folder)
  const fileOf = (name: string) => join(folder ?? '', name + suffix)

  function remember(name: string, entry: Entry): void {
    entries.set(name, entry)
    if (folder === null) return
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      // The key must outlast a power cut. The id need not, which the key is answered with again.
      writeFileSync(`${fileOf(name)}.new`, JSON.stringify(entry), { mode: 0o600, flush: entry.id === null })
      renameSync(`${fileOf(name)}.new`, fileOf(name))
    } catch (cause) {
      means.log('a creation could not be remembered; were this run killed, its object would have to be imported', {
        folder,
        error: String(cause),
      })
    }
  }

  function forget(name: string): void {
    entries.delete(name)
    if (folder !== null) rmSync(fileOf(name), { force: true })
  }

  return {
    begin(path, body) {
      const name = nameOf(endpoint, path, body)
      const before = entries.get(name)
      // Another resource of this run says the very same: it gets a key of its own, and the API's word on doubles.
      if (before?.run === run) return unremembered(means.createKey())
      const idempotencyKey = before?.key ?? means.createKey()
      const entry = { key: idempotencyKey, run, path, id: before?.id ?? null }
      remember(name, entry)
      return {
        idempotencyKey,
        isResumed: before !== undefined,
        refused: () => forget(name),
        made: (id) => remember(name, { ...entry, id }),
      }
    },
    found(id) {
      for (const [name, entry] of entries) if (entry.id === id) forget(name)
    },
    settle() {
      for (const [name, entry] of entries) if (entry.run === run && entry.id !== null) forget(name)
    },
  }
}

const unremembered = (idempotencyKey: string): Creation => ({
  idempotencyKey,
  isResumed: false,
  refused: () => undefined,
  made: () => undefined,
})

function nameOf(endpoint: string, path: string, body: unknown): string {
  const text = JSON.stringify([endpoint, path, body])
  return new Bun.CryptoHasher('sha256').update(text).digest('hex').slice(0, 40)
}

/** What can't be read is left out: it is as if its run had never been. */
function readEntries(folder: string): Map<string, Entry> {
  const entries = new Map<string, Entry>()
  for (const file of listFiles(folder)) {
    if (!file.endsWith(suffix)) continue
    try {
      const parsed = v.safeParse(entrySchema, JSON.parse(readFileSync(join(folder, file), 'utf8')))
      if (parsed.success) entries.set(file.slice(0, -suffix.length), parsed.output)
    } catch {
      // A file that another process has just removed, or that its writer did not finish.
    }
  }
  return entries
}

function listFiles(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** The CLI that started this process, told from a later one that was given the same number. */
export function nameRun(parent: number): string {
  try {
    const [, after = ''] = /\) (.*)$/s.exec(readFileSync(`/proc/${parent}/stat`, 'utf8')) ?? []
    return `${parent}-${after.split(' ')[19] ?? ''}`
  } catch {
    return String(parent)
  }
}
