/** The text that Prometheus scrapes, in its own format and as OpenMetrics 1.0. Pure. */

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Without `_total` and `_info`, which its samples have. */
export interface Family {
  readonly name: string
  readonly kind: 'counter' | 'gauge' | 'info'
  readonly help: string
  readonly samples: readonly Sample[]
}

export type ExpositionFormat = 'prometheus' | 'openMetrics'

export const expositionTypes: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openMetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

/** What a scraper accepts; Prometheus names OpenMetrics where it reads it. */
export const chooseFormat = (accept: string | null): ExpositionFormat =>
  /application\/openmetrics-text/.test(accept ?? '') ? 'openMetrics' : 'prometheus'

/** Families without samples are left out; each name may be there once. */
export function renderExposition(families: readonly Family[], format: ExpositionFormat): string {
  const lines: string[] = []
  for (const { name, kind, help, samples } of families) {
    if (samples.length === 0) continue
    const sampleName = `${name}${suffixes[kind]}`
    // OpenMetrics knows a family by its bare name, and Prometheus' own format by that of its samples.
    const familyName = format === 'openMetrics' ? name : sampleName
    const type = kind === 'info' && format === 'prometheus' ? 'gauge' : kind
    lines.push(`# HELP ${familyName} ${escapeHelp(help)}`, `# TYPE ${familyName} ${type}`)
    for (const { labels, value } of samples)
      lines.push(`${sampleName}${describeLabels(labels)} ${describeValue(value)}`)
  }
  if (format === 'openMetrics') lines.push('# EOF')
  return `${lines.join('\n')}\n`
}

const suffixes = { counter: '_total', gauge: '', info: '_info' } as const

function describeLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function describeValue(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (Number.isFinite(value)) return String(value)
  return value > 0 ? '+Inf' : '-Inf'
}

const escapeLabel = (text: string) =>
  text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`))
const escapeHelp = (text: string) => text.replace(/[\\\n]/g, (character) => (character === '\n' ? '\\n' : '\\\\'))
