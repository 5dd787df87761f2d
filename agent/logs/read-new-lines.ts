/** Reads what has been added to a daemon's log file since the last time. Reads only. */

import { closeSync, openSync, readSync, statSync } from 'node:fs'

export interface FilePosition {
  readonly inode: number
  readonly offsetBytes: number
}

export interface NewLines {
  /** Whole ones; one that is not finished yet waits. */
  readonly lines: readonly string[]
  readonly position: FilePosition
}

/** At a time: what is more waits for the next. */
const bytesMaximum = 65_536
/** One without an end is taken as it is. */
const lineBytesMaximum = 16_384

/** From the file's beginning where it is another than before, or was begun anew. Undefined: there is nothing new. */
export function readNewLines(path: string, before: FilePosition | undefined): NewLines | undefined {
  const state = statSync(path, { throwIfNoEntry: false })
  if (state === undefined) return undefined
  const isSame = before?.inode === state.ino && state.size >= before.offsetBytes
  if (isSame && state.size === before.offsetBytes) return undefined
  const { bytes, offsetBytes } = readFrom(path, isSame ? before.offsetBytes : 0)
  const end = bytes.lastIndexOf(0x0a) + 1
  const wholeBytes = end === 0 && bytes.length >= lineBytesMaximum ? bytes.length : end
  if (wholeBytes === 0) return undefined
  const lines = bytes.subarray(0, wholeBytes).toString('utf8').split('\n').filter(Boolean)
  return { lines, position: { inode: state.ino, offsetBytes: offsetBytes + wholeBytes } }
}

/** Passes over the head whose room was given back; nobody who logs writes zeros. */
function readFrom(path: string, from: number): { readonly bytes: Buffer; readonly offsetBytes: number } {
  const buffer = Buffer.alloc(bytesMaximum)
  const file = openSync(path, 'r')
  try {
    for (let offsetBytes = from; ; offsetBytes += bytesMaximum) {
      const bytes = buffer.subarray(0, readSync(file, buffer, 0, bytesMaximum, offsetBytes))
      const begin = bytes.findIndex((byte) => byte !== 0)
      if (begin >= 0) return { bytes: bytes.subarray(begin), offsetBytes: offsetBytes + begin }
      if (bytes.length < bytesMaximum) return { bytes: bytes.subarray(0, 0), offsetBytes }
    }
  } finally {
    closeSync(file)
  }
}
