/**
 * Renders the config of a collectd that measures a host and sends it to the host's agent, by its network plugin or by
 * write_http, and that may take the agent's points by its exec plugin. Pure.
 */

export interface CollectdPlace {
  /** The host's name as Sluice has it: the agent takes points of no other. */
  readonly host: string
  readonly intervalSeconds: number
  /** collectd's own, and ours where it is to take the agent's points. */
  readonly typesFiles: readonly string[]
  /** Plugins that measure, as `cpu`. */
  readonly sources: readonly string[]
  /** Where packets go, and how they are protected; left out: none go. */
  readonly network?: CollectdNetwork
  /** The agent's URL for write_http; left out: nothing is posted. */
  readonly writeUrl?: string
  /** Takes the agent's points; left out: they are for NATS alone. */
  readonly exec?: CollectdExec
}

export interface CollectdNetwork {
  readonly address: string
  readonly port: number
  readonly protection: 'none' | 'signed' | 'encrypted'
  /** Of protected packets. */
  readonly user?: string
  readonly password?: string
}

export interface CollectdExec {
  /** collectd starts nothing as root. */
  readonly user: string
  readonly argv: readonly string[]
  /** The plugins that the agent's points are written by; the agent itself would refuse them. */
  readonly writers: readonly string[]
}

export function renderCollectdConfig(place: CollectdPlace): string {
  const { network, writeUrl, exec } = place
  const sections = [
    [
      `Hostname ${quote(place.host)}`,
      'FQDNLookup false',
      `Interval ${place.intervalSeconds}`,
      `TypesDB ${place.typesFiles.map(quote).join(' ')}`,
    ],
    place.sources.map((name) => `LoadPlugin ${name}`),
    ...(network === undefined ? [] : [renderNetwork(network, place.intervalSeconds)]),
    ...(writeUrl === undefined ? [] : [renderWriteHttp(writeUrl, place.intervalSeconds)]),
    ...(exec === undefined ? [] : [renderExec(exec), renderChain(exec)]),
  ]
  return sections.map((lines) => `${lines.join('\n')}\n`).join('\n')
}

function renderNetwork(
  { address, port, protection, user, password }: CollectdNetwork,
  intervalSeconds: number,
): string[] {
  const level = { none: 'None', signed: 'Sign', encrypted: 'Encrypt' }[protection]
  const credentials =
    protection === 'none' ? [] : [`    Username ${quote(user ?? '')}`, `    Password ${quote(password ?? '')}`]
  return [
    ...loadSender('network', intervalSeconds),
    '<Plugin network>',
    `  <Server ${quote(address)} ${quote(String(port))}>`,
    `    SecurityLevel ${quote(level)}`,
    ...credentials,
    '  </Server>',
    '</Plugin>',
  ]
}

/** A packet that isn't full goes once an interval, so that what was measured is not late by more than that. */
const loadSender = (name: string, intervalSeconds: number) => [
  `<LoadPlugin ${name}>`,
  `  FlushInterval ${intervalSeconds}`,
  '</LoadPlugin>',
]

/** Counters as they are: rates would say that they are counters. */
const renderWriteHttp = (url: string, intervalSeconds: number) => [
  ...loadSender('write_http', intervalSeconds),
  '<Plugin write_http>',
  '  <Node "sluice">',
  `    URL ${quote(url)}`,
  '    Format "JSON"',
  '    StoreRates false',
  '    Timeout 5000',
  '  </Node>',
  '</Plugin>',
]

const renderExec = ({ user, argv }: CollectdExec) => [
  'LoadPlugin exec',
  '<Plugin exec>',
  `  Exec ${[user, ...argv].map(quote).join(' ')}`,
  '</Plugin>',
]

/** What came from the agent does not go back to it. */
const renderChain = ({ writers }: CollectdExec) => [
  'LoadPlugin match_regex',
  'PostCacheChain "PostCache"',
  '<Chain "PostCache">',
  '  <Rule "sluice">',
  '    <Match "regex">',
  '      Plugin "^sluice_"',
  '    </Match>',
  '    <Target "write">',
  ...writers.map((name) => `      Plugin ${quote(name)}`),
  '    </Target>',
  '    Target "stop"',
  '  </Rule>',
  '  Target "write"',
  '</Chain>',
]

/** As collectd's parser has it: within double quotes only these two mean something else. */
function quote(text: string): string {
  if (/[\0\n\r]/.test(text)) throw new Error('BUG: a word of a config with the end of a line in it')
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}
