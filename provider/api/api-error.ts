/** What the controller refuses, and what keeps its answer away, in one form: the API's problem. Pure. */

export interface ApiProblem {
  /** The API's code, or one of the provider's own: `unreachable`, `tls`, `not-a-controller`, `unknown-answer`, `cancelled`. */
  readonly code: string
  readonly title: string
  readonly detail: string
  readonly remedy?: string
  /** Fields of the request, as the API names them: `listeners[0].port`. */
  readonly errors?: readonly { readonly field: string; readonly message: string }[]
  readonly traceId?: string
}

export class ApiError extends Error {
  readonly problem: ApiProblem
  /** The same request may well be answered otherwise in a moment. */
  readonly isPassing: boolean
  readonly retryAfterMilliseconds: number | undefined

  constructor(
    problem: ApiProblem,
    options: { readonly isPassing?: boolean; readonly retryAfterMilliseconds?: number | undefined } = {},
  ) {
    super(`${problem.title}: ${problem.detail}`)
    this.problem = problem
    this.isPassing = options.isPassing ?? false
    this.retryAfterMilliseconds = options.retryAfterMilliseconds
  }
}

/** True for an ApiError of one of these codes. */
export const isRefusal = (error: unknown, ...codes: readonly string[]): error is ApiError =>
  error instanceof ApiError && codes.includes(error.problem.code)

/**
 * The text under a diagnostic's title: detail, what else is wrong with which field, remedy, and the trace to look for in
 * the controller's log.
 */
export function describeProblemDetail(
  { detail, remedy, traceId, errors = [] }: ApiProblem,
  shown: ReadonlySet<string> = new Set(),
): string {
  const others = errors.filter(({ field }) => !shown.has(field)).map(({ field, message }) => `${field} ${message}`)
  const isSaid = others.every((line) => detail.includes(line.split(' ').slice(1).join(' ')))
  return [
    detail,
    ...(isSaid ? [] : [others.join('\n')]),
    ...(remedy === undefined ? [] : [remedy]),
    ...(traceId === undefined ? [] : [`Trace: ${traceId}`]),
  ].join('\n\n')
}
