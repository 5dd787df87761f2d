/** How a call ends: with an answer, whatever happened. What was thrown and reported is in its diagnostics. */

import type { Fields, Operation } from '../attributes.ts'
import { ProviderError } from '../diagnostics.ts'
import type { Schema } from '../schema.ts'
import type { RawObject } from '../values/raw.ts'
import { decodeObject } from '../values/wire.ts'
import type { Decoded } from '../wire/protobuf.ts'
import type { dynamicValue } from '../wire/tfplugin6.ts'
import { toDiagnosticMessages, toDiagnostics } from './messages.ts'
import { timeoutSeconds } from './resource-calls.ts'
import { beginCall, type Call, refuseInterrupted, type Session } from './session.ts'

export type Named = { readonly name: string; readonly schema: Schema }

export function required<T>(definition: T | undefined, typeName: string): T {
  if (definition !== undefined) return definition
  throw new ProviderError(`This provider has no ${typeName}`, {
    detail: 'It may be of another version of the provider: look at required_providers.',
  })
}

export type Subject = { readonly subject: string; readonly fields: Fields }

export const subjectOf = (verb: string, typeName: string, definition: Named | undefined): Subject => ({
  subject: `${verb} ${typeName}`,
  fields: definition?.schema.fields ?? {},
})

type Answered<R> = R & { readonly diagnostics: ReturnType<typeof toDiagnosticMessages> }
type Asked<R> = {
  readonly seconds?: number
  /** What is answered beside the diagnostics when the call fails. */
  readonly fallback?: Partial<R>
}

/** Runs a call: whatever is thrown or reported is in the answer's diagnostics. */
export async function answer<Client, R extends object>(
  session: Session<Client>,
  { subject, fields }: Subject,
  run: (call: Call<Client>) => Promise<R>,
  { seconds, fallback }: Asked<R> = {},
): Promise<Answered<R>> {
  const call = beginCall(session, seconds)
  const started = performance.now()
  try {
    const response = await run(call)
    return { ...response, diagnostics: toDiagnosticMessages(fields, call.diagnostics) }
  } catch (error) {
    failCall(call, subject, error)
    return { ...fallback, diagnostics: toDiagnosticMessages(fields, call.diagnostics) } as Answered<R>
  } finally {
    call.end()
    session.log.debug(subject, { milliseconds: Math.round(performance.now() - started) })
  }
}

export function failCall<Client>(
  { diagnostics, context, session }: Call<Client>,
  subject: string,
  error: unknown,
): void {
  const isExpected = error instanceof ProviderError
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  session.log[isExpected ? 'debug' : 'error'](`${subject} failed`, { error: text })
  diagnostics.push(...toDiagnostics(error, subject, context.signal))
}

/** As `answer`, with the timeout that the object's own block or schema says. */
export async function answerTimed<Client, R extends object>(
  session: Session<Client>,
  subject: Subject & { readonly operation: Operation },
  value: Decoded<typeof dynamicValue> | undefined,
  {
    run,
    fallback,
  }: { readonly run: (call: Call<Client>, state: RawObject | null) => Promise<R>; readonly fallback: Partial<R> },
) {
  let state: RawObject | null = null
  let malformed: unknown
  try {
    state = decodeObject(subject.fields, value)
  } catch (error) {
    malformed = error
  }
  const seconds = timeoutSeconds(subject.fields, subject.operation, state)
  const runWhole = (call: Call<Client>) => {
    if (malformed !== undefined) throw malformed
    refuseInterrupted(call, subject.subject)
    return run(call, state)
  }
  return answer(session, subject, runWhole, { seconds, fallback })
}
