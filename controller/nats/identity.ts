/**
 * The keys by which the bus knows everybody, kept in one file of mode 600 in its folder and made at the first start.
 * Whoever has the operator's signature below an account's, and the account's below its own, is let in: nats-server
 * checks that by itself, so it needs no list of agents and no controller.
 */

import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import { createAccount, createOperator, fromSeed, type KeyPair } from '@nats-io/nkeys'
import * as v from 'valibot'
import { readFileOrNull, secretMode, writeDurableFile } from './durable-file.ts'

/**
 * Accounts are walls: what is published in one is not seen in another, unless it is exported.
 * `system` is nats-server's own; `control` holds the store and the events; `hosts` what agents and the controller tell
 * each other; `readers` holds nothing, and sees its users' own events of `control`.
 */
export const accountNames = ['system', 'control', 'hosts', 'readers'] as const
export type AccountName = (typeof accountNames)[number]

/** Signing keys whose users have exactly the rights that the account's own token states for them. */
export const roleNames = ['agent', 'reader'] as const
export type RoleName = (typeof roleNames)[number]

export interface BusIdentity {
  readonly operator: KeyPair
  readonly accounts: Readonly<Record<AccountName, KeyPair>>
  readonly roles: Readonly<Record<RoleName, KeyPair>>
}

const operatorSeedSchema = v.pipe(v.string(), v.regex(/^SO[A-Z2-7]{56}$/))
const accountSeedSchema = v.pipe(v.string(), v.regex(/^SA[A-Z2-7]{56}$/))
const identityFileSchema = v.strictObject({
  format: v.literal(1),
  operator: operatorSeedSchema,
  accounts: v.strictObject({
    system: accountSeedSchema,
    control: accountSeedSchema,
    hosts: accountSeedSchema,
    readers: accountSeedSchema,
  }),
  roles: v.strictObject({ agent: accountSeedSchema, reader: accountSeedSchema }),
})
type IdentityFile = v.InferOutput<typeof identityFileSchema>

/** Reads the keys from the bus's folder, or makes them. A file that can't be read is never replaced: hosts trust it. */
export async function openIdentity(folder: string): Promise<BusIdentity> {
  const path = join(folder, 'identity.json')
  const text = await readFileOrNull(path)
  if (text !== null) return parseIdentity(text, path)
  const file = makeIdentityFile()
  await writeDurableFile(path, `${JSON.stringify(file, null, 2)}\n`, secretMode)
  return toIdentity(file)
}

function parseIdentity(text: string, path: string): BusIdentity {
  try {
    return toIdentity(v.parse(identityFileSchema, JSON.parse(text)))
  } catch (cause) {
    throw new Error(
      `${path} does not hold the bus's keys. Restore it from a backup; without it every host has to join again, ` +
        'after the file has been removed by hand',
      { cause },
    )
  }
}

function makeIdentityFile(): IdentityFile {
  const account = () => seedText(createAccount())
  return {
    format: 1,
    operator: seedText(createOperator()),
    accounts: { system: account(), control: account(), hosts: account(), readers: account() },
    roles: { agent: account(), reader: account() },
  }
}

function toIdentity({ operator, accounts, roles }: IdentityFile): BusIdentity {
  return {
    operator: fromText(operator),
    accounts: {
      system: fromText(accounts.system),
      control: fromText(accounts.control),
      hosts: fromText(accounts.hosts),
      readers: fromText(accounts.readers),
    },
    roles: { agent: fromText(roles.agent), reader: fromText(roles.reader) },
  }
}

const seedText = (pair: KeyPair) => new TextDecoder().decode(pair.getSeed())
const fromText = (seed: string) => fromSeed(new TextEncoder().encode(seed))

/** A secret for a purpose that is none of the bus's: whoever has the bus's keys has it too, so it is kept nowhere else. */
export const deriveSecret = ({ operator }: BusIdentity, purpose: string): Uint8Array =>
  createHmac('sha256', operator.getSeed()).update(`sluice ${purpose}`).digest()
