/**
 * The loop of `top`: reads, shows, waits for a key or for the next time. On a terminal it goes on until it is ended; without
 * one it shows everything once, so that its output can be cut and compared by other programs.
 */

import type { ReadStream, WriteStream } from 'node:tty'
import { openTerminal } from './terminal.ts'
import { renderTop, type TopLayout, type TopView } from './view.ts'

export interface TopOptions<Row> {
  readonly view: TopView<Row>
  /** Given up when the signal aborts. */
  readonly read: (signal: AbortSignal) => Promise<readonly Row[]>
  readonly sortKey: string
  readonly isReversed: boolean
  readonly intervalMilliseconds: number
  readonly isOnce: boolean
  /** A line of JSON each time, in place of a table. */
  readonly isJson: boolean
  readonly input: ReadStream
  readonly output: WriteStream
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly now: () => Date
}

const widthWithoutTerminal = 80
const widthMinimum = 40

export async function runTop<Row>(options: TopOptions<Row>): Promise<void> {
  checkSortKey(options)
  const { isJson, isOnce, output } = options
  if (isJson) return await printJson(options)
  if (isOnce || !output.isTTY) return await printOnce(options)
  await showLive(options)
}

function checkSortKey<Row>({ view, sortKey }: TopOptions<Row>): void {
  const keys = keysOf(view)
  if (!keys.includes(sortKey)) throw new Error(`--sort takes one of ${keys.join(', ')}; "${sortKey}" is none`)
}

const keysOf = <Row>(view: TopView<Row>) => view.columns.flatMap(({ key }) => (key === undefined ? [] : [key]))

const never = new AbortController().signal

async function printJson<Row>({ read, now, intervalMilliseconds, isOnce }: TopOptions<Row>): Promise<void> {
  for (;;) {
    console.log(JSON.stringify({ at: now().toISOString(), items: await read(never) }))
    if (isOnce) return
    await Bun.sleep(intervalMilliseconds)
  }
}

async function printOnce<Row>(options: TopOptions<Row>): Promise<void> {
  const { view, output, sortKey, isReversed } = options
  const rows = await options.read(never)
  const layout = { sortKey, isReversed, offset: 0, height: null, footer: null, ...describeOutput(options) }
  console.log(renderTop(view, rows, { ...layout, width: output.columns || widthWithoutTerminal }).join('\n'))
}

/** NO_COLOR is https://no-color.org. */
const describeOutput = <Row>({ output, environment, now }: TopOptions<Row>) => ({
  hasColours: output.isTTY === true && (environment.NO_COLOR ?? '') === '' && environment.TERM !== 'dumb',
  time: now().toISOString().slice(11, 19),
})

async function showLive<Row>(options: TopOptions<Row>): Promise<void> {
  const { view, read, input, output, intervalMilliseconds } = options
  const keys = keysOf(view)
  const state = { sortKey: options.sortKey, isReversed: options.isReversed, offset: 0 }
  let rows: readonly Row[] | undefined
  let trouble: string | undefined
  const ending = new AbortController()
  const ended = new Promise<void>((resolve) => ending.signal.addEventListener('abort', () => resolve(), { once: true }))

  const show = () => {
    const { width, height } = terminal.size()
    const footer = trouble ?? `q quit  s sort: ${state.sortKey}  r reverse  ↑↓ scroll`
    const layout: TopLayout = {
      ...state,
      ...describeOutput(options),
      width: Math.max(widthMinimum, width),
      height,
      footer,
    }
    terminal.show(rows === undefined ? [trouble ?? 'reading…'] : renderTop(view, rows, layout))
  }
  const press = (key: string) => {
    const page = Math.max(1, terminal.size().height - 4)
    const last = Math.max(0, (rows?.length ?? 0) - 1)
    const scroll = (by: number) => {
      state.offset = Math.min(last, Math.max(0, state.offset + by))
    }
    switch (key) {
      case 'q':
      case 'ctrl-c':
        ending.abort()
        return
      case 's':
        state.sortKey = keys[(keys.indexOf(state.sortKey) + 1) % keys.length] ?? state.sortKey
        break
      case 'r':
        state.isReversed = !state.isReversed
        break
      case 'up':
        scroll(-1)
        break
      case 'down':
        scroll(1)
        break
      case 'page-up':
        scroll(-page)
        break
      case 'page-down':
        scroll(page)
        break
      case 'home':
        state.offset = 0
        break
      default:
        return
    }
    show()
  }
  const end = () => press('q')
  const terminal = openTerminal({ input, output, onKey: press, onResize: show })
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
  try {
    show()
    while (!ending.signal.aborted) {
      const reading = read(ending.signal).then(
        (fresh) => {
          rows = fresh
          trouble = undefined
        },
        (error: unknown) => {
          // What was read last stays, and says how old it is by standing still.
          trouble = `no answer: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`
        },
      )
      await Promise.race([reading, ended])
      if (!ending.signal.aborted) show()
      await pause(intervalMilliseconds, ended)
    }
  } finally {
    process.off('SIGTERM', end)
    process.off('SIGINT', end)
    terminal.close()
  }
}

/** Leaves no timer behind that would keep the program waiting for nothing. */
async function pause(milliseconds: number, ended: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, milliseconds)
  await Promise.race([promise, ended])
  clearTimeout(timer)
}
