/** Things on a lab's host that are not ours: a bridge, a namespace, and a haproxy within it. The host's end ends them. */

import { waitUntil } from '../../lab/wait.ts'
import type { Outside } from './lab-client.ts'

export interface ForeignThings {
  /** The status that the foreign haproxy answers, as text. */
  ask(): Promise<string>
  /** Who they are by what the kernel calls them: made anew, they would have other numbers. */
  describe(): Promise<string>
}

const configuration = [
  'defaults',
  '  mode http',
  '  timeout client 1s',
  '  timeout server 1s',
  '  timeout connect 1s',
  'listen foreign',
  '  bind 127.0.0.1:8181',
  '  http-request return status 200',
].join('\n')

const making = [
  'ip link add foreign0 type bridge && ip link set foreign0 up && ip address add 192.0.2.1/24 dev foreign0',
  'ip netns add foreign && ip -n foreign link set lo up',
  `printf '%s\\n' "${configuration}" > /run/foreign.cfg`,
  'setsid ip netns exec foreign haproxy -db -f /run/foreign.cfg </dev/null >/dev/null 2>&1 & echo $! > /run/foreign.pid',
].join('\n')

const describing = [
  'cat /sys/class/net/foreign0/ifindex',
  'ip -brief address show foreign0',
  'stat -c %i /run/netns/foreign',
  'cat /run/foreign.pid',
  'cat /proc/$(cat /run/foreign.pid)/comm',
].join('; ')

export async function createForeignThings(outside: Outside, host: string): Promise<ForeignThings> {
  const made = await outside.on(host, 'sh', '-ec', making)
  if (made.exitCode !== 0) throw new Error(`foreign things could not be made: ${made.stderr}`)
  const curl = ['curl', '--silent', '--output', '/dev/null', '--write-out', '%{http_code}', 'http://127.0.0.1:8181/']
  const ask = async () => (await outside.on(host, 'ip', 'netns', 'exec', 'foreign', ...curl)).stdout
  await waitUntil(async () => (await ask()) === '200', { what: () => 'the foreign haproxy', timeoutSeconds: 5 })
  return { ask, describe: async () => (await outside.on(host, 'sh', '-c', describing)).stdout }
}
