/** Renders the resolv.conf of a machine: its gateway answers for names. Pure. */

export interface ResolvConf {
  readonly nameServers: readonly string[]
  readonly domain?: string | undefined
}

export function renderResolvConf({ nameServers, domain }: ResolvConf): string {
  const rows = [
    ...(domain === undefined ? [] : [`search ${domain}`]),
    ...nameServers.map((address) => `nameserver ${address}`),
  ]
  return rows.map((row) => `${row}\n`).join('')
}
