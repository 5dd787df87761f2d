/** Parameters and refusals that many routes share. Pure. */

import * as v from 'valibot'

export const commonProblems = ['invalid', 'unauthenticated', 'unavailable', 'internal'] as const
export const textParameter = v.optional(v.pipe(v.string(), v.maxLength(200)))
export const limitParameter = v.optional(
  v.pipe(
    v.string(),
    v.regex(/^\d{1,4}$/, 'must be a whole number from 1 to 1000'),
    v.transform(Number),
    v.minValue(1, 'must be 1 to 1000'),
    v.maxValue(1000, 'must be 1 to 1000'),
  ),
)
export const waitEntries = {
  wait: v.optional(v.pipe(v.string(), v.description('`true`: answer when hosts have done it'))),
  timeout: v.optional(v.pipe(v.string(), v.description('How long to wait: `500ms`, `60s`, `2m`; 60s when left out'))),
}

export const versionParameter = v.pipe(
  v.string(),
  v.regex(/^[1-9]\d{0,14}$/, 'must be a whole number from 1'),
  v.transform(Number),
)
/** Of what changes an object that is there. */
export const changeEntries = {
  ...waitEntries,
  currentVersion: v.optional(
    v.pipe(
      versionParameter,
      v.description(
        'The version that the change was decided on. What others have changed since stays; a field that both have changed is escalated. If-Match is stricter: it refuses any other version',
      ),
    ),
  ),
}
