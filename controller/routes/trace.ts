/** The W3C trace context of a request: taken from it, or made. Pure. */

const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

export interface Trace {
  readonly traceparent: string
  readonly traceId: string
}

/** This request's own span within the caller's trace; a new trace when the caller gives none that is valid. */
export function continueTrace(header: string | null, random: (bytes: number) => Uint8Array): Trace {
  const hex = (bytes: number) => Buffer.from(random(bytes)).toString('hex')
  const [, version, traceId = '', spanId = '', flags = '01', more] = pattern.exec(header?.trim() ?? '') ?? []
  const isValid =
    version !== undefined &&
    version !== 'ff' &&
    !/^0+$/.test(traceId) &&
    !/^0+$/.test(spanId) &&
    !(version === '00' && more !== undefined)
  const own = isValid ? traceId : hex(16)
  return { traceparent: `00-${own}-${hex(8)}-${isValid ? flags : '01'}`, traceId: own }
}
