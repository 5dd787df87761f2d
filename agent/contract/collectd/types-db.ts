/** Reads collectd's `types.db`: which data sources a type has, each `name:KIND:minimum:maximum`. Pure. */

import { type DataSource, pointTypes } from '../point-types.ts'
import { type DataSourceKind, dataSourceKinds } from '../points.ts'

export interface TypeSource {
  readonly name: string
  readonly kind: DataSourceKind
}

/** By the type's name. */
export type KnownTypes = ReadonlyMap<string, readonly TypeSource[]>

const isKind = (text: string): text is DataSourceKind => dataSourceKinds.some((kind) => kind === text)

/** Lines that are not as they should be are passed over, as collectd does; of a type that is there twice the last counts. */
export function parseTypesDb(text: string): Map<string, readonly TypeSource[]> {
  const types = new Map<string, readonly TypeSource[]>()
  for (const line of text.split('\n')) {
    const [type, ...columns] = line
      .replace(/#.*/, '')
      .trim()
      .split(/[\s,]+/)
    if (type === undefined || type === '' || columns.length === 0) continue
    const sources = columns.flatMap((column): TypeSource[] => {
      const [name, kind = ''] = column.split(':')
      return name !== undefined && name !== '' && isKind(kind) ? [{ name, kind }] : []
    })
    if (sources.length === columns.length) types.set(type, sources)
  }
  return types
}

/**
 * What is known of types: some that nearly every collectd sends, those of the files at hand, and ours, which nobody else may
 * change.
 */
export function knownTypes(texts: readonly string[]): KnownTypes {
  const types = parseTypesDb(commonTypesDb)
  for (const text of texts) for (const [type, sources] of parseTypesDb(text)) types.set(type, sources)
  for (const [type, sources] of Object.entries<readonly DataSource[]>(pointTypes)) types.set(type, sources)
  return types
}

/** Where Debian has collectd's own. */
export const typesDbFile = '/usr/share/collectd/types.db'

/** For where there is no collectd, as on most controllers: what its usual plugins send. */
const commonTypesDb = `
absolute value:ABSOLUTE:0:U
bytes value:GAUGE:0:U
cache_size value:GAUGE:0:1125899906842623
conntrack value:GAUGE:0:4294967295
contextswitch value:DERIVE:0:U
count value:GAUGE:0:U
counter value:COUNTER:U:U
cpu value:DERIVE:0:U
derive value:DERIVE:0:U
df_complex value:GAUGE:0:U
disk_io_time io_time:DERIVE:0:U, weighted_io_time:DERIVE:0:U
disk_merged read:DERIVE:0:U, write:DERIVE:0:U
disk_octets read:DERIVE:0:U, write:DERIVE:0:U
disk_ops read:DERIVE:0:U, write:DERIVE:0:U
disk_time read:DERIVE:0:U, write:DERIVE:0:U
entropy value:GAUGE:0:4294967295
fork_rate value:DERIVE:0:U
gauge value:GAUGE:U:U
if_dropped rx:DERIVE:0:U, tx:DERIVE:0:U
if_errors rx:DERIVE:0:U, tx:DERIVE:0:U
if_octets rx:DERIVE:0:U, tx:DERIVE:0:U
if_packets rx:DERIVE:0:U, tx:DERIVE:0:U
irq value:DERIVE:0:U
latency value:GAUGE:0:U
load shortterm:GAUGE:0:5000, midterm:GAUGE:0:5000, longterm:GAUGE:0:5000
memory value:GAUGE:0:281474976710656
operations value:DERIVE:0:U
percent value:GAUGE:0:100.1
ping value:GAUGE:0:65535
pending_operations value:GAUGE:0:U
ps_cputime user:DERIVE:0:U, syst:DERIVE:0:U
ps_count processes:GAUGE:0:1000000, threads:GAUGE:0:1000000
ps_rss value:GAUGE:0:9223372036854775807
ps_state value:GAUGE:0:65535
response_time value:GAUGE:0:U
swap value:GAUGE:0:1099511627776
swap_io value:DERIVE:0:U
tcp_connections value:GAUGE:0:4294967295
temperature value:GAUGE:U:U
total_bytes value:DERIVE:0:U
total_operations value:DERIVE:0:U
uptime value:GAUGE:0:4294967295
users users:GAUGE:0:65535
vmpage_io in:DERIVE:0:U, out:DERIVE:0:U
voltage value:GAUGE:U:U
`
