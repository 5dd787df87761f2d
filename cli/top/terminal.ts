/**
 * The terminal while `top` has it: another screen, no cursor, each key as it is pressed; and all as it was when it is given
 * back, however that comes about. The one place of the command line that writes to a terminal but by lines.
 */

import type { ReadStream, WriteStream } from 'node:tty'

export interface Terminal {
  size(): { readonly width: number; readonly height: number }
  /** In place of what is shown. */
  show(lines: readonly string[]): void
  /** Gives it back; twice is as good as once. */
  close(): void
}

export interface TerminalOptions {
  readonly input: ReadStream
  readonly output: WriteStream
  /** Told of each key, by its name: `q`, `up`, `ctrl-c`. */
  readonly onKey: (key: string) => void
  readonly onResize: () => void
}

const control = '\u001b['
const enter = `${control}?1049h${control}?25l`
const leave = `${control}?25h${control}?1049l`
const widthDefault = 80
const heightDefault = 24

export function openTerminal({ input, output, onKey, onResize }: TerminalOptions): Terminal {
  let isOpen = true
  const take = (text: string) => {
    for (const key of readKeys(text)) onKey(key)
  }
  const close = () => {
    if (!isOpen) return
    isOpen = false
    output.off('resize', onResize)
    input.off('data', take)
    if (input.isTTY) input.setRawMode(false)
    input.pause()
    process.off('exit', close)
    output.write(leave)
  }
  output.write(enter)
  output.on('resize', onResize)
  if (input.isTTY) input.setRawMode(true)
  input.setEncoding('utf8')
  input.on('data', take)
  // Whatever ends the process, whoever sits there gets the terminal back.
  process.on('exit', close)
  return {
    size: () => ({ width: output.columns || widthDefault, height: output.rows || heightDefault }),
    show(lines) {
      if (!isOpen) return
      // Each line is written over, and what is left of it wiped, so that nothing flickers.
      output.write(`${control}H${lines.map((line) => `${line}${control}K`).join('\r\n')}${control}J`)
    },
    close,
  }
}

const namedKeys: Readonly<Record<string, string>> = {
  '\u0003': 'ctrl-c',
  [`${control}A`]: 'up',
  [`${control}B`]: 'down',
  [`${control}5~`]: 'page-up',
  [`${control}6~`]: 'page-down',
  [`${control}H`]: 'home',
}

const keyPattern = /\p{Cc}\[[0-9;]*[A-Za-z~]|./gsu

/** Pure: what comes at once may be several keys. */
export const readKeys = (text: string): readonly string[] =>
  (text.match(keyPattern) ?? []).map((key) => namedKeys[key] ?? key)
