/** Addresses of the bus as text, `198.18.0.254:4222`, and what follows from them. Pure. */

export interface Address {
  readonly host: string
  readonly port: number
}

/** Throws where it is none; `what` says whose. */
export function parseAddress(text: string, what: string): Address {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^[\]:\s]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  if (host === undefined || !(port >= 1 && port <= 65535)) {
    throw new Error(`${what} is '${text}': it must be one host and port, as 198.18.0.254:4222`)
  }
  return { host, port }
}

const wildcardHosts: ReadonlySet<string> = new Set(['0.0.0.0', '::', '*'])

/** Every address of the machine: good to listen on, not to connect to. */
export const isWildcard = ({ host }: Address) => wildcardHosts.has(host)

/** By which a program on this very machine reaches who listens there. */
export const localAddress = (listen: Address): Address =>
  isWildcard(listen) ? { ...listen, host: '127.0.0.1' } : listen

/** As nats-server's clients write it. */
export const serverUrl = ({ host, port }: Address) => `tls://${host.includes(':') ? `[${host}]` : host}:${port}`

/** What hosts and programs are told to connect to. Throws where nothing is left to tell them. */
export function chooseAdvertised(listen: Address, advertise: readonly string[]): readonly Address[] {
  if (advertise.length > 0) return advertise.map((text) => parseAddress(text, "the bus's advertised address"))
  if (!isWildcard(listen)) return [listen]
  throw new Error(
    `nats-server is to listen on every address (${listen.host}), which nobody can connect to: ` +
      'say as well by which address hosts reach it (advertise), or listen on that one',
  )
}

/** The names in the server's certificate: all by which it may be reached. `own`: the machine's addresses. */
export function listCertificateNames(
  listen: Address,
  advertised: readonly Address[],
  own: readonly string[],
): readonly string[] {
  const hosts = [localAddress(listen), ...advertised].map(({ host }) => host)
  return [...new Set(['127.0.0.1', ...hosts, ...(isWildcard(listen) ? own : [])])]
}
