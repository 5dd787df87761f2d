/** The lines of `tofu plan -json` and `tofu apply -json`, as far as a sync reads them. Pure. */

import * as v from 'valibot'

const lineSchema = v.object({
  type: v.string(),
  change: v.optional(v.object({ action: v.string(), resource: v.object({ addr: v.string() }) })),
  hook: v.optional(v.object({ resource: v.object({ addr: v.string() }), action: v.optional(v.string(), '') })),
  diagnostic: v.optional(
    v.object({
      severity: v.string(),
      summary: v.string(),
      detail: v.optional(v.string(), ''),
      address: v.optional(v.string()),
    }),
  ),
})

export type TofuLine =
  | { readonly kind: 'planned'; readonly address: string; readonly action: string }
  | { readonly kind: 'drifted'; readonly address: string; readonly action: string }
  | { readonly kind: 'began' | 'done' | 'failed'; readonly address: string; readonly action: string }
  | { readonly kind: 'error'; readonly address: string | null; readonly summary: string; readonly detail: string }

const hooks = { apply_start: 'began', apply_complete: 'done', apply_errored: 'failed' } as const

/** Null: nothing that matters here, or no line of that form. */
export function parseTofuLine(line: string): TofuLine | null {
  if (!line.startsWith('{')) return null
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), lineSchema), line)
  if (!parsed.success) return null
  const { type, change, hook, diagnostic } = parsed.output
  if (diagnostic !== undefined && diagnostic.severity === 'error') {
    const { summary, detail, address = null } = diagnostic
    return { kind: 'error', address, summary, detail }
  }
  if (type === 'planned_change' && change !== undefined) return describe('planned', change)
  if (type === 'resource_drift' && change !== undefined) return describe('drifted', change)
  if (type in hooks && hook !== undefined) return describe(hooks[type as keyof typeof hooks], hook)
  return null
}

const describe = <Kind extends 'planned' | 'drifted' | 'began' | 'done' | 'failed'>(
  kind: Kind,
  { resource, action }: { readonly resource: { readonly addr: string }; readonly action: string },
) => ({ kind, address: resource.addr, action })
