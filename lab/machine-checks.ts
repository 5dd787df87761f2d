/** What on this machine makes a lab impossible right now, each with its remedy. Quick: `sluice doctor` looks deeper. */

import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { searchPath } from './commands.ts'
import { apiPort, controllerAddress, type LabSettings, machineAddress, machineLink } from './settings.ts'

const programsNeeded = ['ip', 'unshare', 'nsenter', 'tini', 'mount', 'sysctl', 'hostname', 'setsid']
const programsOfAgent = ['haproxy', 'keepalived', 'dnsmasq', 'nft', 'bridge', 'ss', 'ping', 'busybox', 'nats-server']

export async function whatForbidsALab(settings: LabSettings): Promise<string[]> {
  if (process.getuid?.() !== 0) {
    return ['a lab needs root, since it makes namespaces and links; run this command as root']
  }
  const programs = settings.bare ? programsNeeded : [...programsNeeded, ...programsOfAgent]
  const missing = programs.filter((program) => Bun.which(program, { PATH: searchPath() }) === null)
  const reasons = missing.length === 0 ? [] : [`not installed: ${missing.join(', ')}; \`scripts/setup\` installs them`]
  if (settings.bare) return reasons
  const address = settings.cluster === null ? controllerAddress : machineAddress
  const holder = linkWithAddress(address)
  if (holder !== undefined && holder !== machineLink(settings.name)) {
    reasons.push(
      `${address} is on ${holder} already; if that is another lab, end it first (\`sluice lab down --name …\`)`,
    )
  }
  if (settings.cluster === null && !(await isPortFree(apiPort))) {
    reasons.push(`port ${apiPort} on 127.0.0.1 is taken; \`ss -ltnp sport = :${apiPort}\` tells by whom`)
  }
  return reasons
}

export function linkWithAddress(address: string): string | undefined {
  const links = Object.entries(networkInterfaces())
  return links.find(([, addresses]) => addresses?.some((one) => one.address === address))?.[0]
}

export function isPortFree(port: number, address = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, address, () => server.close(() => resolve(true)))
  })
}
