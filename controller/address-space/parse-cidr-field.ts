/** The field `cidr` of a request: the block that it names, or what is wrong with it and what to write instead. Pure. */

import { refuseField } from '../access/problems.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import { type Block, formatBlock, isIpv6, type ParsedBlock, parseBlock } from './cidr.ts'
import { formatIpv6Block, type Ipv6Block, parseIpv6Block } from './cidr-ipv6.ts'

export function parseCidrField(cidr: string): Outcome<Block> {
  const remedy = 'Write four numbers up to 255 and a length up to 32, as 198.18.16.0/22.'
  return admit(cidr, parseBlock(cidr), formatBlock, { family: 'IPv4', remedy })
}

export function parseIpv6CidrField(cidr: string): Outcome<Ipv6Block> {
  const remedy = 'Write eight groups of hexadecimal digits, or :: in place of zeros, and a length, as fd00:20::/48.'
  return admit(cidr, parseIpv6Block(cidr), formatIpv6Block, { family: 'IPv6', remedy })
}

/** A block of either family in its canonical form. */
export function parseAnyCidrField(cidr: string): Outcome<string> {
  if (!isIpv6(cidr)) {
    const parsed = parseCidrField(cidr)
    return parsed.ok ? succeed(formatBlock(parsed.value)) : parsed
  }
  const parsed = parseIpv6CidrField(cidr)
  return parsed.ok ? succeed(formatIpv6Block(parsed.value)) : parsed
}

function admit<Of>(
  cidr: string,
  parsed: ParsedBlock<Of>,
  format: (block: Of) => string,
  { family, remedy }: { readonly family: string; readonly remedy: string },
): Outcome<Of> {
  switch (parsed.kind) {
    case 'block':
      return succeed(parsed.block)
    case 'misaligned':
      return refuseField(
        'cidr',
        `${cidr} does not begin where a block of its size can`,
        `Write ${format(parsed.aligned)}, the block that it is in.`,
      )
    case 'malformed':
      return refuseField('cidr', `${cidr} is no ${family} block`, remedy)
    default:
      return parsed satisfies never
  }
}
