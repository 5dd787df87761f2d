/**
 * Which accounts the bus has, what they share and what their users may do, as the tokens that nats-server believes.
 * Nothing here touches the world; docs/decisions/0005-enrolment-and-bus-identities.md has the reasons.
 */

import {
  type Account,
  type Export,
  encodeAccount,
  encodeOperator,
  encodeUser,
  type Import,
  newScopedSigner,
  type OperatorLimits,
  type UserPermissionsLimits,
} from '@nats-io/jwt'
import { logSubjectsOfHost } from '../../agent/contract/log-lines.ts'
import { pointSubject } from '../../agent/contract/points.ts'
import { desiredBucket, inboxPrefix, reportKey, statusBucket } from '../../agent/contract/subjects.ts'
import { eventStream } from '../control-plane/event-stream.ts'
import { type AccountName, accountNames, type BusIdentity } from './identity.ts'

/** Revoked users by public key: whatever was signed for one up to that second since the epoch is void. */
export type Revocations = Readonly<Record<string, number>>

const unlimited = -1
/**
 * What reports, points and logs may take, and the copy of the instructions: each stream has its own limit below. Of one
 * copy: a cluster counts each.
 */
const hostsDiskBytesMaximum = 2 * 1024 ** 3
const copiesMaximum = 3
const hostsMemoryBytesMaximum = 256 * 1024 ** 2
const hostsConsumersMaximum = 10_000
const agentAnswerNanoseconds = 60e9

const desiredStream = `KV_${desiredBucket}`

/** How a stream of the account `hosts` names what it mirrors of `control`. */
export const mirrorSource = { name: desiredStream, external: { api: 'JS.control.API', deliver: 'mirror.desired' } }

/** In templates, nats-server puts the user's own name, tag or public key where the braces are. */
const ownName = '{{name()}}'
const ownHost = `host.${ownName}`
const ownKey = '{{subject()}}'

/**
 * What an agent may do, everything else being refused. It watches its own key, reads it directly, writes its own report
 * and points, and answers the orders that it is sent. A consumer can only be made over its own key, since the server
 * holds the subject of the request against what it asks for; none can be deleted or listed.
 */
export const agentRights: Partial<UserPermissionsLimits> = {
  pub: {
    allow: [
      `$JS.API.STREAM.INFO.${desiredStream}`,
      `$JS.API.CONSUMER.CREATE.${desiredStream}.*.$KV.${desiredBucket}.${ownHost}.>`,
      `$JS.API.DIRECT.GET.${desiredStream}.$KV.${desiredBucket}.${ownHost}.>`,
      `$JS.FC.${desiredStream}.>`,
      `$KV.${statusBucket}.${reportKey(ownName)}`,
      pointSubject({ kind: 'host', host: ownName }),
      logSubjectsOfHost(ownName),
    ],
    deny: [],
  },
  sub: { allow: [`${inboxPrefix(ownName)}.>`, `cmd.${ownHost}.>`], deny: [] },
  resp: { max: 1, ttl: agentAnswerNanoseconds },
}

/** How `readers` call the JetStream of `control`; by the plain name they would ask for their own, which they have not. */
export const readersDomain = 'events'
const readersApi = `$JS.${readersDomain}.API`

/**
 * A reader of events pulls them from the consumer that bears its key, and that is all. It may not listen to its project's
 * subject: another reader could aim an event of its own there, by naming the subject as the place for an answer.
 */
export const readerRights: Partial<UserPermissionsLimits> = {
  pub: {
    allow: [
      `${readersApi}.CONSUMER.MSG.NEXT.${eventStream}.${ownKey}`,
      `${readersApi}.CONSUMER.INFO.${eventStream}.${ownKey}`,
      `$JS.ACK.${eventStream}.${ownKey}.>`,
    ],
    deny: [],
  },
  sub: { allow: [`_INBOX.${ownKey}.>`], deny: [] },
}

/**
 * What `control` lets `hosts` reach: as much as a mirror of the stream of instructions takes. `local` is how `hosts`
 * calls it.
 */
const mirrorServices = [
  {
    subject: `$JS.API.CONSUMER.CREATE.${desiredStream}`,
    local: `${mirrorSource.external.api}.CONSUMER.CREATE.${desiredStream}`,
  },
  { subject: `$JS.FC.${desiredStream}.>`, local: `$JS.FC.${desiredStream}.>` },
]

/** What `control` lets `readers` reach. Their answers come back through a wall: no reader can aim them into a stream. */
const readerServices = [
  {
    subject: `$JS.API.CONSUMER.MSG.NEXT.${eventStream}.*`,
    local: `${readersApi}.CONSUMER.MSG.NEXT.${eventStream}.*`,
    isStreamed: true,
  },
  {
    subject: `$JS.API.CONSUMER.INFO.${eventStream}.*`,
    local: `${readersApi}.CONSUMER.INFO.${eventStream}.*`,
    isStreamed: false,
  },
  { subject: `$JS.ACK.${eventStream}.>`, local: `$JS.ACK.${eventStream}.>`, isStreamed: false },
]

export async function encodeOperatorToken(identity: BusIdentity): Promise<string> {
  return await encodeOperator('sluice', identity.operator, {
    system_account: identity.accounts.system.getPublicKey(),
  })
}

export interface AccountToken {
  readonly publicKey: string
  readonly token: string
}

/** The tokens of all accounts, as they are with these users revoked. */
export async function encodeAccountTokens(identity: BusIdentity, revocations: Revocations): Promise<AccountToken[]> {
  return await Promise.all(
    accountNames.map(async (name) => ({
      publicKey: identity.accounts[name].getPublicKey(),
      token: await encodeAccount(name, identity.accounts[name], describeAccount(name, identity, revocations), {
        signer: identity.operator,
      }),
    })),
  )
}

function describeAccount(name: AccountName, identity: BusIdentity, revocations: Revocations): Partial<Account> {
  const control = identity.accounts.control.getPublicKey()
  switch (name) {
    case 'system':
      return { limits: limits({}) }
    case 'control':
      return { limits: limits({ mem_storage: unlimited, disk_storage: unlimited }), exports: controlExports() }
    case 'hosts':
      return {
        imports: hostsImports(control),
        limits: limits({
          mem_storage: hostsMemoryBytesMaximum,
          disk_storage: copiesMaximum * hostsDiskBytesMaximum,
          consumer: hostsConsumersMaximum,
        }),
        signing_keys: [newScopedSigner(identity.roles.agent.getPublicKey(), 'agent', agentRights)],
        revocations: { ...revocations },
      }
    case 'readers':
      return {
        limits: limits({}),
        imports: readerImports(control),
        signing_keys: [newScopedSigner(identity.roles.reader.getPublicKey(), 'reader', readerRights)],
        revocations: { ...revocations },
      }
    default:
      return name satisfies never
  }
}

/** JetStream is off where no storage is granted. */
function limits(storage: Partial<OperatorLimits>): OperatorLimits {
  return {
    subs: unlimited,
    data: unlimited,
    payload: unlimited,
    imports: unlimited,
    exports: unlimited,
    wildcards: true,
    conn: unlimited,
    leaf: 0,
    ...('disk_storage' in storage ? { streams: unlimited, consumer: unlimited } : {}),
    ...storage,
  }
}

function controlExports(): Export[] {
  return [
    { name: 'mirror', subject: `${mirrorSource.external.deliver}.>`, type: 'stream' },
    ...mirrorServices.map(({ subject }): Export => ({ name: subject, subject, type: 'service' })),
    ...readerServices.map(
      ({ subject, isStreamed }): Export => ({
        name: subject,
        subject,
        type: 'service',
        response_type: isStreamed ? 'Stream' : 'Singleton',
      }),
    ),
  ]
}

function hostsImports(account: string): Import[] {
  return [
    { name: 'mirror', subject: `${mirrorSource.external.deliver}.>`, account, type: 'stream' },
    ...mirrorServices.map(
      ({ subject, local }): Import => ({ name: subject, subject, local_subject: local, account, type: 'service' }),
    ),
  ]
}

function readerImports(account: string): Import[] {
  return readerServices.map(
    ({ subject, local }): Import => ({ name: subject, subject, local_subject: local, account, type: 'service' }),
  )
}

/** A user of the controller's own, who may do everything within one account. */
export async function encodeControllerToken(
  identity: BusIdentity,
  account: 'system' | 'control' | 'hosts',
  publicKey: string,
): Promise<string> {
  return await encodeUser('controller', publicKey, identity.accounts[account])
}

/** It has no end: a host goes on without a controller for as long as it must. Revocation is how it ends. */
export async function encodeAgentToken(
  identity: BusIdentity,
  agent: { readonly host: string; readonly publicKey: string },
): Promise<string> {
  return await encodeUser(
    agent.host,
    agent.publicKey,
    identity.accounts.hosts.getPublicKey(),
    {},
    { scopedUser: true, signer: identity.roles.agent },
  )
}

export async function encodeReaderToken(
  identity: BusIdentity,
  reader: {
    readonly tokenId: string
    readonly publicKey: string
    /** Seconds since the epoch; null: until it is revoked. */
    readonly expiresAtSeconds: number | null
  },
): Promise<string> {
  return await encodeUser(
    reader.tokenId,
    reader.publicKey,
    identity.accounts.readers.getPublicKey(),
    {},
    {
      scopedUser: true,
      signer: identity.roles.reader,
      ...(reader.expiresAtSeconds === null ? {} : { exp: reader.expiresAtSeconds }),
    },
  )
}
