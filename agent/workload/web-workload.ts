/**
 * The lab's web workload: says who answers, counts, and misbehaves when told to. It serves HTTP/1.1 with keep-alive and
 * touches nothing but its socket.
 */

import { createServer, type Server, type ServerResponse } from 'node:http'

export interface WebWorkloadOptions {
  readonly port: number
  readonly name: string
  readonly host: string
  readonly address?: string
}

/** How it misbehaves; told by `/control?fail=500&requests=3&delayMilliseconds=200&close=true`, ended by `/control?fail=none`. */
export interface Misbehaviour {
  /** The status that it answers instead. */
  readonly failStatus?: number
  /** For how many requests more; without it, until told otherwise. */
  readonly failRequests?: number
  readonly delayMilliseconds: number
  /** Ends the connection after each answer. */
  readonly close: boolean
}

const wellBehaved: Misbehaviour = { delayMilliseconds: 0, close: false }

/** No client waits longer for anything. */
const delayMillisecondsMaximum = 600_000

/**
 * `/` answers `<name> <host> <address>`, the address being the one that was asked; `/healthz` answers `ok`; `/count` how
 * many requests there were, not counting `/count` and `/control`, which always work.
 */
export function startWebWorkload({ port, name, host, address = '0.0.0.0' }: WebWorkloadOptions): Server {
  let requests = 0
  let misbehaviour = wellBehaved

  const serve = (path: string, localAddress: string, response: ServerResponse) => {
    requests += 1
    const { failStatus, failRequests } = misbehaviour
    if (failStatus !== undefined) {
      if (failRequests !== undefined) misbehaviour = countDown(misbehaviour, failRequests)
      answer(response, failStatus, `${name} was told to fail\n`, misbehaviour.close)
      return
    }
    const text = path === '/healthz' ? 'ok\n' : `${name} ${host} ${localAddress}\n`
    answer(response, 200, text, misbehaviour.close)
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://workload')
    if (url.pathname === '/count') {
      answer(response, 200, `${requests}\n`, false)
    } else if (url.pathname === '/control') {
      const told = parseMisbehaviour(url.searchParams, misbehaviour)
      if (typeof told === 'string') {
        answer(response, 400, `${told}\n`, false)
        return
      }
      misbehaviour = told
      answer(response, 200, `${JSON.stringify(misbehaviour)}\n`, false)
    } else if (misbehaviour.delayMilliseconds > 0) {
      setTimeout(serve, misbehaviour.delayMilliseconds, url.pathname, request.socket.localAddress ?? address, response)
    } else {
      serve(url.pathname, request.socket.localAddress ?? address, response)
    }
  })
  // Longer than any keep-alive of a balancer, so that it is never this side that closes under a request.
  server.keepAliveTimeout = 75_000
  return server.listen(port, address)
}

function answer(response: ServerResponse, status: number, text: string, close: boolean): void {
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    ...(close && { Connection: 'close' }),
  })
  response.end(text)
}

function countDown(misbehaviour: Misbehaviour, requests: number): Misbehaviour {
  const { failStatus, failRequests, ...rest } = misbehaviour
  return requests > 1 && failStatus !== undefined ? { ...rest, failStatus, failRequests: requests - 1 } : rest
}

/** What is said changes, what isn't stays; or the words of what is wrong with it. */
export function parseMisbehaviour(said: URLSearchParams, before: Misbehaviour): Misbehaviour | string {
  const fail = said.get('fail')
  const delay = said.get('delayMilliseconds')
  const count = said.get('requests')
  if (fail !== null && fail !== 'none' && !isWithin(fail, 100, 599)) {
    return `fail=${fail}: it must be an HTTP status from 100 to 599, or none`
  }
  if (count !== null && !isWithin(count, 1, Number.MAX_SAFE_INTEGER))
    return `requests=${count}: it must be a number from 1`
  if (delay !== null && !isWithin(delay, 0, delayMillisecondsMaximum)) {
    return `delayMilliseconds=${delay}: it must be a number from 0 to ${delayMillisecondsMaximum}`
  }
  const { failStatus, failRequests, ...rest } = before
  const failing =
    fail === 'none'
      ? {}
      : fail === null
        ? { ...(failStatus !== undefined && { failStatus }), ...(failRequests !== undefined && { failRequests }) }
        : { failStatus: Number(fail), ...(count !== null && { failRequests: Number(count) }) }
  return {
    ...rest,
    ...failing,
    ...(delay !== null && { delayMilliseconds: Number(delay) }),
    ...(said.has('close') && { close: said.get('close') === 'true' }),
  }
}

function isWithin(text: string, least: number, most: number): boolean {
  return /^\d+$/.test(text) && Number(text) >= least && Number(text) <= most
}
