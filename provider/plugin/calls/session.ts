/** What lasts from one call to the next: the provider, its client once it is configured, and what ends calls early. */

import type { CallContext, Json, JsonObject, Log, PlanContext, PrivateState, ResourceContext } from '../context.ts'
import type { Provider } from '../define.ts'
import { type Diagnostic, ProviderError } from '../diagnostics.ts'

type Configured<Client> =
  | { readonly kind: 'not' }
  /** Something in the provider's configuration is known only after apply. */
  | { readonly kind: 'unknownYet'; readonly attributes: readonly string[] }
  | { readonly kind: 'ready'; readonly client: Client }

export type Session<Client> = {
  readonly provider: Provider<Client>
  readonly log: Log
  configured: Configured<Client>
  /** Replaced after each stop, so that closing what is open isn't ended by it. */
  stopping: AbortController
  /**
   * Since a stop, until the provider is configured for another run: a change that the CLI asked for just before the stop
   * can be read after it, and nobody would end it any more.
   */
  isInterrupted: boolean
}

export const openSession = <Client>(provider: Provider<Client>, log: Log): Session<Client> => ({
  provider,
  log,
  configured: { kind: 'not' },
  stopping: new AbortController(),
  isInterrupted: false,
})

const interruption = 'the run was interrupted'

export function stopCalls<Client>(session: Session<Client>): void {
  session.isInterrupted = true
  session.stopping.abort(new Error(interruption))
  session.stopping = new AbortController()
}

/** The call was ended by the user, and not by its timeout. */
export const wasInterrupted = <Client>({ session, context }: Call<Client>): boolean =>
  session.isInterrupted && context.signal.aborted

/** Throws where the run was interrupted before the call began. */
export function refuseInterrupted<Client>({ session }: Call<Client>, subject: string): void {
  if (!session.isInterrupted) return
  throw new ProviderError(`${subject} was not finished: ${interruption}`, { detail: 'Apply again to go on.' })
}

/** Without a limit of its own, no call lasts longer. */
export const timeoutSecondsDefault = 20 * 60

/** One call: its context grows by what it finds out, and `end` gives back its timer. */
export type Call<Client> = {
  readonly context: CallContext
  readonly diagnostics: Diagnostic[]
  readonly session: Session<Client>
  readonly end: () => void
}

export function beginCall<Client>(session: Session<Client>, seconds = timeoutSecondsDefault): Call<Client> {
  const diagnostics: Diagnostic[] = []
  const timeout = new AbortController()
  const timer = setTimeout(
    () => timeout.abort(new Error(`it took longer than its timeout of ${seconds} s`)),
    Math.min(seconds * 1000, 2 ** 31 - 1),
  )
  const signal = AbortSignal.any([session.stopping.signal, timeout.signal])
  const report = (diagnostic: Diagnostic) => {
    diagnostics.push(diagnostic)
  }
  return { context: { signal, log: session.log, report }, diagnostics, session, end: () => clearTimeout(timer) }
}

export const clientContext = <Client>({ context, session }: Call<Client>) => ({
  ...context,
  client: requireClient(session.configured),
})

export const resourceContext = <Client>(call: Call<Client>, privateState: PrivateState): ResourceContext<Client> => ({
  ...clientContext(call),
  privateState,
})

export const planContext = <Client>(
  { context, session }: Call<Client>,
  privateState: PrivateState,
): PlanContext<Client> => ({
  ...context,
  privateState,
  client: session.configured.kind === 'ready' ? session.configured.client : null,
})

function requireClient<Client>(configured: Configured<Client>): Client {
  switch (configured.kind) {
    case 'ready':
      return configured.client
    case 'unknownYet':
      throw new ProviderError("The provider's configuration is not known yet", {
        detail: `${configured.attributes.join(', ')}: known only after something else is applied. Apply that first (-target), or give a value that is known.`,
      })
    case 'not':
      throw new ProviderError('The provider is not configured', { detail: 'The CLI asked before it configured it.' })
    default:
      return configured satisfies never
  }
}

/** Bytes that are no JSON object of ours are as good as none. */
export function openPrivateState(bytes: Uint8Array): PrivateState & { readonly bytes: () => Uint8Array } {
  const values = new Map(Object.entries(parseJsonObject(bytes)))
  return {
    get: (key) => values.get(key),
    set: (key, value: Json | undefined) => {
      if (value === undefined) values.delete(key)
      else values.set(key, value)
    },
    bytes: () => (values.size === 0 ? new Uint8Array() : jsonBytes(Object.fromEntries(values))),
  }
}

export const jsonBytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))

export function parseJsonObject(bytes: Uint8Array | undefined): JsonObject {
  if (bytes === undefined || bytes.length === 0) return {}
  try {
    const parsed: unknown = JSON.parse(Buffer.from(bytes).toString())
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as JsonObject) : {}
  } catch {
    return {}
  }
}
