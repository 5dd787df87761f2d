/**
 * A backup of the store as a file: lines of JSON, in parts of one microshard each. docs/distributed.md describes it for
 * whoever reads it without Sluice. Here is what each line may be, and the check of a whole file. Pure.
 */

import * as v from 'valibot'

export const backupFormat = 1
export const backupMediaType = 'application/vnd.sluice.backup'

const countSchema = v.pipe(v.number(), v.integer(), v.minValue(0))
const hashSchema = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))
const pointSchema = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/))

export const backupHeadSchema = v.object({
  kind: v.literal('head'),
  format: v.literal(backupFormat),
  createdAt: v.string(),
  sluiceVersion: v.string(),
  parts: countSchema,
})

/** A version of an object, or what an object carries beside it, as the store keeps it. */
export const backupMessageSchema = v.object({
  kind: v.literal('message'),
  /** Below the microshard: `shard.shd_…`. */
  subject: v.pipe(v.string(), v.regex(/^[^\s.*>]+(\.[^\s.*>]+)+$/)),
  /** Its point of the ring, which says where it belongs. */
  shardKey: pointSchema,
  body: v.string(),
})
export type BackupMessage = v.InferOutput<typeof backupMessageSchema>

const lineSchema = v.variant('kind', [
  backupHeadSchema,
  v.object({ kind: v.literal('part'), microshard: v.string(), from: pointSchema, to: pointSchema, cut: countSchema }),
  backupMessageSchema,
  /** `sha256` is of the part's messages, each with its newline. */
  v.object({ kind: v.literal('partEnd'), microshard: v.string(), messages: countSchema, sha256: hashSchema }),
  /** `sha256` is of all lines before this one. */
  v.object({ kind: v.literal('end'), parts: countSchema, messages: countSchema, sha256: hashSchema }),
])
export type BackupLine = v.InferOutput<typeof lineSchema>

export interface BackupSummary {
  readonly createdAt: string
  readonly sluiceVersion: string
  readonly parts: number
  readonly messages: number
  readonly sha256: string
}

export interface BackupCheck {
  /** Takes the next line, without its newline, and answers what it is. Throws with what is wrong with it. */
  take(text: string): BackupLine
  /** Throws where the file ends too early. */
  finish(): BackupSummary
}

const isDamaged = 'the file is damaged, and nothing of it is used'

/** Checks a file line by line, so that it need not be in memory. */
export function createBackupCheck(): BackupCheck {
  const whole = new Bun.CryptoHasher('sha256')
  let part: { readonly microshard: string; readonly hash: Bun.CryptoHasher; messages: number } | null = null
  let head: v.InferOutput<typeof backupHeadSchema> | null = null
  let summary: BackupSummary | null = null
  let lines = 0
  let messages = 0
  let parts = 0

  const fault = (what: string) => new Error(`line ${lines} ${what}: ${isDamaged}`)

  function takeMessage(text: string): void {
    if (part === null) throw fault('is a message outside of any part')
    part.hash.update(`${text}\n`)
    part.messages += 1
    messages += 1
  }

  function endPart(line: Extract<BackupLine, { kind: 'partEnd' }>): void {
    if (part === null || part.microshard !== line.microshard) throw fault('ends a part that has not begun')
    if (part.messages !== line.messages) throw fault(`says ${line.messages} messages, and there are ${part.messages}`)
    if (part.hash.digest('hex') !== line.sha256) throw fault(`ends part ${line.microshard}, whose checksum is another`)
    part = null
    parts += 1
  }

  function end(line: Extract<BackupLine, { kind: 'end' }>): void {
    if (head === null || part !== null) throw fault('ends the file within a part')
    if (line.sha256 !== whole.digest('hex')) throw fault('ends the file, whose checksum is another')
    if (line.parts !== parts || head.parts !== parts || line.messages !== messages) {
      throw fault(`says ${line.parts} parts, and there are ${parts} of ${head.parts}`)
    }
    const { createdAt, sluiceVersion } = head
    summary = { createdAt, sluiceVersion, parts, messages, sha256: line.sha256 }
  }

  return {
    take(text) {
      lines += 1
      if (summary !== null) throw fault('comes after the end')
      const line = parseLine(text, lines)
      if ((head === null) !== (line.kind === 'head')) throw fault('is not where it belongs')
      switch (line.kind) {
        case 'head':
          head = line
          break
        case 'part':
          if (part !== null) throw fault('begins a part within another')
          part = { microshard: line.microshard, hash: new Bun.CryptoHasher('sha256'), messages: 0 }
          break
        case 'message':
          takeMessage(text)
          break
        case 'partEnd':
          endPart(line)
          break
        case 'end':
          end(line)
          return line
        default:
          line satisfies never
      }
      whole.update(`${text}\n`)
      return line
    },
    finish() {
      if (summary !== null) return summary
      throw new Error(
        lines === 0
          ? 'the file is empty: it is no backup'
          : `the file ends after ${lines} lines without its end: the backup was cut off, and nothing of it is used`,
      )
    },
  }
}

function parseLine(text: string, number: number): BackupLine {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error(
      number === 1
        ? 'the file is no backup of Sluice: its first line is no JSON'
        : `line ${number} is no JSON: ${isDamaged}`,
    )
  }
  const named = v.safeParse(v.object({ kind: v.literal('head'), format: v.number() }), value)
  if (number === 1 && !named.success) throw new Error('the file is no backup of Sluice: its first line is no head')
  if (named.success && named.output.format !== backupFormat) {
    throw new Error(
      `the backup has format ${named.output.format}, and this program knows format ${backupFormat}: ` +
        'restore it by the version of sluice that made it, or a newer one',
    )
  }
  const parsed = v.safeParse(lineSchema, value)
  if (!parsed.success) throw new Error(`line ${number} is no line of a backup: ${isDamaged}`)
  return parsed.output
}

/** Builds a file's lines with their checksums. */
export function createBackupLines(): {
  head(head: Omit<v.InferOutput<typeof backupHeadSchema>, 'kind' | 'format'>): string
  part(part: Omit<Extract<BackupLine, { kind: 'part' }>, 'kind'>): string
  message(message: Omit<BackupMessage, 'kind'>): string
  partEnd(): string
  end(): string
} {
  const whole = new Bun.CryptoHasher('sha256')
  let part = { microshard: '', hash: new Bun.CryptoHasher('sha256'), messages: 0 }
  let messages = 0
  let parts = 0
  const add = (line: BackupLine): string => {
    const text = `${JSON.stringify(line)}\n`
    whole.update(text)
    return text
  }
  return {
    head: (head) => add({ kind: 'head', format: backupFormat, ...head }),
    part(line) {
      part = { microshard: line.microshard, hash: new Bun.CryptoHasher('sha256'), messages: 0 }
      return add({ kind: 'part', ...line })
    },
    message(message) {
      const text = add({ kind: 'message', ...message })
      part.hash.update(text)
      part.messages += 1
      messages += 1
      return text
    },
    partEnd() {
      parts += 1
      const { microshard } = part
      return add({ kind: 'partEnd', microshard, messages: part.messages, sha256: part.hash.digest('hex') })
    },
    end: () => `${JSON.stringify({ kind: 'end', parts, messages, sha256: whole.digest('hex') })}\n`,
  }
}

/** The answer to the beginning of a restore, and to each part of it. */
export const restoreBeginSchema = v.strictObject({
  format: v.number(),
  /** Into a store that holds something: what is there in the same or a newer version stays. */
  force: v.optional(v.boolean(), false),
})
export const restoreMessagesMaximum = 2_000
export const restoreMessagesSchema = v.strictObject({
  messages: v.pipe(v.array(backupMessageSchema), v.maxLength(restoreMessagesMaximum)),
})
export const restoreAnswerSchema = v.object({
  written: v.number(),
  /** There in the same or a newer version. */
  kept: v.number(),
})
