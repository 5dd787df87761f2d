/**
 * A host's joining: decided by one conditional write, which uses the token up and gives the host its key. Whoever comes
 * second with the same token finds it used; the very same request again, as its answer was lost, is answered again.
 */

import type { JoinAnswer, JoinRequest } from '../../agent/contract/enrolment.ts'
import { refuseContended, refuseUnavailable } from '../access/problems.ts'
import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import { type StoredObject, write } from '../control-plane/store.ts'
import { type HostValue, hostKind, type JoinTokenValue, joinTokenKind } from '../objects.ts'
import type { ControllerContext } from '../services.ts'
import { type HostBus, throwOut } from './host-bus.ts'
import { findHost } from './hosts.ts'
import { isProven } from './join-token.ts'

const attemptsMaximum = 5

export async function joinHost(
  context: ControllerContext,
  bus: HostBus,
  name: string,
  input: JoinRequest,
  traceparent: string,
): Promise<Outcome<JoinAnswer>> {
  const answer = async (hostId: string): Promise<Outcome<JoinAnswer>> =>
    succeed({
      hostId,
      host: name,
      natsServers: [...bus.natsServers],
      userJwt: await bus.issueAgentJwt({ host: name, publicKey: input.publicKey }),
      caCertificate: bus.caCertificate,
    })
  for (let attempt = 1; attempt <= attemptsMaximum; attempt++) {
    const token = isTokenId(input.tokenId)
      ? await context.store.get(joinTokenKind, input.tokenId, { latest: true })
      : null
    if (token === null) {
      const host = findHost(context, name)
      const isSame = host?.value.publicKey === input.publicKey && host.value.underlayAddress === input.underlayAddress
      return host !== undefined && isSame ? answer(host.id) : refuseToken('is unknown, or it has been used', name)
    }
    const fault = findFault(context, token.value, name, input)
    if (fault !== null) return fault
    const host = await context.store.get(hostKind, token.value.hostId, { latest: true })
    if (host === null) return refuseToken('is of a host that has been removed', name)
    const { publicKey } = host.value
    // The one who joins has proved that the host is now its own.
    if (publicKey !== input.publicKey) {
      const thrownOut = await throwOut(context, bus, publicKey)
      if (!thrownOut.ok) return thrownOut
    }
    const outcome = await recordJoin(context, { host, token, input, traceparent })
    if (outcome.outcome === 'committed') {
      context.wake()
      return answer(host.id)
    }
    if (outcome.outcome === 'unavailable') return refuseUnavailable(outcome.reason, outcome.retryAfterSeconds)
  }
  return refuseContended('host', name)
}

const isTokenId = (text: string) => /^jtk_[0-9a-hjkmnp-tv-z]{25}$/.test(text)

function findFault(
  context: ControllerContext,
  token: JoinTokenValue,
  name: string,
  input: JoinRequest,
): ReturnType<typeof refuse> | null {
  if (token.host !== name) return refuseToken(`is for the host '${token.host}'`, name)
  if (!isProven(token, input)) return refuseToken('does not match the proof that came with it', name)
  if (Date.parse(token.expiresAt) <= context.now()) return refuseToken(`was valid until ${token.expiresAt}`, name)
  const holder = context.store
    .snapshot(hostKind)
    .find(({ value }) => value.underlayAddress === input.underlayAddress && value.name !== name)
  if (holder === undefined) return null
  const message = `${input.underlayAddress} is the host '${holder.value.name}'`
  return refuse({
    code: 'conflict',
    title: 'The underlay address is taken',
    detail: `The host '${name}' can't join with it: ${message}.`,
    remedy: `Give this host an underlay address of its own, or remove '${holder.value.name}' if it is no more.`,
    errors: [{ field: 'underlayAddress', message }],
  })
}

function recordJoin(
  context: ControllerContext,
  join: {
    readonly host: StoredObject<HostValue>
    readonly token: StoredObject<JoinTokenValue>
    readonly input: JoinRequest
    readonly traceparent: string
  },
) {
  const { host, token, input, traceparent } = join
  const { publicKey, underlayAddress } = input
  const joinedAt = new Date(context.now()).toISOString()
  const value: HostValue = { ...host.value, publicKey, underlayAddress, joinedAt }
  return context.store.transact({
    writes: [
      write({ kind: hostKind, id: host.id, expect: host.version, value }),
      write({ kind: joinTokenKind, id: token.id, expect: token.version, value: null }),
    ],
    events: [
      { type: 'host.joined', projectId: null, subject: host.id, data: { name: host.value.name, underlayAddress } },
    ],
    actionId: `join ${publicKey}`,
    traceparent,
  })
}

const refuseToken = (fault: string, name: string) =>
  refuse({
    code: 'forbidden',
    title: 'The join token is no good',
    detail: `The join token ${fault}.`,
    remedy: `Make a new one with 'sluice host add ${name}' and join with that.`,
  })
