/** Turns over the names whenever something that they follow from has changed, and steadily besides. One turn at a time. */

import type { Store } from '../control-plane/store.ts'
import type { ObservedHosts } from '../observed/observed-hosts.ts'
import { kindsOfNames, type NamesKeeper } from './keep-names.ts'

export interface NamesLoop {
  /** Ends it; resolves when the turn under way is over. */
  close(): Promise<void>
}

export function startNamesLoop(options: {
  readonly keeper: NamesKeeper
  readonly store: Pick<Store, 'subscribe'>
  readonly observed: Pick<ObservedHosts, 'subscribe'>
}): NamesLoop {
  const { keeper, store, observed } = options
  let isAsked = false
  let isClosed = false
  let running: Promise<void> | null = null
  let timer: ReturnType<typeof setTimeout> | undefined

  async function run(): Promise<void> {
    while (isAsked && !isClosed) {
      isAsked = false
      const { againInMilliseconds } = await keeper.turn()
      clearTimeout(timer)
      if (!isClosed) timer = setTimeout(wake, againInMilliseconds)
    }
    running = null
  }

  function wake(): void {
    isAsked = true
    if (running === null && !isClosed) running = run()
  }

  const forget = [
    store.subscribe((changes) => {
      if (changes.some(({ object }) => kindsOfNames.has(object.kind))) wake()
    }),
    observed.subscribe(wake),
  ]
  wake()
  return {
    async close() {
      isClosed = true
      clearTimeout(timer)
      for (const end of forget) end()
      await running
    },
  }
}
