/**
 * A private network with its address space: a pool, shards cut from it, each attached. What is put on the network waits
 * for its shards, and leaves before they do.
 */

import * as cdktf from 'cdktf'
import { Construct } from 'constructs'
import {
  networkCreateSchema,
  shardCreateSchema,
  shardSizeDefaultAddresses,
} from '../../controller/contract/address-space.ts'
import { anyCidrSchema } from '../../controller/contract/common.ts'
import { type Block, formatBlock, parseBlock } from '../functions/blocks.ts'
import {
  Network,
  type NetworkAddressPolicy,
  Pool,
  Shard,
  ShardAttachment,
  type ShardAttachmentMigration,
} from './bindings/generated/index.ts'
import { addCheck, countSchema, findProblems, idOf, plainNameSchema, type Reference } from './checks.ts'

export interface ShardProps {
  /** A power of two, 16 to 4096. Default: the network's `shardSizeAddresses`. */
  readonly sizeAddresses?: number | undefined
  /** This very block. Default: the first one of the pool that is free. */
  readonly cidr?: string | undefined
}

export interface PrivateNetworkProps {
  readonly project: Reference
  /** Default: the construct's id. */
  readonly name?: string | undefined
  /** A block to make a pool of, as `10.20.0.0/16`; or a pool, which other networks may share. */
  readonly addressSpace: string | Pool
  /** How many, or each by a name of its own. Taking one away moves its holders to the others. Default: 1. */
  readonly shards?: number | Readonly<Record<string, ShardProps>> | undefined
  /** Default: 1024, or the whole block when that is smaller. */
  readonly shardSizeAddresses?: number | undefined
  /** Default: 1400. */
  readonly mtu?: number | undefined
  readonly addressPolicy?: NetworkAddressPolicy | undefined
  /** How those in a shard move when it is taken away. */
  readonly migration?: ShardAttachmentMigration | undefined
}

const shardsMaximum = 256
/** Of each shard: the network's own address, the gateway's, and the broadcast address. */
const unusableAddresses = 3

/**
 * @example
 * ```ts
 * const project = new Project(this, 'shop', { name: 'shop', user: 'jane' })
 * const network = new PrivateNetwork(this, 'front', { project, addressSpace: '10.20.0.0/20', shards: 2 })
 * ```
 */
export class PrivateNetwork extends Construct {
  readonly project: Reference
  readonly network: Network
  readonly pool: Pool
  readonly #shards = new Map<string, { readonly shard: Shard; readonly attachment: ShardAttachment }>()
  readonly #holders: { readonly resource: cdktf.TerraformResource; readonly addresses: number }[] = []
  readonly #props: PrivateNetworkProps

  constructor(scope: Construct, id: string, props: PrivateNetworkProps) {
    super(scope, id)
    this.#props = props
    this.project = props.project
    const name = props.name ?? id
    const projectId = idOf(props.project)
    this.pool =
      typeof props.addressSpace === 'string'
        ? new Pool(this, 'pool', { name, projectId, cidr: props.addressSpace })
        : props.addressSpace
    const { mtu, addressPolicy } = props
    this.network = new Network(this, 'network', { name, projectId, mtu, addressPolicy })
    for (const [key, shard] of Object.entries(namedShards(props.shards ?? 1))) this.addShard(key, shard)
    addCheck(this, () => [...findPropProblems(props, name), ...this.#findSpaceProblems(), ...this.#findOverlaps()])
  }

  /** The network's id. */
  get id(): string {
    return this.network.id
  }

  get shards(): Readonly<Record<string, Shard>> {
    return Object.fromEntries([...this.#shards].map(([key, { shard }]) => [key, shard]))
  }

  /** One more, by a name that stays its own. */
  addShard(key: string, { sizeAddresses, cidr }: ShardProps = {}): Shard {
    const size = cidr === undefined ? (sizeAddresses ?? this.shardSizeAddresses) : undefined
    const name = `${this.network.input.name}-${key}`
    const shard = new Shard(this, `shard-${key}`, { name, poolId: this.pool.id, sizeAddresses: size, cidr })
    const { migration } = this.#props
    const attachment = new ShardAttachment(this, `attachment-${key}`, {
      networkId: this.id,
      shardId: shard.id,
      migration,
    })
    this.#shards.set(key, { shard, attachment })
    for (const { resource } of this.#holders) dependOn(resource, attachment)
    return shard
  }

  /** Tells that a resource takes so many of the network's addresses: it is made after the shards and deleted before. */
  hold(resource: cdktf.TerraformResource, addresses: number): void {
    this.#holders.push({ resource, addresses })
    for (const { attachment } of this.#shards.values()) dependOn(resource, attachment)
  }

  /** Of a shard that says nothing of its own size. */
  get shardSizeAddresses(): number {
    const { shardSizeAddresses } = this.#props
    const block = this.#block()
    if (shardSizeAddresses !== undefined || block === null) return shardSizeAddresses ?? shardSizeDefaultAddresses
    return Math.min(shardSizeDefaultAddresses, sizeOf(block))
  }

  #block(): Block | null {
    const { addressSpace } = this.#props
    const block = typeof addressSpace === 'string' ? parseBlock(addressSpace) : null
    return block?.family === 4 ? block : null
  }

  #sizes(): readonly number[] {
    return [...this.#shards.values()].map(({ shard }) => {
      const block = shard.input.cidr === undefined ? null : parseBlock(shard.input.cidr)
      return block === null ? (shard.input.sizeAddresses ?? shardSizeDefaultAddresses) : sizeOf(block)
    })
  }

  #findSpaceProblems(): readonly string[] {
    const sizes = this.#sizes()
    const wanted = sum(sizes)
    const block = this.#block()
    const room =
      block !== null && wanted > sizeOf(block)
        ? [`${sizes.length} shards take ${wanted} addresses, and ${formatBlock(block)} has ${sizeOf(block)}`]
        : []
    const held = sum(this.#holders.map(({ addresses }) => addresses))
    const usable = sum(sizes.map((size) => size - unusableAddresses))
    const grows = this.#props.addressPolicy?.growAtUtilization !== undefined
    if (grows || held <= usable) return room
    const remedy = 'give it more or larger shards, or an addressPolicy with growAtUtilization'
    return [...room, `${held} addresses are needed, and its shards can give ${usable}: ${remedy}`]
  }

  /** Other networks of the project whose block has addresses of this one's. */
  #findOverlaps(): readonly string[] {
    const own = this.#block()
    if (own === null) return []
    const others = this.node.root.node.findAll().filter((one) => one instanceof PrivateNetwork && one !== this)
    return others.flatMap((one) => {
      const other = one instanceof PrivateNetwork && one.project === this.project ? one.#block() : null
      if (other === null || !overlap(own, other)) return []
      return [`${formatBlock(own)} overlaps ${formatBlock(other)} of ${one.node.path}, which is of the same project`]
    })
  }
}

const sizeSchema = shardCreateSchema.entries.sizeAddresses

const sizeOf = ({ bits }: Block) => 2 ** (32 - bits)
const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)

const overlap = (one: Block, other: Block) =>
  one.first < other.first + BigInt(sizeOf(other)) && other.first < one.first + BigInt(sizeOf(one))

function dependOn(resource: cdktf.TerraformResource, on: cdktf.TerraformResource): void {
  resource.dependsOn = [...(resource.dependsOn ?? []), cdktf.dependable(on)]
}

function namedShards(shards: number | Readonly<Record<string, ShardProps>>): Readonly<Record<string, ShardProps>> {
  if (typeof shards !== 'number') return shards
  // What is no count is told when the stack is synthesized.
  const count = Number.isInteger(shards) ? Math.min(Math.max(shards, 0), shardsMaximum) : 0
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [String(index + 1), {}]))
}

function findPropProblems(props: PrivateNetworkProps, name: string): readonly string[] {
  const { addressSpace, shards, shardSizeAddresses, mtu } = props
  const count = typeof shards === 'object' ? Object.keys(shards).length : (shards ?? 1)
  const block = typeof addressSpace === 'string' ? addressSpace : undefined
  const isWrong = block !== undefined && !cdktf.Token.isUnresolved(block) && parseBlock(block) === null
  return [
    ...findProblems('name', plainNameSchema, name),
    ...findProblems('addressSpace', anyCidrSchema, block),
    ...(isWrong ? [`addressSpace ${block} has address bits beyond its prefix, or is no block`] : []),
    ...findProblems('shards', countSchema(1, shardsMaximum), count),
    ...findProblems('shardSizeAddresses', sizeSchema, shardSizeAddresses),
    ...(typeof shards === 'object' ? Object.entries(shards) : []).flatMap(([key, shard]) => [
      ...findProblems(`shards.${key}.sizeAddresses`, sizeSchema, shard.sizeAddresses),
      ...findProblems(`shards.${key}.cidr`, anyCidrSchema, shard.cidr),
    ]),
    ...findProblems('mtu', networkCreateSchema.entries.mtu, mtu),
  ]
}
