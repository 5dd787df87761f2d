/** What is said to the user: errors and warnings, each with the path of the attribute that it is about. */

/** Names as the schema declares them (camelCase), positions in lists, keys of maps: `['listeners', 0, 'port']`. */
export type AttributePath = readonly (string | number)[]

export type Diagnostic = {
  readonly severity: 'error' | 'warning'
  /** What is wrong, in one line. */
  readonly summary: string
  /** Why, and what to do about it. */
  readonly detail?: string
  readonly path?: AttributePath
}

type Details = { readonly detail?: string; readonly path?: AttributePath }

export const errorDiagnostic = (summary: string, details: Details = {}): Diagnostic => ({
  severity: 'error',
  summary,
  ...details,
})

export const warningDiagnostic = (summary: string, details: Details = {}): Diagnostic => ({
  severity: 'warning',
  summary,
  ...details,
})

/**
 * Expected trouble that ends a call: the user sees exactly its diagnostics. Any other exception is shown as a fault of
 * the provider.
 *
 * @example `throw new ProviderError('The pool is full', { detail: 'Free a shard or add a pool.', path: ['poolId'] })`
 */
export class ProviderError extends Error {
  readonly diagnostics: readonly Diagnostic[]

  constructor(summary: string | readonly Diagnostic[], details: Details & { readonly cause?: unknown } = {}) {
    const { cause, ...rest } = details
    const diagnostics = typeof summary === 'string' ? [errorDiagnostic(summary, rest)] : summary
    super(diagnostics.map((one) => one.summary).join('; '), { cause })
    this.name = 'ProviderError'
    this.diagnostics = diagnostics
  }
}
