/** What every call of a provider is given besides its values: a signal that ends it, a log, the client, private state. */

import type { Diagnostic } from './diagnostics.ts'

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined }
export type JsonObject = { readonly [key: string]: Json | undefined }

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'
/** Shown by `TF_LOG=debug terraform apply`. Say nothing secret. */
export type Log = Readonly<Record<LogLevel, (message: string, fields?: JsonObject) => void>>

export type CallContext = {
  /** Aborted when the user interrupts, and when the operation's timeout is over. Hand it on to whatever waits. */
  readonly signal: AbortSignal
  readonly log: Log
  /** Tells the user something, without ending the call. */
  readonly report: (diagnostic: Diagnostic) => void
}

/** Kept beside the state of an object and never shown; a few small values. */
export type PrivateState = {
  readonly get: (key: string) => Json | undefined
  /** Undefined takes the key away. */
  readonly set: (key: string, value: Json | undefined) => void
}

/** `client` is what the provider's `configure` answered with. */
export type ClientContext<Client> = CallContext & { readonly client: Client }
export type ResourceContext<Client> = ClientContext<Client> & { readonly privateState: PrivateState }

export type ChangeContext<Client, Partial> = ResourceContext<Client> & {
  /**
   * Says what exists by now. Should the call fail later, this is in the state with the error: nothing that was made is
   * forgotten. The CLI replaces an object whose creation failed; one that was interrupted, and is all that was planned,
   * is made, with a warning. Called again, the last one counts.
   */
  readonly keep: (state: Partial) => void
}

/** The client is null while the provider's own configuration is not known, or where nothing is asked of anybody. */
export type PlanContext<Client> = CallContext & {
  readonly client: Client | null
  readonly privateState: PrivateState
}
