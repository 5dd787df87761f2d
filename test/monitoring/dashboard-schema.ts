/**
 * A Grafana dashboard as its JSON model documents it (schemaVersion 36 and later), as far as ours uses it: what Grafana
 * would refuse or silently leave out is refused here. Grafana itself is too large to be installed for a test.
 */

import * as v from 'valibot'

const gridColumns = 24

const whole = (least: number, most: number) => v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most))

/** The one that is chosen above the dashboard. */
const datasourceSchema = v.strictObject({
  type: v.literal('prometheus'),
  uid: v.pipe(v.string(), v.regex(/^\$\{datasource\}$/)),
})

const gridPositionSchema = v.pipe(
  v.strictObject({ x: whole(0, gridColumns - 1), y: whole(0, 1000), w: whole(1, gridColumns), h: whole(1, 40) }),
  v.check(({ x, w }) => x + w <= gridColumns, `must end within ${gridColumns} columns`),
)

const targetSchema = v.strictObject({
  refId: v.pipe(v.string(), v.regex(/^[A-Z]$/)),
  datasource: datasourceSchema,
  editorMode: v.literal('code'),
  expr: v.pipe(v.string(), v.minLength(1)),
  legendFormat: v.string(),
  range: v.literal(true),
})

/** Of Grafana's units, those that are used here. */
const units = ['none', 'reqps', 'percentunit', 's', 'Bps', 'bytes'] as const

const fieldConfigSchema = v.strictObject({
  defaults: v.strictObject({
    unit: v.picklist(units),
    min: v.optional(v.number()),
    max: v.optional(v.number()),
    custom: v.optional(
      v.strictObject({
        fillOpacity: v.optional(whole(0, 100)),
        stacking: v.optional(v.strictObject({ group: v.string(), mode: v.picklist(['none', 'normal', 'percent']) })),
      }),
    ),
    thresholds: v.optional(
      v.strictObject({
        mode: v.picklist(['absolute', 'percentage']),
        // The first step has no value: it begins at minus infinity.
        steps: v.pipe(
          v.array(v.strictObject({ color: v.string(), value: v.nullable(v.number()) })),
          v.check((steps) => steps.every(({ value }, i) => (i === 0) === (value === null)), 'begin with null, once'),
        ),
      }),
    ),
  }),
  overrides: v.array(v.never()),
})

const common = { id: whole(1, 10_000), title: v.pipe(v.string(), v.minLength(1)), gridPos: gridPositionSchema }
const withTargets = {
  ...common,
  description: v.string(),
  datasource: datasourceSchema,
  fieldConfig: fieldConfigSchema,
  targets: v.pipe(
    v.array(targetSchema),
    v.minLength(1),
    v.check((targets) => new Set(targets.map(({ refId }) => refId)).size === targets.length, 'name each target once'),
  ),
}

const panelSchema = v.variant('type', [
  v.strictObject({
    ...common,
    type: v.literal('row'),
    collapsed: v.literal(false),
    panels: v.pipe(v.array(v.never())),
  }),
  v.strictObject({
    ...withTargets,
    type: v.literal('timeseries'),
    options: v.strictObject({
      legend: v.strictObject({
        displayMode: v.picklist(['list', 'table', 'hidden']),
        placement: v.picklist(['bottom', 'right']),
        showLegend: v.boolean(),
      }),
      tooltip: v.strictObject({
        mode: v.picklist(['single', 'multi', 'none']),
        sort: v.picklist(['none', 'asc', 'desc']),
      }),
    }),
  }),
  v.strictObject({
    ...withTargets,
    type: v.literal('stat'),
    options: v.strictObject({
      colorMode: v.picklist(['none', 'value', 'background']),
      graphMode: v.picklist(['none', 'area']),
      justifyMode: v.picklist(['auto', 'center']),
      orientation: v.picklist(['auto', 'horizontal', 'vertical']),
      reduceOptions: v.strictObject({
        calcs: v.array(v.picklist(['lastNotNull', 'mean'])),
        fields: v.string(),
        values: v.boolean(),
      }),
      textMode: v.picklist(['auto', 'value', 'name']),
    }),
  }),
])

const variable = {
  name: v.pipe(v.string(), v.regex(/^\w+$/)),
  label: v.string(),
  current: v.strictObject({}),
  hide: whole(0, 2),
  includeAll: v.boolean(),
  multi: v.boolean(),
  options: v.array(v.never()),
  refresh: whole(0, 2),
  regex: v.string(),
  skipUrlSync: v.boolean(),
}

const variableSchema = v.variant('type', [
  v.strictObject({ ...variable, type: v.literal('datasource'), query: v.literal('prometheus') }),
  v.strictObject({
    ...variable,
    type: v.literal('query'),
    datasource: datasourceSchema,
    definition: v.string(),
    query: v.strictObject({ query: v.string(), refId: v.string() }),
    allValue: v.string(),
    sort: whole(0, 6),
  }),
])

export const dashboardSchema = v.pipe(
  v.strictObject({
    uid: v.pipe(v.string(), v.regex(/^[\w-]{1,40}$/)),
    title: v.pipe(v.string(), v.minLength(1)),
    tags: v.array(v.string()),
    schemaVersion: whole(36, 41),
    version: whole(0, 1_000_000),
    editable: v.boolean(),
    graphTooltip: whole(0, 2),
    refresh: v.pipe(v.string(), v.regex(/^\d+[smhd]$/)),
    timezone: v.picklist(['browser', 'utc', '']),
    style: v.picklist(['dark', 'light']),
    weekStart: v.string(),
    fiscalYearStartMonth: whole(0, 11),
    liveNow: v.boolean(),
    links: v.array(v.never()),
    time: v.strictObject({ from: v.string(), to: v.string() }),
    timepicker: v.strictObject({}),
    annotations: v.strictObject({ list: v.array(v.looseObject({ name: v.string(), type: v.literal('dashboard') })) }),
    templating: v.strictObject({ list: v.array(variableSchema) }),
    panels: v.array(panelSchema),
  }),
  v.check(
    ({ panels }) => new Set(panels.map(({ id }) => id)).size === panels.length,
    'give each panel an id of its own',
  ),
  v.check(({ panels }) => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
    )
    return new Set(cells).size === cells.length
  }, 'put no panel upon another'),
)

export type Dashboard = v.InferOutput<typeof dashboardSchema>

/** Every expression of a dashboard, its variables replaced by what they stand for while all is shown. */
export function listExpressions({ panels }: Dashboard): string[] {
  return panels
    .flatMap((panel) => ('targets' in panel ? panel.targets.map(({ expr }) => expr) : []))
    .map((expr) => expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(project|balancer)/g, '.*'))
}
