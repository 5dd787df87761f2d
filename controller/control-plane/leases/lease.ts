/**
 * What a lease is to whoever works under one: the right to be the only one who does something, for as long as the
 * holder is heard of. It saves doubled work and never guards data: a holder that was frozen believes that it holds what
 * another has taken, so every write is conditional, and the token says who came later. Touches nothing by itself.
 */

export interface Lease {
  readonly name: string
  /** The fencing token: greater than that of every holder before. */
  readonly token: number
  /** Aborts when the lease is lost, or given up. */
  readonly signal: AbortSignal
  /** By this process's own clock, asked anew: right also in the first moment after the process stood still. */
  isHeld(): boolean
}

/** Who holds a lease, as far as is known here. */
export interface LeaseHolder {
  readonly name: string
  /** The controller that holds it. */
  readonly holder: string
  readonly token: number
}

export interface LeaseClaim {
  /** Null: it is not held, or by another. */
  current(): Lease | null
  /** Waits until it is held; null: the signal aborted first. */
  held(signal: AbortSignal): Promise<Lease | null>
  /** Wants it no more. Resolves when others may have it, or have to wait for this one's session to end. */
  release(): Promise<void>
}

/** A controller that is, or was, there. */
export interface SessionView {
  readonly id: string
  /** Of this very session: one that began anew has another. */
  readonly nonce: string
  readonly address: string
  readonly version: string
  /** RFC 3339, by its own clock: when its process began. */
  readonly since: string
  readonly isAlive: boolean
  /** The names of the leases that it holds. */
  readonly leads: readonly string[]
}

export interface Leases {
  /** This controller's own id. */
  readonly holder: string
  /**
   * Wants a lease from now on, until it is released: it is taken as soon as it is free, again and again. What is spread
   * is handed over to whom it is due when controllers come; what is not stays with who has it.
   */
  claim(name: string, options?: { readonly isSpread?: boolean }): LeaseClaim
  /** Null: nobody holds it. */
  find(name: string): LeaseHolder | null
  sessions(): readonly SessionView[]
  /** Calls back whenever one of the answers above may have changed, until the returned function is called. */
  subscribe(listener: () => void): () => void
  /** Gives everything up, so that others take over at once. */
  close(): Promise<void>
}

export type LeasedOutcome<Result> =
  | { readonly kind: 'done'; readonly result: Result }
  /** Null: nobody, or nobody that is known here. */
  | { readonly kind: 'notHeld'; readonly holder: string | null }

/**
 * Does a piece of work under a lease, and gives it back. The work must end when `lease.signal` aborts.
 * @example await withLease(leases, 'migration/mig_1', { waitMilliseconds: 0 }, (lease) => migrate(lease.signal))
 */
export async function withLease<Result>(
  leases: Leases,
  name: string,
  options: { readonly waitMilliseconds: number; readonly signal?: AbortSignal },
  work: (lease: Lease) => Promise<Result>,
): Promise<LeasedOutcome<Result>> {
  const claim = leases.claim(name)
  try {
    const waiting = AbortSignal.timeout(options.waitMilliseconds)
    const lease = await claim.held(options.signal === undefined ? waiting : AbortSignal.any([waiting, options.signal]))
    if (lease === null) return { kind: 'notHeld', holder: leases.find(name)?.holder ?? null }
    return { kind: 'done', result: await work(lease) }
  } finally {
    await claim.release()
  }
}

/**
 * Does work of which each controller does its part, whenever its lease is held, until it is closed: begun with each lease anew, and over when that is lost.
 * The work resolves when all of it has ended; one that ends or fails by itself is begun again after a pause.
 */
export function workWhileHeld(
  leases: Leases,
  name: string,
  work: (lease: Lease) => Promise<void>,
  options: { readonly onFailure: (cause: unknown) => void; readonly pauseMilliseconds?: number },
): { close(): Promise<void> } {
  const closing = new AbortController()
  const claim = leases.claim(name, { isSpread: true })
  const pauseMilliseconds = options.pauseMilliseconds ?? pauseMillisecondsDefault
  const run = async () => {
    while (!closing.signal.aborted) {
      const lease = await claim.held(closing.signal)
      if (lease === null) return
      const signal = AbortSignal.any([lease.signal, closing.signal])
      try {
        await work({ ...lease, signal })
      } catch (cause) {
        options.onFailure(cause)
      }
      if (!signal.aborted) await pause(pauseMilliseconds, signal)
    }
  }
  const running = run()
  return {
    async close() {
      closing.abort()
      await running
      await claim.release()
    },
  }
}

const pauseMillisecondsDefault = 500

/** Waits until the signal aborts: what begins and ends a loop is work that lasts as long as its lease. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const elapsed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds)
  })
  await Promise.race([elapsed, whenAborted(signal)])
  clearTimeout(timer)
}
