/** Which blocks can be pools: aligned, of a size that holds shards, for hosts to use, and not of the uplink. Pure. */

import { refuseField } from '../access/problems.ts'
import { shardSizes } from '../contract/address-space.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import { blockOf, formatBlock, isIpv6, overlaps, sizeOf } from './cidr.ts'
import { containsIpv6, formatIpv6Block, ipv6BlockOf, ipv6ShardPrefixLength } from './cidr-ipv6.ts'
import { parseCidrField, parseIpv6CidrField } from './parse-cidr-field.ts'

/** A pool has room for the smallest shard at least. */
const poolSizeMinimumAddresses = shardSizes[0]
const prefixLengthMinimum = 8
/** Its /64s are then counted by 32 bits. */
const ipv6PrefixLengthMinimum = 32

/** The block in its canonical form, however it was written. */
export function parsePoolBlock(cidr: string, uplinkCidr: string): Outcome<string> {
  return isIpv6(cidr) ? parseIpv6Pool(cidr) : parseIpv4Pool(cidr, uplinkCidr)
}

const wrong = (message: string, remedy: string) => refuseField('cidr', message, remedy)

function parseIpv4Pool(cidr: string, uplinkCidr: string): Outcome<string> {
  const parsed = parseCidrField(cidr)
  if (!parsed.ok) return parsed
  const block = parsed.value
  if (block.prefixLength < prefixLengthMinimum || sizeOf(block) < poolSizeMinimumAddresses) {
    return wrong(`${cidr} is not from /${prefixLengthMinimum} to /28`, 'Choose a block of such a size.')
  }
  if (overlaps(block, blockOf(uplinkCidr))) {
    return wrong(
      `${cidr} overlaps the uplink ${uplinkCidr}, on which the load balancers' VIPs are`,
      'Choose a block that is not of the uplink.',
    )
  }
  const special = specialBlocks.find((candidate) => overlaps(block, blockOf(candidate.cidr)))
  if (special === undefined) return succeed(formatBlock(block))
  return wrong(`${cidr} overlaps ${special.cidr}, ${special.use}`, 'Choose a block for private use, as of 10.0.0.0/8.')
}

const specialBlocks = [
  { cidr: '0.0.0.0/8', use: 'which no host can have' },
  { cidr: '127.0.0.0/8', use: 'which is for loopback' },
  { cidr: '169.254.0.0/16', use: 'which is for link-local addresses' },
  { cidr: '224.0.0.0/3', use: 'which is for multicast and reserved' },
]

function parseIpv6Pool(cidr: string): Outcome<string> {
  const parsed = parseIpv6CidrField(cidr)
  if (!parsed.ok) return parsed
  const block = parsed.value
  const { prefixLength } = block
  if (prefixLength < ipv6PrefixLengthMinimum || prefixLength > ipv6ShardPrefixLength) {
    return wrong(
      `${cidr} is not from /${ipv6PrefixLengthMinimum} to /${ipv6ShardPrefixLength}`,
      'Choose a block of such a size: its shards are /64s, and a /48 has 65536 of them.',
    )
  }
  if (ipv6PoolBlocks.some((allowed) => containsIpv6(ipv6BlockOf(allowed), block)))
    return succeed(formatIpv6Block(block))
  return wrong(
    `${cidr} is neither of 2000::/3, which is global, nor of fc00::/7, which is for private use`,
    'Choose a block for private use, as fd00:20::/48, or one that was assigned to you.',
  )
}

const ipv6PoolBlocks = ['2000::/3', 'fc00::/7']
