/**
 * Finds out what on this machine would get in the way, each finding with its remedy. What the kernel can do is found out
 * by doing it, in a namespace that ends with the probe; nothing of the machine is changed.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, statSync } from 'node:fs'
import { networkInterfaces, totalmem } from 'node:os'
import { type Run, searchPath } from './commands.ts'
import { repositoryFolder } from './controller-process.ts'
import { forwardDropSources } from './forward-drop.ts'
import { isPortFree } from './machine-checks.ts'
import { apiPort, diskRootDefault, hostsDefault, natsPort } from './settings.ts'
import { isVersionAtLeast, parseVersion } from './versions.ts'

export type Finding = {
  readonly name: string
  readonly status: 'ok' | 'warn' | 'fail'
  readonly detail: string
  /** What to do about it; none where all is well. */
  readonly remedy?: string
}

type Probe = (run: Run) => Promise<readonly Finding[]>

const megabyte = 1024 * 1024
/** What a lab of three hosts with a balancer takes, with room to spare. */
const memoryWantedBytes = 1024 * megabyte
const diskWantedBytes = 1024 * megabyte
const filesWanted = 4096
const neighboursWanted = 16_384
const watchesWanted = 8192

/** All findings. `isLabRunning`: then the ports are taken by it, as they should be. */
export async function examineMachine(run: Run, options: { readonly isLabRunning: boolean }): Promise<Finding[]> {
  const root = findRoot()
  const probes: Probe[] = [findPrograms, findForwardDrop, () => findPorts(options.isLabRunning), findAddresses]
  const kernel: Probe[] = root.status === 'ok' ? [probeKernel] : []
  const found = await Promise.all([...kernel, ...probes].map((probe) => probe(run)))
  return [
    root,
    ...found.flat(),
    findMemory(),
    findDisk(),
    findOpenFiles(),
    findNeighbours(),
    findWatches(),
    findClock(),
  ]
}

const ok = (name: string, detail: string): Finding => ({ name, status: 'ok', detail })
const warn = (name: string, detail: string, remedy: string): Finding => ({ name, status: 'warn', detail, remedy })
const fail = (name: string, detail: string, remedy: string): Finding => ({ name, status: 'fail', detail, remedy })

function findRoot(): Finding {
  if (process.getuid?.() === 0) return ok('root', 'this is root')
  return fail('root', 'this is not root: the kernel could not be probed', 'run `sluice doctor` as root')
}

const kernelProbes: readonly { readonly name: string; readonly script: string; readonly remedy: string }[] = [
  {
    name: 'namespaces',
    script: 'unshare --net --mount --pid --uts --fork --kill-child --mount-proc true',
    remedy: 'allow namespaces: in a container, run it privileged',
  },
  ...[
    { name: 'bridge', module: 'bridge', arguments: 'probe0 type bridge' },
    { name: 'veth', module: 'veth', arguments: 'probe0 type veth peer name probe1' },
    { name: 'vxlan', module: 'vxlan', arguments: 'probe0 type vxlan id 1 dstport 4789 dev lo' },
    { name: 'macvlan', module: 'macvlan', arguments: 'probe1 link probe0 type macvlan mode bridge' },
  ].map(({ name, module, arguments: words }) => ({
    name,
    script: `unshare --net sh -ec 'ip link set lo up
      ${name === 'macvlan' ? 'ip link add probe0 type veth peer name probe2;' : ''} ip link add ${words}'`,
    remedy: `\`modprobe ${module}\`, or a kernel that has it (CONFIG_${module.toUpperCase()})`,
  })),
  {
    name: 'nftables, bridge family',
    script: `unshare --net sh -ec 'nft add table bridge probe
      nft add chain bridge probe forward "{ type filter hook forward priority 0; }"
      nft add rule bridge probe forward arp saddr ip 192.0.2.1 drop'`,
    remedy: '`modprobe nf_tables_bridge`, or a kernel that has it (CONFIG_NF_TABLES_BRIDGE)',
  },
  {
    name: 'realtime priority',
    script: 'chrt --rr 50 true',
    remedy: 'allow CAP_SYS_NICE, and no `kernel.sched_rt_runtime_us` of 0: keepalived flaps under load without it',
  },
  {
    name: 'non-local binding',
    script: 'unshare --net sysctl -q -w net.ipv4.ip_nonlocal_bind=1',
    remedy: 'mount /proc/sys writable: haproxy binds VIPs before it holds them',
  },
]

async function probeKernel(run: Run): Promise<Finding[]> {
  const probed = await Promise.all(
    kernelProbes.map(async ({ name, script, remedy }) => {
      const result = await run(['sh', '-c', script])
      if (result.exitCode === 0) return ok(name, 'works')
      return fail(name, `does not work: ${lastLine(result.stderr)}`, remedy)
    }),
  )
  return [...probed, await probeOverlay(run)]
}

/** The lab's hosts see /etc and /var/lib through overlays, which not every file system can carry. */
async function probeOverlay(run: Run): Promise<Finding> {
  const root = process.env.SLUICE_LAB_DISKS ?? diskRootDefault
  const parent = existingParent(root)
  const folder = mkdtempSync(`${parent}/sluice-doctor-`)
  try {
    for (const layer of ['upper', 'work']) mkdirSync(`${folder}/${layer}`)
    const layers = `volatile,lowerdir=/etc,upperdir=${folder}/upper,workdir=${folder}/work`
    const result = await run(['unshare', '--mount', 'mount', '-n', '-t', 'overlay', '-o', layers, 'overlay', '/etc'])
    if (result.exitCode === 0) return ok('overlay', `works on ${parent}`)
    const remedy = "set SLUICE_LAB_DISKS to a folder on ext4, xfs or tmpfs, that isn't itself on an overlay"
    return fail('overlay', `does not work on ${parent}: ${lastLine(result.stderr)}`, remedy)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const programs: readonly {
  readonly argv: readonly string[]
  readonly least?: string
  /** What is left out without it, where all else goes on. */
  readonly optionalFor?: string
}[] = [
  { argv: ['bun', '--version'], least: '1.4.0' },
  { argv: ['nats-server', '--version'], least: '2.15.0' },
  { argv: ['haproxy', '-v'], least: '2.6.0' },
  { argv: ['keepalived', '--version'], least: '2.2.0' },
  { argv: ['dnsmasq', '--version'], least: '2.80' },
  { argv: ['nft', '--version'], least: '1.0.0' },
  { argv: ['ip', '-V'] },
  { argv: ['ss', '-V'] },
  { argv: ['ping', '-V'] },
  { argv: ['busybox'] },
  { argv: ['tini', '--version'] },
  { argv: ['knotd', '--version'], least: '3.0', optionalFor: 'name server' },
]

async function findPrograms(run: Run): Promise<Finding[]> {
  return await Promise.all(
    programs.map(async ({ argv, least, optionalFor }) => {
      const [program = ''] = argv
      const path = Bun.which(program, { PATH: searchPath() })
      if (path === null && optionalFor !== undefined) {
        return warn(program, `not installed: a lab has no ${optionalFor} without it`, '`scripts/setup` installs it')
      }
      if (path === null) return fail(program, 'not installed', '`scripts/setup` installs it')
      const result = await run(argv)
      const version = parseVersion(`${result.stdout}\n${result.stderr}`)
      if (least === undefined) return ok(program, version ?? path)
      if (version === undefined) return fail(program, `${path} does not tell its version`, `install ${least} or later`)
      if (isVersionAtLeast(version, least)) return ok(program, `${version}, ${least} or later is needed`)
      return fail(program, `${path} is ${version}, too old`, `put ${least} or later first on PATH; see scripts/setup`)
    }),
  )
}

/** Where bridged packets pass a FORWARD chain that drops, all traffic of our bridges is lost. */
async function findForwardDrop(run: Run): Promise<Finding[]> {
  const name = 'bridged traffic'
  if (readOr('0', '/proc/sys/net/bridge/bridge-nf-call-iptables') === '0') return [ok(name, 'passes no FORWARD chain')]
  const sources = await forwardDropSources(run)
  if (sources.length === 0) return [ok(name, 'passes the FORWARD chain, which drops nothing by default')]
  return [
    warn(
      name,
      `br_netfilter sends it through FORWARD, which drops by default (${sources.join(', ')}): as a host, this machine ` +
        "would lose all traffic of its bridges; a lab's hosts have chains of their own",
      '`sysctl -w net.bridge.bridge-nf-call-iptables=0`, and the same in /etc/sysctl.d to keep it',
    ),
  ]
}

async function findPorts(isLabRunning: boolean): Promise<Finding[]> {
  if (isLabRunning) return [ok('ports', `${apiPort} and ${natsPort} are the lab's that runs`)]
  return await Promise.all(
    [apiPort, natsPort].map(async (port) => {
      if (await isPortFree(port)) return ok(`port ${port}`, 'free')
      // nats-server listens on the lab's own address, so one on another address may stay.
      const make = port === apiPort ? fail : warn
      return make(`port ${port}`, 'taken', `\`ss -ltnp sport = :${port}\` tells by whom; end it, or move it`)
    }),
  )
}

/** The lab takes 198.18.0.0/15, which is set aside for such use (RFC 2544). */
async function findAddresses(): Promise<Finding[]> {
  const taken = Object.entries(networkInterfaces()).flatMap(([link, addresses = []]) =>
    addresses.filter(({ address }) => /^198\.1[89]\./.test(address)).map(({ address }) => ({ link, address })),
  )
  const foreign = taken.filter(({ link }) => !link.startsWith('lab-'))
  if (foreign.length === 0) return [ok('addresses', '198.18.0.0/15 is free')]
  const which = foreign.map(({ link, address }) => `${address} on ${link}`).join(', ')
  return [warn('addresses', `${which} is of the lab's 198.18.0.0/15`, 'take it away while a lab runs')]
}

function findMemory(): Finding {
  const available = Number(/MemAvailable:\s+(\d+)/.exec(readOr('', '/proc/meminfo'))?.[1] ?? totalmem() / 1024) * 1024
  const detail = `${Math.round(available / megabyte)} MB available`
  if (available >= memoryWantedBytes) return ok('memory', detail)
  return warn('memory', detail, `a lab of ${hostsDefault} hosts wants ${memoryWantedBytes / megabyte} MB`)
}

function findDisk(): Finding {
  const folder = existingParent(process.env.SLUICE_LAB_DISKS ?? diskRootDefault)
  const { bavail, bsize } = statfsSync(folder)
  const detail = `${Math.round((bavail * bsize) / megabyte)} MB free under ${folder}`
  if (bavail * bsize >= diskWantedBytes) return ok('disk', detail)
  return warn('disk', detail, `free ${diskWantedBytes / megabyte} MB, or set SLUICE_LAB_DISKS to another folder`)
}

function findOpenFiles(): Finding {
  const [, , hard = '0'] = /Max open files\s+(\S+)\s+(\S+)/.exec(readOr('', '/proc/self/limits')) ?? []
  if (hard === 'unlimited' || Number(hard) >= filesWanted) return ok('open files', `up to ${hard}`)
  return warn('open files', `at most ${hard}`, `\`ulimit -Hn ${filesWanted}\`: haproxy holds two for each connection`)
}

/** One table serves all namespaces of a machine; a namespace within can't see how large it may grow. */
function findNeighbours(): Finding {
  const most = readOr('unseen', '/proc/sys/net/ipv4/neigh/default/gc_thresh3')
  if (most === 'unseen' || Number(most) >= neighboursWanted) return ok('neighbours', `up to ${most}`)
  return warn(
    'neighbours',
    `the kernel keeps ${most} for all namespaces together: a hundred load balancers fill them, and then nothing new is reached`,
    '`scripts/setup` raises net.ipv4.neigh.default.gc_thresh3, and keeps it in /etc/sysctl.d',
  )
}

/** Each keepalived and each agent has one; they are counted for all of root's processes together. */
function findWatches(): Finding {
  const most = readOr('unseen', '/proc/sys/fs/inotify/max_user_instances')
  if (most === 'unseen' || Number(most) >= watchesWanted) return ok('followers of files', `up to ${most}`)
  return warn(
    'followers of files',
    `the kernel has room for ${most}: with more keepaliveds than that, some never hear that their haproxy has died`,
    '`scripts/setup` raises fs.inotify.max_user_instances, and keeps it in /etc/sysctl.d',
  )
}

/** Certificates and tokens carry times: a clock that stands before this program was made refuses all of them. */
function findClock(): Finding {
  const madeAt = statSync(`${repositoryFolder}/package.json`).mtimeMs
  if (Date.now() >= madeAt) return ok('clock', new Date().toISOString())
  return fail('clock', `${new Date().toISOString()} is before this program was installed`, 'set it: `date -s`, or NTP')
}

function existingParent(path: string): string {
  try {
    statSync(path)
    return path
  } catch {
    return existingParent(path.slice(0, path.lastIndexOf('/')) || '/')
  }
}

const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? ''

function readOr(fallback: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return fallback
  }
}
