/**
 * Reads what the kernel holds, and remembers it: a part is read again only after somebody has marked it as changed, or
 * when its turn in the slow round comes. It changes nothing.
 */

import { readdirSync, statSync } from 'node:fs'
import { bridgeRulesTable } from '../../templates/bridge-rules.ts'
import { idPattern } from '../contract/host-instructions.ts'
import type { Forwarding } from '../operations/operation.ts'
import type { RunCommand } from '../operations/run-command.ts'
import {
  type ObservedKernel,
  type ObservedLink,
  type ObservedNamespace,
  type ObservedRuleSet,
  parseForwarding,
  parseLinks,
  parseNeighbours,
  parseRoutes,
  parseRuleSet,
  parseSilentDevices,
  parseSysctls,
} from './observed-kernel.ts'

/**
 * A part of the kernel that is read as one: which namespaces there are, the host's own links, its forwarding tables, our
 * rules, or what is in a namespace.
 */
export type KernelPart = 'names' | 'links' | 'forwarding' | 'ruleSet' | { readonly namespace: string }

export interface KernelObserver {
  /** Reads what has been marked; gives the same object where nothing was. `sysctlNames`: which parameters matter, by namespace. */
  observe(sysctlNames: ReadonlyMap<string, readonly string[]>): Promise<ObservedKernel>
  mark(part: KernelPart): void
  markAll(): void
  /** Marks the next part of the slow round, so that a change that nobody has told of is seen in the end. */
  markNext(): void
  /** The namespaces of ours and their inodes, as of the last mark. */
  namespaceInodes(): ReadonlyMap<string, number>
  /** Whether this address was a permanent neighbour there when it was read last. */
  hasNeighbour(namespace: string, address: string): boolean
  /** Whether one of the host's own devices had a signal when it was read last; true of one that is not known. */
  hasSignal(device: string): boolean
  /** The namespace that the kernel's events call by this number. */
  namespaceOfNsid(nsid: number): string | undefined
}

export const namespaceFolder = '/run/netns'

/** Of the slow round's steps, every so many is for our rules. */
const rulesEverySteps = 4
/** Reads at once; more would only wait for each other. */
const readsAtOnceMaximum = 8

export function createKernelObserver(run: RunCommand): KernelObserver {
  let links: ReadonlyMap<string, ObservedLink> = new Map()
  let nsids: ReadonlyMap<number, string> = new Map()
  let silentDevices: ReadonlySet<string> = new Set()
  let forwarding: readonly Forwarding[] = []
  let ruleSet: ObservedRuleSet | undefined
  const namespaces = new Map<string, ObservedNamespace>()
  const marked = { names: true, links: true, forwarding: true, ruleSet: true, namespaces: new Set<string>() }
  let inodes: NamespaceInodes = { sound: new Map(), broken: [] }
  let roundPosition = 0
  let steps = 0
  let last: ObservedKernel | undefined

  const mark = (part: KernelPart) => {
    if (typeof part === 'string') marked[part] = true
    else marked.namespaces.add(part.namespace)
  }

  const readNames = () => {
    if (marked.names) inodes = readNamespaceInodes()
    marked.names = false
    return inodes
  }
  const isAtRest = ({ brokenNamespaces }: ObservedKernel, names: NamespaceInodes) =>
    !marked.links &&
    !marked.forwarding &&
    !marked.ruleSet &&
    marked.namespaces.size === 0 &&
    brokenNamespaces.length === 0 &&
    names.broken.length === 0 &&
    names.sound.size === namespaces.size &&
    [...names.sound].every(([name, inode]) => namespaces.get(name)?.inode === inode)

  const readHost = async () => {
    if (marked.links) {
      marked.links = false
      const answer = await readLinks(run)
      links = answer.links
      nsids = answer.nsids
      silentDevices = answer.silentDevices
    }
  }
  const readForwardingTables = async () => {
    if (!marked.forwarding) return
    marked.forwarding = false
    forwarding = await readForwarding(run)
  }
  const readRules = async () => {
    if (!marked.ruleSet) return
    marked.ruleSet = false
    ruleSet = await readRuleSet(run)
  }
  const readNamespaces = async (
    inodes: ReadonlyMap<string, number>,
    sysctlNames: ReadonlyMap<string, readonly string[]>,
  ) => {
    const names = [...inodes.keys()].filter(
      (name) => marked.namespaces.has(name) || namespaces.get(name)?.inode !== inodes.get(name),
    )
    marked.namespaces.clear()
    await forEachOf(names, readsAtOnceMaximum, async (name) => {
      const read = await readNamespace(run, name, inodes.get(name) ?? 0, sysctlNames.get(name) ?? [])
      if (read) namespaces.set(name, read)
      else namespaces.delete(name)
    })
    for (const name of namespaces.keys()) if (!inodes.has(name)) namespaces.delete(name)
  }

  return {
    async observe(sysctlNames) {
      const names = readNames()
      if (last !== undefined && isAtRest(last, names)) return last
      try {
        await Promise.all([readHost(), readForwardingTables(), readRules(), readNamespaces(names.sound, sysctlNames)])
      } catch (error) {
        // Nobody knows what has been missed.
        markEverything(marked, namespaces.keys())
        throw error
      }
      last = { links, forwarding, ruleSet, namespaces: new Map(namespaces), brokenNamespaces: names.broken }
      return last
    },
    mark,
    markAll: () => {
      markEverything(marked, namespaces.keys())
    },
    markNext() {
      marked.names = true
      steps += 1
      // No event tells of the rules, so they do not wait for all namespaces.
      if (steps % rulesEverySteps === 0) {
        mark('ruleSet')
        return
      }
      const round: KernelPart[] = ['links', 'forwarding', ...[...namespaces.keys()].map((namespace) => ({ namespace }))]
      roundPosition = (roundPosition + 1) % round.length
      const part = round[roundPosition]
      if (part !== undefined) mark(part)
    },
    namespaceInodes: () => readNames().sound,
    hasNeighbour: (namespace, address) =>
      namespaces.get(namespace)?.neighbours.some((neighbour) => neighbour.address === address) ?? false,
    hasSignal: (device) => !silentDevices.has(device),
    namespaceOfNsid: (nsid) => nsids.get(nsid),
  }
}

function markEverything(
  marked: { names: boolean; links: boolean; forwarding: boolean; ruleSet: boolean; namespaces: Set<string> },
  names: Iterable<string>,
): void {
  marked.names = true
  marked.links = true
  marked.forwarding = true
  marked.ruleSet = true
  for (const name of names) marked.namespaces.add(name)
}

interface NamespaceInodes {
  readonly sound: Map<string, number>
  readonly broken: string[]
}

/** A name whose namespace is gone, as an unclean end can leave one, is broken. */
function readNamespaceInodes(): NamespaceInodes {
  const namespaceDevice = statSync('/proc/self/ns/net').dev
  const sound = new Map<string, number>()
  const broken: string[] = []
  for (const name of listFolder(namespaceFolder)) {
    if (!idPattern.test(name)) continue
    const stat = statSync(`${namespaceFolder}/${name}`, { throwIfNoEntry: false })
    if (stat?.dev === namespaceDevice) sound.set(name, stat.ino)
    else if (stat) broken.push(name)
  }
  return { sound, broken }
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    // iproute2 makes the folder with the first namespace.
    return []
  }
}

async function readLinks(run: RunCommand) {
  const stdout = await mustRun(run, ['ip', '-details', '-json', '-batch', '-'], 'link show\nnetns list\n')
  const [linksJson = '', namespacesJson = ''] = stdout.split('\n')
  return {
    links: parseLinks(linksJson),
    nsids: parseNsids(namespacesJson),
    silentDevices: parseSilentDevices(linksJson),
  }
}

function parseNsids(json: string): Map<number, string> {
  const entries: unknown = json.trim() === '' ? [] : JSON.parse(json)
  const nsids = new Map<number, string>()
  if (!Array.isArray(entries)) return nsids
  for (const entry of entries as { name?: unknown; id?: unknown }[]) {
    if (typeof entry.name === 'string' && typeof entry.id === 'number') nsids.set(entry.id, entry.name)
  }
  return nsids
}

async function readForwarding(run: RunCommand): Promise<Forwarding[]> {
  return parseForwarding(await mustRun(run, ['bridge', '-json', 'fdb', 'show']))
}

async function readRuleSet(run: RunCommand): Promise<ObservedRuleSet | undefined> {
  const result = await run(['nft', '--json', 'list', 'table', 'bridge', bridgeRulesTable])
  // nft's exit code is the same whether the table is absent or unreadable; to set it anew is right for both.
  return result.exitCode === 0 ? parseRuleSet(result.stdout) : undefined
}

/** Undefined where the namespace went away meanwhile. */
export async function readNamespace(
  run: RunCommand,
  name: string,
  inode: number,
  sysctlNames: readonly string[],
): Promise<ObservedNamespace | undefined> {
  const lines = [
    'address show',
    'route show table main',
    'neighbour show nud permanent',
    ...(sysctlNames.length === 0 ? [] : [`netns exec ${name} sysctl -e ${sysctlNames.join(' ')}`]),
  ]
  const input = `${lines.join('\n')}\n`
  const result = await run(['ip', '-n', name, '-details', '-json', '-force', '-batch', '-'], { input })
  const [linksJson = '', routesJson = '', neighboursJson = '', ...sysctlLines] = result.stdout.split('\n')
  if (linksJson === '') return undefined
  return {
    name,
    inode,
    links: parseLinks(linksJson),
    routes: parseRoutes(routesJson),
    neighbours: parseNeighbours(neighboursJson),
    sysctls: parseSysctls(sysctlLines.join('\n')),
  }
}

async function mustRun(run: RunCommand, argv: readonly string[], input?: string): Promise<string> {
  const result = await run(argv, input === undefined ? {} : { input })
  if (result.exitCode === 0) return result.stdout
  throw new Error(`${argv.join(' ')}: ${result.stderr.trim()}`)
}

async function forEachOf<T>(items: readonly T[], atOnce: number, action: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items]
  const work = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await action(item)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work))
}
