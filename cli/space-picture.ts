/** Address space as a terminal shows it: a row for each shard and each free block, like a disk defragmenter. Pure. */

import type { PoolSpace, ShardSpace } from '../controller/contract/space.ts'
import { compareAddresses, isIpv6, networkAddresses } from './address-order.ts'

export type PictureOptions = {
  /** Statuses get colours; only on a terminal. */
  readonly isColoured: boolean
  readonly columns: number
}

const barWidth = 32
const gap = '  '

type Status = ShardSpace['status'] | 'not cut'

const colours: Readonly<Record<Status, string>> = {
  'in-use': '32',
  available: '36',
  migrating: '33',
  reserved: '35',
  'not cut': '2',
}

type Row = {
  readonly cidr: string
  readonly status: Status
  readonly bar: string
  readonly used: string
  readonly network: string
}

/** What there is in numbers, the picture in the order of the addresses, and what its characters mean. */
export function describeSpace(space: PoolSpace, options: PictureOptions): string {
  const blocks = [
    ...space.shards.map((shard) => ({ cidr: shard.cidr, row: describeShard(shard) })),
    ...space.freeBlocks.map(({ cidr, sizeAddresses }) => ({ cidr, row: describeFree(cidr, sizeAddresses) })),
  ]
  const rows = blocks.toSorted((a, b) => compareAddresses(a.cidr, b.cidr)).map(({ row }) => row)
  return [describeTotals(space), '', ...drawRows(rows, options), '', describeLegend(options)].join('\n')
}

function describeTotals(space: PoolSpace): string {
  if (isIpv6(space.cidr)) return describeIpv6Totals(space)
  const { shards, freeBlocks } = space
  const free = `${space.freeAddresses} are free in ${count(freeBlocks.length, 'block')}`
  const largest = freeBlocks.length > 1 ? `, the largest of ${space.largestFreeAddresses}` : ''
  const { heldAddresses, utilization } = space
  return [
    `pool ${space.name}  ${space.cidr}  ${space.sizeAddresses} addresses`,
    `${space.cutAddresses} are cut into ${count(shards.length, 'shard')}, of which ${heldAddresses} are held (${percent(utilization)})`,
    `${free}${largest}: fragmentation ${percent(space.fragmentation)}`,
  ].join('\n')
}

/** In /64s, which is what is cut. */
function describeIpv6Totals({ name, cidr, sizeAddresses, shards, freeBlocks, ...space }: PoolSpace): string {
  const largest = freeBlocks.length > 1 ? `, the largest of ${space.largestFreeAddresses / networkAddresses}` : ''
  return [
    `pool ${name}  ${cidr}  ${sizeAddresses / networkAddresses} /64s`,
    `${shards.length} are shards, of which ${count(space.heldAddresses, 'address', 'addresses')} are held`,
    `${space.freeAddresses / networkAddresses} are free in ${count(freeBlocks.length, 'block')}${largest}`,
  ].join('\n')
}

const describeShard = (shard: ShardSpace): Row => ({
  cidr: shard.cidr,
  status: shard.status,
  bar: drawBar(shard),
  used: isIpv6(shard.cidr) ? `${shard.heldAddresses} held` : percent(shard.utilization),
  network: shard.networkName ?? '',
})

const describeFree = (cidr: string, sizeAddresses: number): Row => ({
  cidr,
  status: 'not cut',
  bar: '─'.repeat(Math.min(barWidth, isIpv6(cidr) ? sizeAddresses / networkAddresses : sizeAddresses)),
  used: '',
  network: '',
})

/** A character for each stretch of a shard, by how much of it is held. */
export function drawBar({ heldByCell, cellAddresses }: Pick<ShardSpace, 'heldByCell' | 'cellAddresses'>): string {
  const cells = Math.max(1, Math.ceil(heldByCell.length / barWidth))
  const characters = Array.from({ length: Math.ceil(heldByCell.length / cells) }, (_, i) => {
    const held = heldByCell.slice(i * cells, (i + 1) * cells).reduce((sum, one) => sum + one, 0)
    return drawShare(held / (cells * cellAddresses))
  })
  return characters.join('')
}

function drawShare(share: number): string {
  if (share === 0) return '·'
  if (share <= 0.25) return '░'
  if (share <= 0.5) return '▒'
  return share < 1 ? '▓' : '█'
}

function drawRows(rows: readonly Row[], { isColoured, columns }: PictureOptions): readonly string[] {
  const cidrWidth = Math.max(0, ...rows.map(({ cidr }) => cidr.length))
  return rows.map(({ cidr, status, bar, used, network }) => {
    const before = `${cidr.padEnd(cidrWidth)}${gap}`
    const after = `${gap}${used.padStart(7)}${gap}${status.padEnd(9)}${gap}${network}`
    const width = columns - before.length - barWidth
    const words = `${' '.repeat(barWidth - bar.length)}${cut(after, width)}`.trimEnd()
    return `${before}${isColoured ? paint(bar, status) : bar}${words}`
  })
}

const paint = (text: string, status: Status) => `\u001b[${colours[status]}m${text}\u001b[0m`

function describeLegend({ isColoured }: PictureOptions): string {
  const characters = 'held: · none  ░ up to a quarter  ▒ up to a half  ▓ more  █ all   ─ not cut'
  if (!isColoured) return characters
  const statuses: readonly Status[] = ['in-use', 'available', 'migrating', 'reserved', 'not cut']
  return `${characters}\n${statuses.map((status) => paint(status, status)).join(gap)}`
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`
const count = (number: number, one: string, many = `${one}s`) => `${number} ${number === 1 ? one : many}`
const cut = (text: string, width: number) => (text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`)
