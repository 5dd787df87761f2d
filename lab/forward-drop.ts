/** Which packet filters of this machine drop what is forwarded unless a rule allows it, as Docker sets it. Reads only. */

import { existsSync, readFileSync } from 'node:fs'
import * as v from 'valibot'
import { type Run, searchPath } from './commands.ts'

const rulesetSchema = v.object({
  nftables: v.array(
    v.looseObject({
      chain: v.optional(
        v.looseObject({
          family: v.string(),
          table: v.string(),
          name: v.string(),
          hook: v.optional(v.string()),
          policy: v.optional(v.string()),
        }),
      ),
    }),
  ),
})

/** Each as an operator would name it; empty when nothing drops. */
export async function forwardDropSources(run: Run): Promise<string[]> {
  const sources: string[] = []
  const listed = await run(['nft', '-j', 'list', 'chains'])
  if (listed.exitCode === 0) sources.push(...dropsOfRuleset(listed.stdout))
  const legacy = Bun.which('iptables-legacy', { PATH: searchPath() })
  if (legacy !== null && hasLegacyFilter()) {
    const rules = await run([legacy, '-S', 'FORWARD'])
    if (rules.stdout.includes('-P FORWARD DROP')) sources.push('iptables-legacy FORWARD')
  }
  return sources
}

/** To ask the program where there is no such table would make one, and a lock file. */
function hasLegacyFilter(): boolean {
  const tables = '/proc/net/ip_tables_names'
  return existsSync(tables) && readFileSync(tables, 'utf8').split('\n').includes('filter')
}

/** The chains of `nft -j list chains` that see IPv4 being forwarded and drop by default. */
export function dropsOfRuleset(rulesetJson: string): string[] {
  const { nftables } = v.parse(rulesetSchema, JSON.parse(rulesetJson))
  return nftables.flatMap(({ chain }) => {
    if (chain?.hook !== 'forward' || chain.policy !== 'drop') return []
    if (chain.family !== 'ip' && chain.family !== 'inet') return []
    return [`nft chain ${chain.family} ${chain.table} ${chain.name}`]
  })
}
